from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pangu_settings import SettingsError, validate
from training import PRESETS, ModelSettings, TrainingSettings, load_settings
from training.model import PanGu

PARAMETERS = {
    "350M": 345_368_576,
    "2.6B": 2_625_295_360,
    "13B": 12_800_870_400,
    "200B": 206_861_008_896,
}


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_have_the_parameters_of_the_released_models(preset: str) -> None:
    settings = validate(ModelSettings, {"preset": preset}, "test")
    with torch.device("meta"):
        model = PanGu(settings)
    assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[preset]
    assert settings.parameter_count == PARAMETERS[preset]


def test_a_preset_fills_in_only_what_is_not_written() -> None:
    settings = validate(ModelSettings, {"preset": "350M", "vocabulary": 4000, "layers": 6}, "test")
    assert (settings.layers, settings.hidden, settings.vocabulary) == (6, 1024, 4000)


def test_paths_are_relative_to_the_file(run_folder: Path) -> None:
    settings = load_settings(run_folder / "pretrain.yaml", ["checkpoint.directory=elsewhere"])
    assert settings.data.shards == run_folder / "shards"
    assert settings.checkpoint.directory == run_folder / "elsewhere"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimisation.learning_rte=1", "did you mean 'learning_rate'?"),
        ("model.preset=2.6b", "unknown preset '2.6b'; did you mean '2.6B'?"),
        ("model.heads=3", "hidden (16) must be a multiple of heads (3)"),
        ("model.layers=1", "model.layers"),
        ("data.sequence_length=64", "more than the 32 positions of model.sequence_length"),
        ("layout.micro_batches=3", "optimisation.batch (4) must be a multiple of dp_replicate"),
        ("optimisation.precision=float16", "optimisation.precision"),
        ("optimisation.steps=many", "optimisation.steps"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(run_folder: Path, override: str, message: str) -> None:
    with pytest.raises(SettingsError) as error:
        load_settings(run_folder / "pretrain.yaml", [override])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_settings_survive_json(tiny_settings: TrainingSettings) -> None:
    dumped = tiny_settings.model_dump(mode="json")
    assert validate(TrainingSettings, dumped, "test") == tiny_settings
