from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pangu_settings import UserError
from tokenizer import TokenizerFacts, write_index, write_shards
from training import TrainingSettings, load_settings
from training.checkpoint import find_checkpoint, read_manifest
from training.data import Batch, Samples, make_batch
from training.engine import Engine
from training.layout import Layout
from training.log import read_log
from training.tensor_files import load_tensors, stored_shapes
from training.train import train

CPU = torch.device("cpu")
RANDOM = ["model.dropout=0.1"]


def stored_tensors(checkpoint: Path) -> dict[str, Tensor]:
    """Every tensor of a checkpoint."""
    index = json.loads((checkpoint / "tensors.json").read_text())
    tensors = {
        name: torch.zeros(shape, dtype=getattr(torch, index[name]["dtype"]))
        for name, shape in stored_shapes(checkpoint).items()
    }
    load_tensors(tensors, checkpoint)
    return tensors


def assert_same_run(one: Path, other: Path) -> None:
    """Two checkpoint directories end in the same bits and tell the same story."""
    first, second = stored_tensors(find_checkpoint(one)), stored_tensors(find_checkpoint(other))
    assert first.keys() == second.keys()
    for name in first:
        assert torch.allclose(first[name], second[name], rtol=0, atol=0, equal_nan=True), name
    assert log_without_times(one) == log_without_times(other)


def log_without_times(directory: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]
    # A run that ends earlier also validates earlier.
    varying = ("second", "memory", "validation")
    return [
        {key: value for key, value in line.items() if not any(word in key for word in varying)}
        for line in lines
    ]


@pytest.fixture
def settings_for(run_folder: Path, tmp_path: Path) -> Callable[..., TrainingSettings]:
    """Settings of the tiny model with a checkpoint directory of that name and overrides."""

    def make(directory: str, *overrides: str) -> TrainingSettings:
        place = f"checkpoint.directory={tmp_path / directory}"
        return load_settings(run_folder / "pretrain.yaml", [place, *overrides])

    return make


