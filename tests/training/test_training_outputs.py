"""What a run tells beside its log: traces, TensorBoard, utilisation, validation."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pangu_settings import UserError
from tokenizer import Tokenizer
from training import TrainingSettings, load_settings
from training.checkpoint import find_checkpoint, read_manifest
from training.data import Corpus, ValidationSamples
from training.engine import Engine
from training.locations import location
from training.throughput import operations_per_token, peak_of
from training.train import lengths_of, train
from training.validation import validate

CPU = torch.device("cpu")


@pytest.fixture
def settings_for(run_folder: Path, tmp_path: Path) -> Callable[..., TrainingSettings]:
    """Settings of the tiny model with overrides."""

    def make(*overrides: str) -> TrainingSettings:
        place = f"checkpoint.directory={tmp_path / 'checkpoints'}"
        return load_settings(run_folder / "pretrain.yaml", [place, *overrides])

    return make


def test_the_chosen_steps_leave_traces(settings_for: Callable[..., TrainingSettings]) -> None:
    settings = settings_for("logging.profile=[2, 5]")
    train(settings)
    traces = sorted((settings.log_directory / "profile").iterdir())
    assert [path.name for path in traces] == ["step-00000002.json", "step-00000005.json"]
    names = {event.get("name") for event in json.loads(traces[0].read_text())["traceEvents"]}
    assert "aten::addmm" in names or "aten::mm" in names


def test_tensorboard_gets_every_step_and_forgets_what_is_made_again(
    settings_for: Callable[..., TrainingSettings],
) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train(settings_for("logging.tensorboard=true", "optimisation.steps=4", "checkpoint.every=2"))
    directory = settings_for().log_directory
    # As if the process had been killed before it saved step 4.
    (directory / "latest").write_text("step-00000002\n")
    result = train(settings_for("logging.tensorboard=true"))
    events = accumulator.EventAccumulator(str(directory / "tensorboard"))
    events.Reload()
    losses = [(event.step, event.value) for event in events.Scalars("loss")]
    assert losses == [
        (record.step, pytest.approx(record.loss, rel=1e-6)) for record in result.records
    ]
    assert [event.step for event in events.Scalars("validation/books/perplexity")] == [6]


def test_without_tensorboard_the_error_says_what_to_do(
    settings_for: Callable[..., TrainingSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match="pip install tensorboard"):
        train(settings_for("logging.tensorboard=true"))


def test_utilisation_is_told_where_the_peak_is_known(
    settings_for: Callable[..., TrainingSettings], capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for("logging.peak_flops=1.0e+12")
    record = train(settings).records[-1]
    # One token: 6 for each weight of 3 layers and of the head, and attention over 32 positions.
    operations = 6 * (12 * 3 * 16**2 + settings.model.vocabulary * 16 + 2 * 3 * 16 * 32)
    assert operations_per_token(settings) == operations
    assert record.mfu == pytest.approx(record.tokens_per_second * operations / 1e12)
    printed = capsys.readouterr().out
    assert printed.count("MFU = tokens/s per device") == 1
    assert "MFU 0." in printed
    capsys.readouterr()
    # Nobody knows what this processor could do.
    assert train(settings_for("optimisation.steps=7")).records[-1].mfu is None


@pytest.mark.parametrize(
    ("name", "precision", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", "bfloat16", 989e12),
        ("NVIDIA A100-SXM4-80GB", "bfloat16", 312e12),
        ("NVIDIA A100-SXM4-80GB", "float32", None),
        ("NVIDIA GeForce RTX 4090", "bfloat16", None),
    ],
)
def test_the_peak_of_usual_devices_is_known(
    settings_for: Callable[..., TrainingSettings],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    precision: str,
    peak: float | None,
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
    settings = settings_for(f"optimisation.precision={precision}")
    assert peak_of(settings, torch.device("cuda")) == peak


def test_bits_per_byte_are_the_loss_over_the_text(
    settings_for: Callable[..., TrainingSettings], run_folder: Path
) -> None:
    settings = settings_for()
    corpus = Corpus(settings.data.shards, settings.model.vocabulary)
    held_out = ValidationSamples(corpus, 32, settings.data.held_out)
    engine = Engine(settings, CPU)
    found = validate(engine, held_out, lengths_of(settings))["books"]
    count = held_out.counts["books"]
    losses = engine.token_losses(held_out.batch("books", 0, count))
    labels = held_out.batch("books", 0, count).labels.numpy()
    text = sum(len(Tokenizer(run_folder).decode(row[row > 9]).encode()) for row in labels)
    assert found.labels == labels.size
    assert found.loss == pytest.approx(float(losses.mean()), rel=1e-6)
    assert found.perplexity == pytest.approx(math.exp(found.loss))
    assert found.bits_per_byte == pytest.approx(float(losses.sum()) / math.log(2) / text, rel=1e-6)


def test_a_run_without_held_out_samples_has_no_validation(
    settings_for: Callable[..., TrainingSettings],
) -> None:
    result = train(settings_for("data.held_out=0", "logging.validate_every=1"))
    assert all(not record.validation for record in result.records)


def test_validation_changes_nothing(settings_for: Callable[..., TrainingSettings]) -> None:
    seldom = train(settings_for("model.dropout=0.1"))
    directory = f"checkpoint.directory={seldom.log.parent.parent / 'other'}"
    often = train(settings_for("model.dropout=0.1", "logging.validate_every=1", directory))
    assert [r.loss for r in seldom.records] == [r.loss for r in often.records]


def test_checkpoints_at_a_url_with_the_log_on_a_disk(
    settings_for: Callable[..., TrainingSettings], tmp_path: Path
) -> None:
    overrides = ["checkpoint.directory=memory://run/checkpoints", "checkpoint.asynchronous=true"]
    overrides.append(f"logging.directory={tmp_path / 'log'}")
    train(settings_for(*overrides, "optimisation.steps=2"))
    result = train(settings_for(*overrides))
    assert [record.step for record in result.records] == [1, 2, 3, 4, 5, 6]
    latest = find_checkpoint(location("memory://run/checkpoints"))
    assert read_manifest(latest).step == 6
    losses = [record.loss for record in train(settings_for()).records]
    np.testing.assert_array_equal([record.loss for record in result.records], losses)
