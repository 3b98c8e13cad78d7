"""What the recipe's classifiers are, and how the documents of each source scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from filters.classifier_settings import score_name
from pipeline.parts import Part
from pipeline.recipe import Recipe
from pipeline.report.content import (
    SCORE_BINS,
    SCORE_QUANTILES,
    ClassifierSummary,
    ScoresOfSource,
)
from pipeline.tables import read_batches, table_path

# Fine enough for quantiles to a thousandth; a whole number of them is a bin of the picture.
_FINE_BINS = 50 * SCORE_BINS
_ROWS = 65_536


def summarise_classifiers(
    folder: str, recipe: Recipe, parts: Sequence[Part], facts: Mapping[str, Any]
) -> tuple[ClassifierSummary, ...]:
    """Reads the scores of all documents, in memory that does not depend on how many there are.

    Args:
      folder: of the stage *classify*.
      recipe: with the classifiers.
      parts: of the run.
      facts: that the stage left of each classifier.
    """
    signals = {name: score_name(name) for name in recipe.classifiers}
    counts = {
        (name, source.name): np.zeros(_FINE_BINS, np.int64)
        for name in signals
        for source in recipe.sources
    }
    for part in parts if signals else ():
        path = table_path(folder, "scores", part.name)
        for batch in read_batches(path, list(signals.values()), _ROWS):
            for name, signal in signals.items():
                counts[name, part.source] += _binned(batch.column(signal))
    return tuple(
        ClassifierSummary(
            name,
            signals[name],
            settings.model or "",
            facts[name],
            tuple(
                _scores(source.name, counts[name, source.name])
                for source in recipe.sources
                if counts[name, source.name].any()
            ),
        )
        for name, settings in recipe.classifiers.items()
    )


def _binned(scores: pa.Array) -> np.ndarray:
    """int64 (_FINE_BINS,): scores in each bin; 1 is in the last one."""
    places = (np.asarray(scores, np.float64) * _FINE_BINS).astype(np.int64)
    return np.bincount(np.clip(places, 0, _FINE_BINS - 1), minlength=_FINE_BINS)


def _scores(source: str, counts: np.ndarray) -> ScoresOfSource:
    below = np.cumsum(counts)
    documents = int(below[-1])
    # A bin stands for its upper end.
    quantiles = tuple(
        float(np.searchsorted(below, share * documents) + 1) / _FINE_BINS
        for share in SCORE_QUANTILES
    )
    bins = counts.reshape(SCORE_BINS, -1).sum(axis=1)
    return ScoresOfSource(source, documents, quantiles, tuple(bins.tolist()))
