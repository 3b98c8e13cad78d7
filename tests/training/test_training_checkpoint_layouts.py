"""A checkpoint of one layout goes on in any other; what happens to one rank happens to all."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpointing import (
    SAVED,
    damage_for_one_rank,
    fail_on_one_rank,
    kill_one_rank,
    restore_and_go_on,
    save_and_go_on,
)
from parity import CPU, parity_settings, train
from worlds import World, Worlds

from training.checkpoint import Checkpoints, find_checkpoint, read_manifest
from training.engine import Engine
from training.layout import Layout
from training.locations import RemotePath
from training.tensor_files import load_tensors, stored_shapes
from training.trained_model import load_model

TOLERANCE = 1e-5

LOOP = {"pp": 2, "micro_batches": 4, "schedule": "Interleaved1F1B", "interleave": 2}
LAYOUTS: dict[str, dict[str, Any]] = {
    "one": {},
    "shard2": {"dp_shard": 2},
    "shard4": {"dp_shard": 4},
    "tensor2": {"tp": 2},
    "pipe2": {"pp": 2, "micro_batches": 4},
    "copy2-shard2": {"dp_replicate": 2, "dp_shard": 2},
    "shard2-tensor2": {"dp_shard": 2, "tp": 2},
    "pipe2-tensor2": {"pp": 2, "micro_batches": 4, "tp": 2},
    "pipe2-shard2-interleaved": LOOP | {"dp_shard": 2},
}
# What these do is part of what others do.
SLOW = {"shard4", "tensor2", "pipe2", "copy2-shard2"}


def or_slow(*names: str) -> Any:
    """Names of layouts as a parameter, marked slow where they can wait."""
    marks = [pytest.mark.slow] if SLOW.intersection(names) else []
    return pytest.param(*names, marks=marks)


def in_layout(worlds: Worlds, name: str, function: Any, *arguments: Any) -> list[Any]:
    """What a function returns on each rank of a layout, which is its last argument."""
    layout = LAYOUTS[name]
    ranks = Layout.model_validate(layout).ranks
    return worlds.of(ranks).run(function, *arguments, layout)


@pytest.fixture(scope="module")
def checkpoints_of(worlds: Worlds, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Directory of a checkpoint saved in a layout, and what its ranks did after that."""

    @cache
    def make(name: str, asynchronous: bool = False) -> tuple[Path, list[Any]]:
        directory = tmp_path_factory.mktemp(name)
        return directory, in_layout(worlds, name, save_and_go_on, str(directory), asynchronous)

    return make


