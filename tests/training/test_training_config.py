from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from pydantic import BaseModel

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
        ("checkpoint.directory=s3://bucket/run", "set logging.directory to a folder"),
        ("checkpoint.directory=5", "must be a folder or a URL"),
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


def options_of(settings: type[BaseModel]) -> list[str]:
    """Dotted names of all options."""
    names = []
    for name, field in settings.model_fields.items():
        block = field.annotation
        if isinstance(block, type) and issubclass(block, BaseModel):
            names += [f"{name}.{inner}" for inner in options_of(block)]
        else:
            names.append(name)
    return names


def test_options_stay_few_and_are_all_in_the_docs() -> None:
    names = options_of(TrainingSettings)
    # One more is one more thing to understand; the limit is 60.
    assert len(names) == 51
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    table = page.split("\n## Settings\n")[1].split("\n## ")[0]
    told = []
    for row in re.findall(r"^\| (`.+?) \|", table, re.MULTILINE):
        first, *others = re.findall(r"`([\w.]+)`", row)
        block = first.partition(".")[0]
        told += [first, *(name if "." in name else f"{block}.{name}" for name in others)]
    assert sorted(told) == sorted(names)


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        # PanGu-α Table 5.
        ("2.6B", (1e-4, 0.999, 0.01)),
        ("13B", (5e-5, 0.98, 0.01)),
        ("200B", (2e-5, 0.95, 0.1)),
        # The released code, where the table is silent.
        ("350M", (1e-4, 0.95, 0.1)),
    ],
)
def test_a_preset_is_trained_as_in_the_paper(
    preset: str, expected: tuple[float, float, float]
) -> None:
    content = {
        "model": {"preset": preset},
        "data": {"shards": "shards", "tokenizer": "tokenizer.model"},
        "optimisation": {"steps": 10},
    }
    found = validate(TrainingSettings, content, "test").optimisation
    assert (found.learning_rate, found.beta2, found.weight_decay) == expected
    content["optimisation"] = {"steps": 10, "weight_decay": 0.5}
    assert validate(TrainingSettings, content, "test").optimisation.weight_decay == 0.5
