"""Bounded summaries of unbounded tables: counts in bins, largest rows, ranges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class LargestRows:
    """Keeps the rows of a table with the largest values of a column; ties go to the smaller id."""

    def __init__(self, size: int, column: str) -> None:
        self._size = size
        self._order = [(column, "descending"), ("id", "ascending")]
        self._rows: pa.Table | None = None

    def offer(self, batch: pa.RecordBatch) -> None:
        """Shows the rows of a batch."""
        table = pa.Table.from_batches([batch])
        together = table if self._rows is None else pa.concat_tables([self._rows, table])
        self._rows = together.sort_by(self._order).slice(0, self._size).combine_chunks()

    def rows(self) -> list[dict[str, Any]]:
        """The rows that stayed, largest first."""
        return [] if self._rows is None else self._rows.to_pylist()


@dataclass
class Histogram:
    """Counts of documents in bins, one row of counts for each outcome.

    Attributes:
      edges: float64 (bins + 1,), rising. Values outside fall into the first or the last bin.
      counts: outcome -> int64 (bins,).
    """

    edges: np.ndarray
    counts: dict[str, np.ndarray]

    @classmethod
    def empty(cls, edges: np.ndarray, outcomes: Sequence[str]) -> Histogram:
        """A histogram in which every count is 0."""
        bins = len(edges) - 1
        return cls(edges, {outcome: np.zeros(bins, np.int64) for outcome in outcomes})

    def add(self, outcome: str, values: pa.Array) -> None:
        """Counts the values of an outcome; nulls and NaN are not counted."""
        numbers = pc.drop_null(values).to_numpy(zero_copy_only=False).astype(np.float64)
        numbers = np.clip(numbers[~np.isnan(numbers)], self.edges[0], self.edges[-1])
        self.counts[outcome] += np.histogram(numbers, self.edges)[0]

    @property
    def documents(self) -> int:
        """Documents counted in all."""
        return int(sum(counts.sum() for counts in self.counts.values()))


class ValueRange:
    """The smallest and the largest value of a column, over any number of batches."""

    def __init__(self) -> None:
        self.smallest: Any = None
        self.largest: Any = None

    def add(self, values: pa.Array) -> None:
        """Takes in the values of a batch; nulls are passed over, and so is NaN."""
        if pa.types.is_floating(values.type):
            values = values.filter(pc.is_finite(values).fill_null(False))
        found = pc.min_max(values).as_py()
        if found["min"] is None:
            return
        self.smallest = found["min"] if self.smallest is None else min(self.smallest, found["min"])
        self.largest = found["max"] if self.largest is None else max(self.largest, found["max"])
