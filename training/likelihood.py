"""Log-likelihoods of continuations, in batches and in any layout: what evaluations compare."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from pangu_settings import UserError
from training.data import Batch
from training.engine import Engine


@dataclass(frozen=True)
class Continuation:
    """Ids whose probability is asked for, after ids that are given."""

    context: Sequence[int]
    """At least one id."""
    ids: Sequence[int]


def log_likelihoods(
    engine: Engine, continuations: Sequence[Continuation], samples: int = 8
) -> list[float]:
    """Returns ln p(ids | context) of each continuation, in nats, the same list on every rank.

    A context that is too long for the model loses its beginning.

    Args:
      engine: a model in any layout, pipelines included; every rank must call this with the same
        continuations.
      continuations: what is asked.
      samples: of a data-parallel rank that are read together; a pipeline rounds it up to its
        number of micro-batches.

    Raises:
      UserError: a context or a continuation is empty, or a continuation does not fit the model.
    """
    length = engine.settings.model.sequence_length
    for number, continuation in enumerate(continuations):
        _check(continuation, number, length)
    parts = engine.layout.micro_batches
    own = math.ceil(samples / parts) * parts
    # Long ones first: what does not fit in memory fails at once, and equal lengths waste nothing.
    order = sorted(
        range(len(continuations)),
        key=lambda n: -len(continuations[n].context) - len(continuations[n].ids),
    )
    sums = torch.zeros(len(continuations), dtype=torch.float64, device=engine.device)
    for first in range(0, len(order), own * engine.data_ranks):
        together = order[first : first + own * engine.data_ranks]
        mine = together[engine.data_rank * own : (engine.data_rank + 1) * own]
        width = min(length, max(_width(continuations[n]) for n in together))
        if engine.layout.sequence_parallel:
            width = math.ceil(width / engine.layout.tp) * engine.layout.tp
        rows = [continuations[n] for n in mine]
        losses = engine.token_losses(_batch(rows, own, width)).double().sum(dim=1)
        for row, number in enumerate(mine):
            sums[number] -= losses[row]
    if dist.is_initialized():
        dist.all_reduce(sums)
        # Ranks that had the same samples found the same sums.
        sums /= engine.layout.ranks // engine.data_ranks
    return sums.tolist()


def _check(continuation: Continuation, number: int, length: int) -> None:
    if not continuation.context or not continuation.ids:
        raise UserError(
            f"continuation {number}: context and ids need at least one id each; where nothing is "
            "given, the separator of documents is the context"
        )
    if len(continuation.ids) > length:
        raise UserError(
            f"continuation {number} has {len(continuation.ids)} ids, the model has {length} "
            "positions; shorten it"
        )


def _width(continuation: Continuation) -> int:
    """Ids that are read: all but the last, which is only predicted."""
    return len(continuation.context) + len(continuation.ids) - 1


def _batch(rows: Sequence[Continuation], samples: int, width: int) -> Batch:
    """Returns a batch whose weights are 1 where an id of a continuation is predicted."""
    ids = torch.zeros(samples, width, dtype=torch.int64)
    labels = torch.zeros_like(ids)
    weights = torch.zeros(samples, width)
    for row, continuation in enumerate(rows):
        chunk: Tensor = torch.tensor([*continuation.context, *continuation.ids])[-width - 1 :]
        read = len(chunk) - 1
        ids[row, :read], labels[row, :read] = chunk[:-1], chunk[1:]
        weights[row, read - len(continuation.ids) : read] = 1.0
    positions = torch.arange(width).expand(samples, -1).contiguous()
    return Batch(ids, labels, weights, positions, torch.zeros_like(ids))
