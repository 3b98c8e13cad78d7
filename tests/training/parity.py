"""A tiny model trained in any layout on the same samples: what every rank of a world runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from training import TrainingSettings
from training.data import Batch, make_batch
from training.engine import Engine

CPU = torch.device("cpu")
SEPARATOR, PAD = 9, 6
STEPS = 5
# Numbers that few degrees divide: 5 layers are cut unevenly, 50 words into uneven shards.
MODEL = {"layers": 5, "hidden": 16, "heads": 4, "sequence_length": 16, "vocabulary": 50}
BATCH = 16


def parity_settings(
    layout: dict[str, Any], model: dict[str, Any] | None = None, precision: str = "float32"
) -> TrainingSettings:
    """Settings of a model small enough to train in several processes at once."""
    return TrainingSettings.model_validate(
        {
            "model": MODEL | (model or {}),
            "data": {"shards": "unused", "tokenizer": "unused"},
            # Gradients are larger than that, so that clipping is part of what is compared.
            "optimisation": {"steps": STEPS, "batch": BATCH, "clip": 0.3, "precision": precision},
            "layout": layout,
        }
    )


def parity_batch(step: int) -> Batch:
    """All samples of one step: random ids, with ends of documents and padding among them."""
    numbers = np.random.default_rng(step)
    ids = numbers.integers(10, MODEL["vocabulary"], size=(BATCH, MODEL["sequence_length"] + 1))
    ids[numbers.random(ids.shape) < 0.1] = SEPARATOR
    for row, length in enumerate(numbers.integers(8, 30, size=BATCH)):
        ids[row, length:] = PAD
    return make_batch(ids, SEPARATOR, PAD)


def share(batch: Batch, engine: Engine) -> Batch:
    """The samples that the ranks of this data rank learn from."""
    size = len(batch.ids) // engine.data_ranks
    return batch.part(engine.data_rank * size, size, CPU)


def train(engine: Engine, first: int = 0, last: int = STEPS) -> list[tuple[float, float]]:
    """Loss and gradient norm of steps first … last - 1."""
    results = []
    for step in range(first, last):
        results.append(engine.gradients(share(parity_batch(step), engine)))
        engine.update(1e-2)
    return results


def train_in_layout(*settings: Any) -> list[tuple[float, float]]:
    """Loss and gradient norm of each step from the initial weights; see `parity_settings`."""
    return train(Engine(parity_settings(*settings), CPU))
