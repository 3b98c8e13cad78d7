"""Rows of integers that may not fit into memory, divided by number into files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from types import TracebackType

import numpy as np

from pipeline import storage

_SUFFIX = ".rows"
# Read at a time.
_BLOCK_BYTES = 16 << 20


class RowFiles:
    """Rows of `width` uint64, in numbered groups; each group is read back in blocks.

    Rows wait in memory until there are `memory` bytes of them. As a context manager, writes the
    rest when the block ends; then they can be read.
    """

    def __init__(self, folder: str, width: int, memory: int) -> None:
        self._folder = folder
        self._width = width
        self._memory = memory
        self._waiting: dict[int, list[np.ndarray]] = defaultdict(list)
        self._waiting_bytes = 0
        self._files: dict[int, list[str]] = defaultdict(list)
        self.rows: dict[int, int] = defaultdict(int)

    def add(self, rows: np.ndarray, groups: np.ndarray) -> None:
        """Adds rows.

        Args:
          rows: integers (n, width), none negative.
          groups: int64 (n,), the number of each row's group.
        """
        order = np.argsort(groups, kind="stable")
        rows, groups = rows[order].astype("<u8"), groups[order]
        borders = np.flatnonzero(np.diff(groups)) + 1
        for chosen in np.split(np.arange(len(groups)), borders) if len(groups) else ():
            group = int(groups[chosen[0]])
            self._waiting[group].append(rows[chosen])
            self.rows[group] += len(chosen)
        self._waiting_bytes += rows.nbytes
        if self._waiting_bytes >= self._memory:
            self._flush()

    def _flush(self) -> None:
        for group, waiting in sorted(self._waiting.items()):
            name = f"{group:06d}-{len(self._files[group]):06d}{_SUFFIX}"
            path = storage.join(self._folder, name)
            with storage.write_atomically(path) as file:
                for rows in waiting:
                    file.write(rows.tobytes())
            self._files[group].append(path)
        self._waiting.clear()
        self._waiting_bytes = 0

    def read(self, group: int) -> Iterator[np.ndarray]:
        """Yields the rows of a group as uint64 (n, width), in no order that means anything."""
        row_bytes = 8 * self._width
        for path in self._files.get(group, ()):
            with storage.open_read(path) as file:
                while data := file.read(_BLOCK_BYTES // row_bytes * row_bytes):
                    yield np.frombuffer(data, "<u8").reshape(-1, self._width).astype(np.uint64)

    def groups(self) -> list[int]:
        """Numbers of the groups that have rows."""
        return sorted(self.rows)

    def delete(self) -> None:
        """Deletes the files."""
        storage.delete(self._folder)

    def __enter__(self) -> RowFiles:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self._flush()
