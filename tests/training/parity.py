"""A tiny model trained in any layout on the same samples: what every rank of a world runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from pangu_settings import UserError
from training import TrainingSettings
from training.attention import KeyValueCache
from training.data import Batch, make_batch
from training.engine import Engine
from training.loss import whole

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


def train_in_refused_layout(layout: dict[str, Any], refused: dict[str, Any]) -> list[float]:
    """Losses in a layout that was changed after it had been checked."""
    settings = parity_settings(layout)
    changed = settings.layout.model_copy(update=refused)
    engine = Engine(settings.model_copy(update={"layout": changed}), CPU)
    return [loss for loss, _ in train(engine)]


def state_of(*settings: Any) -> dict[str, np.ndarray]:
    """Whole tensors that this rank has parts of, after two steps, by their names."""
    engine = Engine(parity_settings(*settings), CPU)
    train(engine, 0, 2)
    return {name: whole(tensor).numpy() for name, tensor in engine.state().items()}


def initial_weights(*settings: Any) -> dict[str, np.ndarray]:
    """Whole initial weights that this rank has parts of, by their names."""
    engine = Engine(parity_settings(*settings), CPU)
    return {name: whole(p.detach()).numpy() for name, p in engine.parameters.items()}


def copies_of_the_table(*settings: Any) -> list[np.ndarray]:
    """The word embedding of each stage on this rank that has it, after all steps."""
    engine = Engine(parity_settings(*settings), CPU)
    train(engine)
    return [
        whole(part.word_embedding.weight.detach()).numpy()
        for part in engine.parts
        if part.is_first or part.is_last
    ]


def evaluate_and_train(*settings: Any) -> list[tuple[float, int]]:
    """Evaluations of one batch before training, twice in the middle and at its end."""
    engine = Engine(parity_settings(*settings), CPU)
    held_out = share(parity_batch(100), engine)
    results = [engine.evaluate(held_out)]
    train(engine, 0, 2)
    results += [engine.evaluate(held_out), engine.evaluate(held_out)]
    train(engine, 2)
    return [*results, engine.evaluate(held_out)]


def score_tokens(*settings: Any) -> tuple[int, list[np.ndarray]]:
    """Number of this rank's share, and the losses of its tokens.

    First of its whole samples, then of all but one of them, cut to 8 ids.
    """
    engine = Engine(parity_settings(*settings), CPU)
    batch = share(parity_batch(100), engine)
    fewer = Batch(*(tensor[:-1, :8].contiguous() for tensor in vars(batch).values()))
    return engine.data_rank, [engine.token_losses(some).numpy() for some in (batch, fewer)]


def restore_and_train(*settings: Any) -> list[tuple[float, float]]:
    """The last steps of a training whose state went to a new engine in between."""
    engine = Engine(parity_settings(*settings), CPU)
    train(engine, 0, 2)
    saved = {name: tensor.clone() for name, tensor in engine.state().items()}
    later = Engine(parity_settings(*settings), CPU)
    train(later, 0, 1)
    held_out = share(parity_batch(100), engine)
    assert later.evaluate(held_out) != engine.evaluate(held_out)
    with torch.no_grad():
        for name, tensor in later.state().items():
            tensor.copy_(saved[name])
    later.restored()
    assert later.evaluate(held_out) == engine.evaluate(held_out)
    return train(later, 2)


def lose_a_gradient(*settings: Any) -> str:
    """The error that a parameter without gradient causes, "" where this rank has not got it."""
    engine = Engine(parity_settings(*settings), CPU)
    frozen = engine.parameters.get("query_embedding.weight")
    if frozen is not None:
        frozen.requires_grad_(False)
    try:
        engine.gradients(share(parity_batch(0), engine))
    except UserError as error:
        return str(error)
    return ""


@torch.no_grad()
def cached_logits(*settings: Any) -> np.ndarray:
    """Logits after a prompt of five ids and one more, read with a cache."""
    [part] = Engine(parity_settings(*settings), CPU).parts
    cache = KeyValueCache(6)
    ids = parity_batch(0).ids[:2, :6]
    rows = torch.arange(6).expand(2, -1)
    nobody = torch.zeros_like(ids)
    part(ids[:, :5], rows[:, :5], nobody[:, :5], cache)
    return whole(part(ids[:, 5:], rows[:, 5:], nobody[:, 5:], cache)).numpy()
