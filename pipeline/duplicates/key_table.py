"""Keys that are looked for among many others that pass by."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

# Of the others with one key, so many are handed out, the first that come; where thousands of pages
# share a template and so a key, comparing all with all would never end.
MOST_WITH_ONE_KEY = 32
# Pairs handed out at a time.
_PAIRS = 1 << 16
# Places of the table of marks for each key: of other keys, one in so many is looked up in vain.
_MARKS = 8


class KeyTable:
    """A table of keys.

    Args:
      keys: uint64 (n,), hashes; several holders may have one.
      most: of the others with one key that are handed out.
    """

    def __init__(self, keys: np.ndarray, most: int = MOST_WITH_ONE_KEY) -> None:
        self._holders = np.argsort(keys, kind="stable")
        self._keys, self._starts = np.unique(keys[self._holders], return_index=True)
        self._ends = np.append(self._starts[1:], len(keys))
        bits = max(1, (_MARKS * len(self._keys)).bit_length())
        self._shift = np.uint64(64 - bits)
        self._marks = np.zeros(1 << bits, np.bool_)
        self._marks[self._keys >> self._shift] = True
        self._most = most
        self._seen = np.zeros(len(self._keys), np.int32)

    def pairs(self, others: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields pairs of a holder of a key and one of the others with the same key.

        Args:
          others: uint64 (m,), the keys of the others that come next.

        Yields:
          int64 (pairs,), holders, and int64 (pairs,), places among the others.
        """
        rows = np.flatnonzero(self._marks[others >> self._shift])
        if len(rows) == 0 or len(self._keys) == 0:
            return
        entries = np.searchsorted(self._keys, others[rows])
        entries = np.minimum(entries, len(self._keys) - 1)
        equal = self._keys[entries] == others[rows]
        rows, entries = self._not_too_many(rows[equal], entries[equal])
        sizes = self._ends[entries] - self._starts[entries]
        ends = np.cumsum(sizes)
        for start in range(0, int(ends[-1]) if len(ends) else 0, _PAIRS):
            numbers = np.arange(start, min(start + _PAIRS, int(ends[-1])))
            match = np.searchsorted(ends, numbers, side="right")
            within = numbers - (ends[match] - sizes[match])
            yield self._holders[self._starts[entries[match]] + within], rows[match]

    def _not_too_many(self, rows: np.ndarray, entries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Leaves those away that come when enough with their key have been there."""
        order = np.argsort(entries, kind="stable")
        rows, entries = rows[order], entries[order]
        distinct, first, counts = np.unique(entries, return_index=True, return_counts=True)
        rank = np.arange(len(entries)) - np.repeat(first, counts)
        few = rank + self._seen[entries] < self._most
        self._seen[distinct] = np.minimum(self._most, self._seen[distinct] + counts)
        return rows[few], entries[few]
