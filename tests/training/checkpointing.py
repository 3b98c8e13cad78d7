"""What every rank of a world does with checkpoints: saves, fails, goes on in another layout."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.distributed as dist
from parity import CPU, parity_settings, train

import training.tensor_files
from pangu_settings import UserError
from training import TrainingSettings
from training.checkpoint import Checkpoints, Manifest, random_state, read_manifest
from training.engine import Engine
from training.locations import location
from training.loss import whole
from training.tensor_files import load_tensors

SAVED = 2


def manifest_of(settings: TrainingSettings, step: int) -> Manifest:
    """A manifest of a run on no shards in particular."""
    return Manifest(
        step=step,
        samples=4 * step,
        settings=settings,
        shards_sha256="0" * 64,
        tokenizer_sha256="1" * 64,
    )


def whole_state(engine: Engine) -> dict[str, np.ndarray]:
    """Whole tensors that this rank has parts of."""
    return {name: whole(tensor).numpy().copy() for name, tensor in engine.state().items()}


def save_and_go_on(
    directory: str, asynchronous: bool, *settings: Any
) -> tuple[dict[str, np.ndarray], list[tuple[float, float]], dict[str, np.ndarray]]:
    """State when it is saved; then losses and norms of the steps after that, and the last state."""
    engine = Engine(parity_settings(*settings), CPU)
    checkpoints = Checkpoints(location(directory), keep=1, asynchronous=asynchronous)
    train(engine, 0, SAVED)
    saved = whole_state(engine)
    # Something that every rank has, as what a loop remembers.
    tensors = engine.state() | random_state(CPU) | {"loop.recent": torch.arange(3.0)}
    checkpoints.save(manifest_of(engine.settings, SAVED), tensors, b"vocabulary")
    # While an asynchronous save still writes, the weights change.
    steps = train(engine, SAVED)
    checkpoints.wait()
    return saved, steps, whole_state(engine)


def restore_and_go_on(
    directory: str, *settings: Any
) -> tuple[dict[str, np.ndarray], list[tuple[float, float]], dict[str, np.ndarray]]:
    """What `save_and_go_on` returns, of an engine that was something else before."""
    engine = Engine(parity_settings(*settings), CPU)
    train(engine, 0, 1)
    checkpoints = Checkpoints(location(directory), keep=1)
    latest = checkpoints.latest()
    assert latest is not None
    recent = torch.zeros(3)
    checkpoints.restore(engine, latest, {"loop.recent": recent})
    assert torch.equal(recent, torch.arange(3.0))
    saved = whole_state(engine)
    return saved, train(engine, SAVED), whole_state(engine)


def _piece(step: int) -> dict[str, torch.Tensor]:
    """A tensor of each rank."""
    return {f"model.{dist.get_rank()}": torch.full((1000,), float(step))}


def fail_on_one_rank(
    directory: str, asynchronous: bool, settings: TrainingSettings
) -> tuple[str, int, float]:
    """The error of a save for which rank 1 has no room, and the step that can be loaded then."""
    checkpoints = Checkpoints(Path(directory), keep=1, asynchronous=asynchronous)
    checkpoints.save(manifest_of(settings, 1), _piece(1), b"vocabulary")
    checkpoints.wait()
    write = training.tensor_files._Writer.write_data

    def fill(*arguments: Any) -> Any:
        if dist.get_rank() == 1:
            raise OSError(28, "No space left on device")
        return write(*arguments)

    message = ""
    with mock.patch.object(training.tensor_files._Writer, "write_data", fill):
        try:
            checkpoints.save(manifest_of(settings, 2), _piece(2), b"vocabulary")
            checkpoints.wait()
        except UserError as error:
            message = str(error)
    latest = checkpoints.latest()
    assert latest is not None
    tensors = _piece(0)
    load_tensors(tensors, latest)
    [tensor] = tensors.values()
    step = read_manifest(latest).step
    # The group still works, and so does the next save.
    checkpoints.save(manifest_of(settings, 3), _piece(3), b"vocabulary")
    assert checkpoints.latest() == Path(directory) / "step-00000003"
    return message, step, float(tensor[0])


def damage_for_one_rank(directory: str, *settings: Any) -> str:
    """The error of restoring a checkpoint that rank 1 cannot read."""
    engine = Engine(parity_settings(*settings), CPU)
    checkpoints = Checkpoints(Path(directory), keep=1)
    checkpoints.save(manifest_of(engine.settings, 1), engine.state(), b"vocabulary")
    latest = checkpoints.latest()
    assert latest is not None
    if dist.get_rank() == 1:
        # As on a machine that does not see the disk of the others.
        latest = Path(directory) / "elsewhere"
    try:
        checkpoints.restore(engine, latest)
    except UserError as error:
        return str(error)
    return ""


def kill_one_rank(directory: str, settings: TrainingSettings) -> None:
    """Saves step 1; while saving step 2, rank 1 is killed with its piece half written."""
    checkpoints = Checkpoints(Path(directory), keep=1)
    checkpoints.save(manifest_of(settings, 1), _piece(1), b"vocabulary")
    write = training.tensor_files._Writer.write_data

    def die(*arguments: Any) -> Any:
        results = write(*arguments)
        if dist.get_rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return results

    with mock.patch.object(training.tensor_files._Writer, "write_data", die):
        checkpoints.save(manifest_of(settings, 2), _piece(2), b"vocabulary")
