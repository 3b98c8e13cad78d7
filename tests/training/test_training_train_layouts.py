"""The training loop of several processes tells and does what that of one does."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from looping import refused, run, run_until_signal
from worlds import Worlds

from training import TrainingSettings, load_settings
from training.log import StepRecord, read_log
from training.train import train

TOLERANCE = 1e-5
LAYOUTS: dict[str, dict[str, Any]] = {
    "shard2": {"dp_shard": 2},
    "tensor2": {"tp": 2},
    "pipe2": {"pp": 2, "micro_batches": 2},
    "copy2-shard2": {"dp_replicate": 2, "dp_shard": 2},
}


@pytest.fixture
def settings_for(run_folder: Path, tmp_path: Path) -> Callable[..., TrainingSettings]:
    """Settings of the tiny model with a checkpoint directory of that name and overrides."""

    def make(directory: str, *overrides: str) -> TrainingSettings:
        place = f"checkpoint.directory={tmp_path / directory}"
        return load_settings(run_folder / "pretrain.yaml", [place, *overrides])

    return make


def assert_same_story(one: list[StepRecord], other: list[StepRecord]) -> None:
    """Two logs have the same numbers, but for rounding and time."""
    assert len(one) == len(other) > 0
    for first, second in zip(one, other, strict=True):
        assert second.loss == pytest.approx(first.loss, abs=TOLERANCE)
        assert second.gradient_norm == pytest.approx(first.gradient_norm, abs=TOLERANCE)
        assert second.bits_per_byte == pytest.approx(first.bits_per_byte, rel=TOLERANCE)
        assert (second.step, second.tokens) == (first.step, first.tokens)
        assert second.validation.keys() == first.validation.keys()
        for source, found in first.validation.items():
            assert second.validation[source].labels == found.labels
            assert second.validation[source].loss == pytest.approx(found.loss, abs=TOLERANCE)


@pytest.mark.parametrize("name", LAYOUTS)
def test_ranks_train_together_and_the_first_speaks(
    settings_for: Callable[..., TrainingSettings], worlds: Worlds, name: str
) -> None:
    each_step = "logging.validate_every=2"
    alone = train(settings_for("alone", each_step))
    layout = LAYOUTS[name]
    size = 4 if name == "copy2-shard2" else 2
    first, *others = worlds.of(size).run(run, settings_for("together", each_step), layout)
    assert_same_story(alone.records, first.records)
    assert [len(record.validation) for record in first.records] == [0, 1, 0, 1, 0, 1]
    assert [(other.rank, other.step, other.records) for other in others] == [
        (rank, 6, []) for rank in range(1, size)
    ]
    assert all(record.peak_memory_bytes > 0 for record in first.records)
    record = first.records[-1]
    assert record.tokens_per_second_per_device == pytest.approx(record.tokens_per_second / size)


def test_a_run_goes_on_in_another_layout(
    settings_for: Callable[..., TrainingSettings], worlds: Worlds
) -> None:
    alone = train(settings_for("alone"))
    train(settings_for("moved", "optimisation.steps=2"))
    for steps, layout in ((4, LAYOUTS["shard2"]), (6, LAYOUTS["pipe2"])):
        settings = settings_for("moved", f"optimisation.steps={steps}")
        [first, _] = worlds.of(2).run(run, settings, layout)
    losses = [record.loss for record in first.records]
    assert losses == pytest.approx([record.loss for record in alone.records], abs=TOLERANCE)


def test_a_signal_to_one_rank_stops_all_after_the_same_step(
    settings_for: Callable[..., TrainingSettings], worlds: Worlds
) -> None:
    settings = settings_for("stopped")
    world = worlds.of(2)
    results = world.run(run_until_signal, settings, LAYOUTS["shard2"], 3)
    assert [result[:2] for result in results] == [(3, signal.SIGTERM)] * 2
    [first, _] = world.run(run, settings, LAYOUTS["shard2"])
    assert_same_story(train(settings_for("alone")).records, first.records)


def test_a_damaged_shard_that_one_rank_reads_is_an_error_on_all(
    settings_for: Callable[..., TrainingSettings], worlds: Worlds, run_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "shards"
    shutil.copytree(run_folder / "shards", folder)
    index = json.loads((folder / "index.json").read_text())
    # Rank 1 verifies every second shard.
    damaged = folder / f"{index['shards'][1]['name']}.bin"
    content = bytearray(damaged.read_bytes())
    content[8] ^= 1
    damaged.write_bytes(content)
    settings = settings_for("damaged", f"data.shards={folder}")
    messages = worlds.of(2).run(refused, settings, LAYOUTS["shard2"])
    assert messages[0] == messages[1]
    assert damaged.name in messages[0]
    unread = settings_for("damaged", f"data.shards={folder}", "data.verify=false")
    assert worlds.of(2).run(refused, unread, LAYOUTS["shard2"]) == ["", ""]


@pytest.mark.slow
def test_torchrun_trains_with_pangu_train(
    settings_for: Callable[..., TrainingSettings], run_folder: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "pangu", "train", str(run_folder / "pretrain.yaml")]
    command += ["--set", "layout.dp_shard=2", "--set", f"checkpoint.directory={tmp_path / 'two'}"]
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, cwd=root
    )
    assert ended.returncode == 0, ended.stderr
    # Rank 0 alone prints.
    assert len(re.findall(r"^step 6/6 ", ended.stdout, re.MULTILINE)) == 1
    assert ended.stdout.count("trained to step 6") == 1
    alone = train(settings_for("alone"))
    assert_same_story(alone.records, read_log(tmp_path / "two" / "log.jsonl"))
