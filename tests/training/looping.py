"""What every rank of a world does with the whole training loop."""

from __future__ import annotations

import os
import signal
from typing import Any
from unittest import mock

import torch.distributed as dist
from parity import CPU

from pangu_settings import UserError
from training import TrainingSettings
from training.data import Batch
from training.engine import Engine
from training.layout import Layout
from training.log import StepRecord
from training.train import TrainingResult, train_on


def in_layout(settings: TrainingSettings, layout: dict[str, Any]) -> TrainingSettings:
    """The same settings in another layout."""
    return settings.model_copy(update={"layout": Layout.model_validate(layout)})


def run(settings: TrainingSettings, layout: dict[str, Any]) -> TrainingResult:
    """Trains to the end."""
    return train_on(in_layout(settings, layout), CPU)


def run_until_signal(
    settings: TrainingSettings, layout: dict[str, Any], step: int
) -> tuple[int, int | None, list[StepRecord]]:
    """Trains until a signal reaches the last rank alone; last step, signal and log."""
    gradients = Engine.gradients
    calls: list[Batch] = []

    def gradients_and_signal(engine: Engine, batch: Batch) -> tuple[float, float]:
        calls.append(batch)
        if len(calls) == step and dist.get_rank() == dist.get_world_size() - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return gradients(engine, batch)

    with mock.patch.object(Engine, "gradients", gradients_and_signal):
        result = run(settings, layout)
    return result.step, result.stopped_by, result.records


def refused(settings: TrainingSettings, layout: dict[str, Any]) -> str:
    """The error that keeps training from beginning."""
    try:
        run(settings, layout)
    except UserError as error:
        return str(error)
    return ""
