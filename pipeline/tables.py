"""Parquet tables of a stage: one file for each part, rows in reading order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.documents import BATCH_ROWS

# Rows are gathered into row groups of about this many bytes before compression.
ROW_GROUP_BYTES = 16 << 20


def table_path(folder: str, table: str, part: str) -> str:
    """Where a stage keeps one part of one of its tables."""
    return storage.join(folder, table, f"{part}.parquet")


class TableWriter:
    """Writes one Parquet file that appears whole when the writer is closed without an error."""

    def __init__(self, path: str, schema: pa.Schema) -> None:
        self.schema = schema
        self.rows = 0
        self._stack = ExitStack()
        self._file = self._stack.enter_context(storage.write_atomically(path))
        self._writer = self._stack.enter_context(
            pq.ParquetWriter(self._file, schema, compression="zstd", write_page_index=False)
        )
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_bytes = 0

    def write(self, batch: pa.RecordBatch, size: int | None = None) -> None:
        """Adds the rows of a batch with exactly the schema's columns.

        Args:
          batch: the rows.
          size: bytes that it counts for where row groups are divided; what it takes in memory,
            unless given.
        """
        if batch.num_rows == 0:
            return
        self._waiting.append(batch.cast(self.schema) if batch.schema != self.schema else batch)
        self._waiting_bytes += batch.nbytes if size is None else size
        self.rows += batch.num_rows
        if self._waiting_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            table = pa.Table.from_batches(self._waiting, self.schema)
            self._writer.write_table(table, row_group_size=max(1, table.num_rows))
        self._waiting, self._waiting_bytes = [], 0

    def facts(self, path: str) -> storage.ListedFile:
        """Size and digest of the finished file; valid after the writer was closed."""
        return storage.ListedFile(path, self._file.bytes, self._file.sha256)

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            try:
                self._flush()
            except BaseException as failure:
                self._stack.__exit__(type(failure), failure, failure.__traceback__)
                raise
        self._stack.__exit__(kind, error, traceback)


def read_batches(
    path: str, columns: Sequence[str] | None = None, rows: int = BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a Parquet file, at most `rows` of one row group at a time, in order.

    Row groups end at ROW_GROUP_BYTES, so a batch stays small where rows are large.
    """
    chosen = list(columns) if columns else None
    with storage.open_read(path) as file, pq.ParquetFile(file) as table:
        for group in range(table.num_row_groups):
            yield from table.iter_batches(rows, row_groups=[group], columns=chosen)


def read_table(
    path: str, columns: Sequence[str] | None = None, where: pc.Expression | None = None
) -> pa.Table:
    """Reads chosen columns of one Parquet file; for columns that are small beside the text.

    Row groups that cannot hold a row for which `where` is true are not read.
    """
    with storage.open_read(path) as file:
        return pq.read_table(file, columns=list(columns) if columns else None, filters=where)


def read_rows(path: str, rows: Sequence[int], columns: Sequence[str] | None = None) -> pa.Table:
    """Reads chosen rows of one Parquet file, in the order asked for.

    Only the row groups that hold one of them are read.

    Raises:
      IndexError: there is no such row.
    """
    wanted = np.asarray(rows, np.int64)
    order = np.argsort(wanted, kind="stable")
    ascending = wanted[order]
    with storage.open_read(path) as file, pq.ParquetFile(file) as table:
        if len(wanted) and not 0 <= ascending[0] <= ascending[-1] < table.metadata.num_rows:
            raise IndexError(f"{path}: has no row {ascending[-1]}")
        schema = table.schema_arrow
        names = list(columns) if columns else schema.names
        found = [pa.schema([schema.field(name) for name in names]).empty_table()]
        first = 0
        for group in range(table.num_row_groups):
            after = first + table.metadata.row_group(group).num_rows
            here = ascending[np.searchsorted(ascending, first) : np.searchsorted(ascending, after)]
            if len(here):
                found.append(table.read_row_group(group, names).select(names).take(here - first))
            first = after
    return pa.concat_tables(found).take(np.argsort(order, kind="stable"))


def row_count(path: str) -> int:
    """Number of rows, from the file's footer."""
    with storage.open_read(path) as file, pq.ParquetFile(file) as table:
        return int(table.metadata.num_rows)


class RowBuffer:
    """Collects rows and gives them back as record batches of bounded size."""

    def __init__(self, schema: pa.Schema, most_rows: int, most_characters: int) -> None:
        self._schema = schema
        self._most_rows = most_rows
        self._most_characters = most_characters
        self._rows: list[dict[str, Any]] = []
        self._characters = 0

    def add(self, row: dict[str, Any], characters: int = 0) -> pa.RecordBatch | None:
        """Adds a row; returns a full batch when there is one."""
        self._rows.append(row)
        self._characters += characters
        full = len(self._rows) >= self._most_rows or self._characters >= self._most_characters
        return self.take() if full else None

    def take(self) -> pa.RecordBatch:
        """Returns what has been collected, which may be nothing."""
        batch = pa.RecordBatch.from_pylist(self._rows, schema=self._schema)
        self._rows, self._characters = [], 0
        return batch
