"""How well a model in training does on samples that it never learns from, source by source."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from training.data import Batch, ValidationSamples
from training.engine import Engine


@dataclass(frozen=True)
class Validation:
    """Loss on the held-out samples of one source."""

    labels: int
    loss: float
    """Mean negative log-likelihood, in nats per token."""
    perplexity: float
    bits_per_byte: float | None
    """The same loss over the text instead of its tokens; None where they stand for no text."""


def validate(
    engine: Engine, samples: ValidationSamples, byte_lengths: np.ndarray
) -> dict[str, Validation]:
    """Returns the loss of each source that has held-out samples, the same on all ranks.

    Args:
      engine: of all ranks, each of which must call this.
      samples: those that are held out.
      byte_lengths: int64 [vocabulary], bytes of text behind each id.
    """
    settings = engine.settings
    own = settings.optimisation.batch // settings.layout.data_parallel
    own //= settings.layout.micro_batches
    results = {}
    for source, count in samples.counts.items():
        total, labels = 0.0, 0
        for first in range(0, count, own * engine.data_ranks):
            batch = samples.batch(source, first + own * engine.data_rank, own)
            batch_total, batch_labels = engine.evaluate(batch)
            total += batch_total
            labels += batch_labels
        text_bytes = sum(
            count_labels(samples.batch(source, sample, 1), byte_lengths)[1]
            for sample in range(count)
        )
        loss = total / max(labels, 1)
        results[source] = Validation(
            labels=labels,
            loss=loss,
            perplexity=perplexity(loss),
            bits_per_byte=bits_per_byte(loss, labels, text_bytes),
        )
    return results


def count_labels(batch: Batch, byte_lengths: np.ndarray) -> tuple[int, int]:
    """Returns how many labels of a batch weigh, and the bytes of text behind them."""
    labels = batch.labels[batch.weights > 0].numpy()
    return len(labels), int(byte_lengths[labels].sum())


def bits_per_byte(loss: float, labels: int | float, text_bytes: int | float) -> float | None:
    """Returns a mean loss in nats per label as bits per byte of the text behind the labels."""
    return loss * labels / math.log(2) / text_bytes if text_bytes else None


def perplexity(loss: float) -> float:
    """Returns e^loss, ∞ where that is beyond the largest number."""
    return math.exp(loss) if loss < 700 else math.inf
