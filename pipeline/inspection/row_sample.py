"""A few rows of a table of any size, the same ones in whatever order they come."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import pyarrow as pa


class RowSample:
    """Keeps a few rows of a table, chosen by the digests of their keys.

    The rows whose keys have the smallest digests stay, so the sample is spread over the whole
    table and does not depend on the order in which batches come.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._rows: list[tuple[bytes, dict[str, Any]]] = []
        self.offered = 0

    def offer(self, batch: pa.RecordBatch, keys: Sequence[str]) -> None:
        """Shows the rows of a batch; keys[i] is the identity of row i."""
        self.offered += batch.num_rows
        digests = [hashlib.blake2b(key.encode(), digest_size=16).digest() for key in keys]
        nearest = sorted(range(len(digests)), key=digests.__getitem__)[: self._size]
        rows = zip(nearest, batch.take(pa.array(nearest, pa.int64())).to_pylist(), strict=True)
        candidates = [*self._rows, *((digests[index], row) for index, row in rows)]
        self._rows = sorted(candidates, key=lambda entry: entry[0])[: self._size]

    def rows(self) -> list[dict[str, Any]]:
        """The rows that stayed, in the order of their digests."""
        return [row for _, row in self._rows]