def test_training_lowers_the_loss_and_leaves_everything_in_place(
    tiny_settings: TrainingSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tiny_settings.model_copy(
        update={
            "optimisation": tiny_settings.optimisation.model_copy(
                update={"steps": 40, "decay_steps": 40}
            )
        }
    )
    result = train(settings)
    losses = [record.loss for record in result.records]
    assert len(losses) == result.step == 40
    assert losses[0] == pytest.approx(np.log(settings.model.vocabulary), abs=0.1)
    assert losses[-1] < losses[0] - 1
    directory = settings.checkpoint.directory
    assert sorted(path.name for path in directory.iterdir()) == [
        "latest",
        "log.jsonl",
        "loss.svg",
        "step-00000040",
    ]
    assert result.curve.read_text().startswith("<svg")
    manifest = read_manifest(find_checkpoint(directory))
    assert (manifest.step, manifest.samples) == (40, 160)
    printed = capsys.readouterr().out
    assert "step 40/40" in printed
    assert "step 41" not in printed
    assert "\r" not in printed


def test_a_resumed_run_is_the_uninterrupted_run_bit_for_bit(
    settings_for: Callable[..., TrainingSettings],
) -> None:
    train(settings_for("whole", *RANDOM))
    train(settings_for("parts", *RANDOM, "optimisation.steps=2"))
    torch.manual_seed(12345)
    result = train(settings_for("parts", *RANDOM))
    assert result.step == 6
    assert_same_run(*(settings_for(name).checkpoint.directory for name in ("whole", "parts")))


def test_a_signal_ends_the_step_saves_it_and_the_run_goes_on(
    settings_for: Callable[..., TrainingSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    train(settings_for("whole", *RANDOM))
    gradients, calls = Engine.gradients, []

    def gradients_and_signal(self: Engine, batch: Batch) -> tuple[float, float]:
        calls.append(batch)
        if len(calls) == 3:
            # Job systems and launchers both pass it on.
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
        return gradients(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "gradients", gradients_and_signal)
        result = train(settings_for("stopped", *RANDOM))
    assert (result.step, result.stopped_by) == (3, signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    result = train(settings_for("stopped", *RANDOM))
    assert (result.step, result.stopped_by) == (6, None)
    assert_same_run(*(settings_for(name).checkpoint.directory for name in ("whole", "stopped")))


def test_steps_that_no_checkpoint_remembers_are_made_again(
    settings_for: Callable[..., TrainingSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    train(settings_for("whole"))
    read = Samples.batch

    def read_or_die(self: Samples, first: int, count: int) -> object:
        if first == 16:
            raise SystemExit("as if the machine had gone")
        return read(self, first, count)

    with monkeypatch.context() as patch:
        patch.setattr(Samples, "batch", read_or_die)
        with pytest.raises(SystemExit):
            train(settings_for("lost", "checkpoint.every=3"))
    lost = settings_for("lost").checkpoint.directory
    assert len(log_without_times(lost)) == 4
    with (lost / "log.jsonl").open("a") as log:
        log.write('{"step": 5, "lo')  # cut off while it was written
    train(settings_for("lost"))
    assert_same_run(settings_for("whole").checkpoint.directory, lost)


def test_a_killed_process_leaves_a_checkpoint_to_go_on_from(
    settings_for: Callable[..., TrainingSettings], run_folder: Path
) -> None:
    directory = settings_for("killed").checkpoint.directory
    command = [sys.executable, "-m", "pangu", "train", str(run_folder / "pretrain.yaml")]
    command += ["--steps", "100000", "--set", "checkpoint.every=1"]
    command += ["--set", f"checkpoint.directory={directory}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[2])
    try:
        deadline = time.monotonic() + 60
        while not (directory / "latest").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        # Every step is saved, so the process is most likely in the middle of saving.
        time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
    step = read_manifest(find_checkpoint(directory)).step
    result = train(settings_for("killed", f"optimisation.steps={step + 2}"))
    assert [record.step for record in result.records] == list(range(1, step + 3))
    assert not list(directory.glob("*.partial"))


def test_only_the_newest_checkpoints_are_kept(
    settings_for: Callable[..., TrainingSettings],
) -> None:
    settings = settings_for("kept", "checkpoint.every=1", "checkpoint.keep=2")
    train(settings)
    kept = sorted(path.name for path in settings.checkpoint.directory.glob("step-*"))
    assert kept == ["step-00000005", "step-00000006"]


def test_a_finished_run_does_nothing_more(
    settings_for: Callable[..., TrainingSettings],
) -> None:
    train(settings_for("done"))
    again = train(settings_for("done"))
    assert again.step == 6
    assert len(again.records) == 6


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.layers=4", "model.layers was 3 and is 4"),
        ("model.layer_norm=after_query", "model.layer_norm was before_query and is after_query"),
        ("data.sequence_length=16", "data.sequence_length was 32 and is 16"),
        ("data.seed=1", "data.seed was 0 and is 1"),
    ],
)
def test_a_checkpoint_is_not_resumed_as_another_run(
    settings_for: Callable[..., TrainingSettings], override: str, message: str
) -> None:
    train(settings_for("run", "optimisation.steps=1"))
    with pytest.raises(UserError) as error:
        train(settings_for("run", override))
    assert message in str(error.value)
    assert "--set checkpoint.directory=NEW" in str(error.value)


def test_changed_shards_are_noticed(
    settings_for: Callable[..., TrainingSettings], tmp_path: Path, run_folder: Path
) -> None:
    train(settings_for("run", "optimisation.steps=1"))
    sha256 = read_manifest(find_checkpoint(tmp_path / "run")).tokenizer_sha256
    facts = TokenizerFacts(sha256=sha256, vocabulary_size=20, separator=9, pad=6)
    shards = write_shards(tmp_path / "new", "one", [np.full(500, 12)], facts)
    write_index(tmp_path / "new", facts, {"one": shards}, {"one": 1.0})
    with pytest.raises(UserError, match="the shards were"):
        train(settings_for("run", f"data.shards={tmp_path / 'new'}"))


def test_another_vocabulary_is_refused(
    settings_for: Callable[..., TrainingSettings], tmp_path: Path
) -> None:
    (tmp_path / "other.model").write_bytes(b"another vocabulary")
    with pytest.raises(UserError, match="not the vocabulary that made the shards"):
        train(settings_for("run", f"data.tokenizer={tmp_path / 'other.model'}"))
    with pytest.raises(UserError, match="the vocabulary cannot be read"):
        train(settings_for("run", f"data.tokenizer={tmp_path / 'missing.model'}"))


def test_a_diverging_run_stops_before_it_spoils_the_weights(
    settings_for: Callable[..., TrainingSettings],
) -> None:
    settings = settings_for(
        "wild",
        "optimisation.learning_rate=1.0e+30",
        "optimisation.warmup_steps=0",
        "optimisation.most_skipped=2",
    )
    with pytest.raises(UserError, match="training diverged; 3 steps in a row were skipped"):
        train(settings)
    records = read_log(settings.log_directory / "log.jsonl")
    assert [record.is_skipped for record in records] == [False, True, True, True]
    assert [record.skipped for record in records] == [0, 1, 2, 3]
    assert not list(settings.checkpoint.directory.glob("step-*"))


def test_a_step_that_is_skipped_leaves_the_weights_alone_and_training_goes_on(
    settings_for: Callable[..., TrainingSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    train(settings_for("two", "optimisation.steps=2"))
    gradients, calls = Engine.gradients, []

    def diverge_in_the_third(self: Engine, batch: Batch) -> tuple[float, float]:
        calls.append(batch)
        loss, norm = gradients(self, batch)
        return (loss, float("inf")) if len(calls) == 3 else (loss, norm)

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "gradients", diverge_in_the_third)
        result = train(settings_for("skipped", "checkpoint.every=3", "checkpoint.keep=9"))
    assert [r.step for r in result.records if r.is_skipped] == [3]
    assert result.records[-1].skipped == 1
    # Its samples are not read again.
    assert [r.tokens for r in result.records] == [128, 256, 384, 512, 640, 768]
    after_two = stored_tensors(find_checkpoint(settings_for("two").log_directory))
    after_three = stored_tensors(settings_for("skipped").log_directory / "step-00000003")
    for name, tensor in after_two.items():
        if not name.startswith("guard"):
            assert torch.equal(tensor, after_three[name]), name
    assert result.records[-1].loss < result.records[0].loss


def test_the_loss_is_one_mean_over_the_batch_however_it_is_cut(
    tiny_settings: TrainingSettings,
) -> None:
    pieces = np.random.default_rng(0).integers(10, 60, size=(4, 33))
    pieces[0, 5:] = 6  # padding: the samples have different numbers of labels
    pieces[2, 20:] = 6
    batch = make_batch(pieces, separator=9, pad=6)
    results = []
    for micro_batches in (1, 2, 4):
        layout = Layout(micro_batches=micro_batches)
        settings = tiny_settings.model_copy(update={"layout": layout})
        results.append(Engine(settings, CPU).gradients(batch))
    for loss, norm in results[1:]:
        assert loss == pytest.approx(results[0][0], rel=1e-6)
        assert norm == pytest.approx(results[0][1], rel=1e-5)


def test_padding_is_not_learned(tiny_settings: TrainingSettings) -> None:
    pieces = np.random.default_rng(0).integers(10, 60, size=(2, 33))
    padded = pieces.copy()
    padded[:, 17:] = 6
    outcomes = []
    for chunk in (padded, np.where(np.arange(33) > 17, 6, padded)):
        batch = make_batch(chunk, separator=9, pad=6)
        assert batch.weights.sum() == 2 * 17
        outcomes.append(Engine(tiny_settings, CPU).gradients(batch))
    assert outcomes[0] == outcomes[1]


def test_bfloat16_trains(settings_for: Callable[..., TrainingSettings]) -> None:
    exact = train(settings_for("float32"))
    rounded = train(settings_for("bfloat16", "optimisation.precision=bfloat16"))
    for one, other in zip(exact.records, rounded.records, strict=True):
        assert other.loss == pytest.approx(one.loss, rel=0.02)
    for tensor in stored_tensors(find_checkpoint(rounded.log.parent)).values():
        assert tensor.dtype != torch.bfloat16
