"""Files of documents are cut into pieces, each of which a worker reads by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from pangu_settings import UserError
from pipeline import storage
from pipeline.parts import Part
from pipeline.pieces.dedup_columns import Fields
from pipeline.reading.input_files import HEAD_BYTES, detect_format
from pipeline.reading.rows import PARQUET_BUFFER_BYTES

# Of a piece, before compression, where row groups allow it.
PIECE_BYTES, PIECE_ROWS = 64 << 20, 1 << 16
# Of a batch, whatever the length of the texts.
BATCH_BYTES, BATCH_ROWS = 8 << 20, 2048


@dataclass(frozen=True)
class Piece:
    """Consecutive row groups of a Parquet file.

    Attributes:
      part: its file is the user's, its path the Parquet file with the rows.
      fields: names of the columns; None where rows are `dedup_lines.LINE`.
      groups: number of the first row group, and of the one behind the last.
      first: number of the first row within the file.
      rows: how many.
    """

    part: Part
    fields: Fields | None
    groups: tuple[int, int]
    first: int
    rows: int

    def batches(
        self, columns: Sequence[str] | None = None, rows: int = BATCH_ROWS
    ) -> Iterator[pa.RecordBatch]:
        """Yields the rows as they are, about BATCH_BYTES and at most so many at a time.

        Args:
          columns: those that are not there are left out; None for all.
          rows: at most.

        Raises:
          UserError: they cannot be read.
        """
        with _opened(self.part.file, self.part.path) as table:
            there = table.schema_arrow.names
            chosen = None if columns is None else [name for name in columns if name in there]
            for group in range(*self.groups):
                metadata = table.metadata.row_group(group)
                fitting = BATCH_BYTES * metadata.num_rows // max(1, metadata.total_byte_size)
                most = max(1, min(rows, fitting))
                # In one thread: workers are processes.
                yield from table.iter_batches(most, [group], chosen, use_threads=False)

    def documents(self, names: Sequence[str], rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """Yields columns of `dedup_columns.DOCUMENT`, the text among them; see `batches`."""
        if self.fields is None:
            yield from self.batches(names, rows)
            return
        first = self.first
        own = [getattr(self.fields, name) for name in names]
        for batch in self.batches(own, rows):
            yield self.fields.of_parquet(self.part.file, first, batch, names)
            first += batch.num_rows


@contextmanager
def _opened(name: str, path: str) -> Iterator[pq.ParquetFile]:
    try:
        with storage.open_read(path) as file:
            yield pq.ParquetFile(file, buffer_size=PARQUET_BUFFER_BYTES, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{name}: cannot be read: {error}; leave it out, or mend it") from None


def is_lines(path: str) -> bool:
    """Whether a file holds JSON lines, or else Parquet.

    Raises:
      UserError: it holds neither.
    """
    with storage.open_read(path) as file:
        format = detect_format(path, file.read(HEAD_BYTES))
    if format not in ("parquet", "jsonl"):
        raise UserError(
            f"{path}: holds {format}, not documents; make documents of it first: "
            f"pangu extract {path} -o documents.parquet"
        )
    return format == "jsonl"


def cut(part: Part, path: str, fields: Fields | None) -> tuple[list[Piece], pa.Schema]:
    """The pieces of a file, and its columns.

    Args:
      part: the file.
      path: of the Parquet file with its rows.
      fields: see `Piece`.

    Raises:
      UserError: it cannot be read, or lacks a column.
    """
    with _opened(part.file, path) as table:
        schema = table.schema_arrow
        groups = [table.metadata.row_group(number) for number in range(table.num_row_groups)]
        counts = [(group.num_rows, group.total_byte_size) for group in groups]
    if fields is not None:
        fields.check(part.file, schema.names)
    pieces: list[Piece] = []
    start = first = rows = size = 0
    for end, (more_rows, more_bytes) in enumerate(counts, 1):
        rows, size = rows + more_rows, size + more_bytes
        if size >= PIECE_BYTES or rows >= PIECE_ROWS or end == len(counts):
            own = Part(f"{part.name}-{len(pieces):06d}", part.source, part.file, path, size)
            pieces.append(Piece(own, fields, (start, end), first, rows))
            start, first, rows, size = end, first + rows, 0, 0
    return pieces, schema