def merged(states: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The whole model from what each rank has of it."""
    return {name: tensor for state in states for name, tensor in state.items()}


def assert_same_bits(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert np.array_equal(tensor, other[name]), name


@pytest.mark.parametrize("name", [or_slow(name) for name in LAYOUTS])
def test_in_the_same_layout_it_goes_on_bit_for_bit(
    worlds: Worlds, checkpoints_of: Any, name: str
) -> None:
    directory, gone_on = checkpoints_of(name)
    restored = in_layout(worlds, name, restore_and_go_on, str(directory))
    for (saved, steps, last), (saved_again, steps_again, last_again) in zip(
        gone_on, restored, strict=True
    ):
        assert_same_bits(saved, saved_again)
        assert steps == steps_again
        assert_same_bits(last, last_again)


@pytest.mark.parametrize(
    ("saved_in", "restored_in"),
    [
        *(or_slow(name, "one") for name in LAYOUTS if name != "one"),
        or_slow("shard4", "pipe2-tensor2"),
        or_slow("tensor2", "shard4"),
        ("one", "shard2-tensor2"),
        ("pipe2-tensor2", "shard2"),
        ("pipe2-shard2-interleaved", "shard2-tensor2"),
        ("shard2-tensor2", "pipe2-shard2-interleaved"),
    ],
)
def test_in_another_layout_it_goes_on_with_the_same_losses(
    worlds: Worlds, checkpoints_of: Any, saved_in: str, restored_in: str
) -> None:
    directory, gone_on = checkpoints_of(saved_in)
    restored = in_layout(worlds, restored_in, restore_and_go_on, str(directory))
    assert_same_bits(
        merged([saved for saved, _, _ in gone_on]), merged([saved for saved, _, _ in restored])
    )
    for _, steps, _ in restored:
        assert np.abs(np.subtract(steps, gone_on[0][1])).max() < TOLERANCE


@pytest.mark.parametrize("name", ["one", "shard2", "pipe2-shard2-interleaved"])
def test_a_save_in_a_thread_keeps_the_state_of_its_step(
    worlds: Worlds, checkpoints_of: Any, name: str
) -> None:
    directory, gone_on = checkpoints_of(name, asynchronous=True)
    _, with_pause = checkpoints_of(name)
    restored = in_layout(worlds, name, restore_and_go_on, str(directory))
    for (_, steps, _), (saved, steps_with_pause, _), (saved_again, steps_again, _) in zip(
        gone_on, with_pause, restored, strict=True
    ):
        assert steps == steps_with_pause == steps_again
        assert_same_bits(saved, saved_again)


@pytest.mark.parametrize("layout", [{}, {"dp_shard": 2}, {"pp": 2, "micro_batches": 4}])
def test_each_rank_drops_out_as_if_it_had_never_stopped(
    worlds: Worlds, tmp_path: Path, layout: dict[str, Any]
) -> None:
    world = worlds.of(Layout.model_validate(layout).ranks)
    model = {"dropout": 0.3}
    gone_on = world.run(save_and_go_on, str(tmp_path), False, layout, model)
    restored = world.run(restore_and_go_on, str(tmp_path), layout, model)
    assert [steps for _, steps, _ in gone_on] == [steps for _, steps, _ in restored]
    without = {name for name in stored_shapes(find_checkpoint(tmp_path)) if "random" in name}
    assert without == {f"random.cpu.{rank}" for rank in range(len(gone_on))}


def test_what_is_stored_does_not_depend_on_the_layout(checkpoints_of: Any) -> None:
    def names(name: str) -> dict[str, torch.Size]:
        shapes = stored_shapes(find_checkpoint(checkpoints_of(name)[0]))
        return {name: shape for name, shape in shapes.items() if not name.startswith("random.")}

    for name in LAYOUTS.keys() - SLOW:
        assert names(name) == names("one")


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_rank_without_room_fails_all_and_the_checkpoint_before_stays(
    worlds: Worlds, tmp_path: Path, asynchronous: bool
) -> None:
    arguments = (str(tmp_path), asynchronous, parity_settings({}))
    for message, step, value in worlds.of(2).run(fail_on_one_rank, *arguments):
        assert "cannot be written: rank 1: [Errno 28] No space left on device" in message
        assert "still the latest" in message
        assert (step, value) == (1, 1.0)


def test_what_one_rank_cannot_read_is_an_error_on_all(worlds: Worlds, tmp_path: Path) -> None:
    messages = worlds.of(2).run(damage_for_one_rank, str(tmp_path), {"dp_shard": 2})
    for message in messages:
        assert f"{tmp_path / 'elsewhere' / 'tensors.json'}: cannot be read" in message


def test_a_rank_that_is_killed_while_saving_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    # A world of its own, which does not survive this.
    world = World(2)
    with pytest.raises(pytest.fail.Exception, match="rank 1 died"):
        world.run(kill_one_rank, str(tmp_path), parity_settings({}))
    latest = find_checkpoint(tmp_path)
    assert read_manifest(latest).step == 1
    for rank in range(2):
        tensor = torch.zeros(1000)
        load_tensors({f"model.{rank}": tensor}, latest)
        assert torch.equal(tensor, torch.ones(1000))


def test_ranks_write_to_a_url_and_what_is_there_can_be_used(worlds: Worlds, tmp_path: Path) -> None:
    url = f"file://{tmp_path / 'checkpoints'}"
    gone_on = in_layout(worlds, "pipe2", save_and_go_on, url, True)
    restored = in_layout(worlds, "tensor2", restore_and_go_on, url)
    saved = merged([saved for saved, _, _ in gone_on])
    assert_same_bits(saved, merged([saved for saved, _, _ in restored]))
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {
        "latest",
        "step-00000002",
    }
    for name, parameter in load_model(RemotePath(url), CPU).named_parameters():
        assert np.array_equal(parameter.detach().numpy(), saved[f"model.{name}"])


def test_without_torch_distributed_the_same_methods_do(checkpoints_of: Any) -> None:
    directory, gone_on = checkpoints_of("shard2")
    engine = Engine(parity_settings({}), CPU)
    checkpoints = Checkpoints(directory, keep=1)
    latest = checkpoints.latest()
    assert latest is not None
    checkpoints.restore(engine, latest)
    steps = train(engine, SAVED)
    assert np.abs(np.subtract(steps, gone_on[0][1])).max() < TOLERANCE
