"""The rows of files are written once more, with what stands for each of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import nlargest
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pangu_settings import UserError
from pipeline import storage
from pipeline.pieces.dedup_columns import LOST
from pipeline.pieces.dedup_lines import DEAD_LETTERS, no_table
from pipeline.pieces.dedup_pieces import Piece
from pipeline.pieces.document_files import STANDARD_OUTPUT, DocumentFile, beside
from pipeline.tables import read_batches, read_table, row_count, table_path

FOUND = pa.schema(
    [
        # A cluster is called by the document that stays.
        pa.field("cluster", pa.string()),
        pa.field("cluster_size", pa.int32()),
        pa.field("survivor", pa.bool_()),
        pa.field("survivor_id", pa.string()),
        # exact, url or near, and how alike the two are; null of a document that stays.
        pa.field("merged_by", pa.string()),
        pa.field("similarity", pa.float32()),
    ]
)
LARGEST = 5
# Rows go into Parquet in batches that begin where so many rows, or bytes of text, of all are full,
# so that the bytes of OUT do not depend on the row groups of the files.
_BATCH_ROWS, _BATCH_BYTES = 1024, 2 << 20
# Of a row beside its text, where row groups of OUT are measured.
_ROW_BYTES = 64


@dataclass
class Written:
    """What was done.

    Attributes:
      documents, text_bytes: that came in.
      survivors: documents that stay.
      merged: documents by kind.
      largest: (size, id of the survivor) of the largest clusters of two or more.
      dead: rows that are no documents; `first_dead` says why.
      dead_letters: the file that lists them; "" if there is none.
      replaced: fields of the files that gave way to one of FOUND.
    """

    documents: int = 0
    text_bytes: int = 0
    survivors: int = 0
    merged: Counter[str] = field(default_factory=Counter)
    largest: list[tuple[int, str]] = field(default_factory=list)
    dead: int = 0
    first_dead: str = ""
    dead_letters: str = ""
    replaced: set[str] = field(default_factory=set)

    def count(self, found: pa.Table, text_bytes: int) -> None:
        """Adds documents: rows of FOUND, and the bytes of their texts."""
        self.documents += found.num_rows
        self.text_bytes += text_bytes
        self.survivors += pc.sum(found.column("survivor")).as_py() or 0
        self.merged.update(found.column("merged_by").drop_null().to_pylist())
        is_large = pc.and_(found.column("survivor"), pc.greater(found.column("cluster_size"), 1))
        large = found.filter(is_large)
        sizes, ids = (large.column(name).to_pylist() for name in ("cluster_size", "cluster"))
        pairs = zip(sizes, ids, strict=True)
        self.largest = nlargest(LARGEST, [*self.largest, *pairs], key=lambda pair: pair[0])


def write_documents(
    pieces: Sequence[Piece],
    out: str,
    schema: pa.Schema,
    folder: str,
    merged: str,
    only_survivors: bool,
    on_progress: Callable[[int], None],
) -> Written:
    """Writes OUT.

    Args:
      pieces: of all files, in their order.
      out: Parquet, JSONL or `-`.
      schema: of the fields of all rows; only counts where OUT is Parquet.
      folder: with the table `verdicts` of the pieces, which has text_bytes.
      merged: with the table `verdicts` that says what stands for what
        (`pipeline.stages.deduplicate.MERGES`).
      only_survivors: leave out the other rows.
      on_progress: hears how many rows are written.

    Raises:
      UserError: rows do not fit one table; OUT cannot be written.
    """
    written = Written(first_dead=first_dead_letter(folder))
    write_dead_letters(folder, out, written)
    own = [f.with_nullable(True) for f in schema if f.name not in FOUND.names]
    with DocumentFile(out, pa.schema([*own, *FOUND])) as file:
        target = _ParquetRows(file, pa.schema(own)) if out.endswith(".parquet") else _JsonRows(file)
        rows = 0
        for piece in pieces:
            found = _found(read_table(table_path(merged, "verdicts", piece.part.name)))
            verdicts = read_table(table_path(folder, "verdicts", piece.part.name), ["text_bytes"])
            sizes = np.asarray(verdicts.column("text_bytes"))
            is_document = np.asarray(pc.greater(found.column("cluster_size"), 0))
            written.count(found.filter(pa.array(is_document)), int(sizes.sum()))
            wanted = is_document & (np.asarray(found.column("survivor")) | (not only_survivors))
            first = 0
            for batch in piece.batches():
                here = slice(first, first + batch.num_rows)
                chosen = pa.array(wanted[here])
                more = found.slice(first, batch.num_rows).filter(chosen)
                written.replaced |= target.write(
                    piece, batch.filter(chosen), more, sizes[here][wanted[here]]
                )
                first += batch.num_rows
                rows += batch.num_rows
                on_progress(rows)
        target.finish()
    return written


def _found(merges: pa.Table) -> pa.Table:
    """Columns of FOUND for rows of MERGES; the cluster size of what is no document is 0."""
    kinds = pc.if_else(merges.column("kept"), pa.scalar(None, pa.string()), merges.column("kind"))
    clusters = merges.column("cluster_id")
    columns = [clusters, merges.column("cluster_size"), merges.column("kept"), clusters, kinds]
    return pa.Table.from_arrays([*columns, merges.column("similarity")], schema=FOUND)


class _JsonRows:
    """Rows as JSON objects, each with the fields that it has."""

    def __init__(self, file: DocumentFile) -> None:
        self._file = file

    def write(
        self, piece: Piece, rows: pa.RecordBatch, found: pa.Table, sizes: np.ndarray
    ) -> set[str]:
        """Adds rows; returns the names of their own fields that gave way."""
        objects = _objects(piece, rows)
        more = found.to_pylist()
        self._file.write_rows([own | new for own, new in zip(objects, more, strict=True)])
        return {name for row in objects for name in FOUND.names if name in row}

    def finish(self) -> None:
        """Nothing waits."""


def _objects(piece: Piece, rows: pa.RecordBatch) -> list[dict[str, Any]]:
    if piece.fields is None:
        return [json.loads(line) for line in rows.column("line").to_pylist()]
    try:
        objects: list[dict[str, Any]] = rows.to_pylist()
    except UnicodeDecodeError as error:
        raise UserError(
            f"{piece.part.file}: holds text that is not UTF-8 ({error}), which JSON cannot; name "
            "an OUT that ends in .parquet"
        ) from None
    return objects


class _ParquetRows:
    """Rows as columns of one schema, in batches that depend on nothing but the rows."""

    def __init__(self, file: DocumentFile, schema: pa.Schema) -> None:
        self._file = file
        self._schema = schema
        self._waiting: list[pa.Table] = []
        self._waiting_bytes = 0
        self._batch = 0
        self._rows = self._bytes = 0

    def write(
        self, piece: Piece, rows: pa.RecordBatch, found: pa.Table, sizes: np.ndarray
    ) -> set[str]:
        """Adds rows; returns the names of their own fields that gave way."""
        own, replaced = self._own(piece, rows)
        schema = pa.schema([*self._schema, *FOUND])
        table = pa.Table.from_arrays([*own.columns, *found.columns], schema=schema)
        ends = self._bytes + np.cumsum(sizes)
        batches = (ends - sizes) // _BATCH_BYTES
        batches += np.arange(self._rows, self._rows + len(sizes)) // _BATCH_ROWS
        self._rows, self._bytes = self._rows + len(sizes), self._bytes + int(sizes.sum())
        borders = [0, *(np.flatnonzero(np.diff(batches)) + 1).tolist(), len(sizes)]
        for start, end in pairwise(borders):
            if start < end and batches[start] != self._batch:
                self.finish()
                self._batch = int(batches[start])
            self._waiting.append(table.slice(start, end - start))
            self._waiting_bytes += int(sizes[start:end].sum()) + _ROW_BYTES * (end - start)
        return replaced

    def _own(self, piece: Piece, rows: pa.RecordBatch) -> tuple[pa.RecordBatch, set[str]]:
        try:
            if piece.fields is None:
                objects = _objects(piece, rows)
                replaced = {name for row in objects for name in FOUND.names if name in row}
                return pa.RecordBatch.from_pylist(objects, schema=self._schema), replaced
            names = set(rows.schema.names)
            columns = [
                rows.column(field.name).cast(field.type)
                if field.name in names
                else pa.nulls(rows.num_rows, field.type)
                for field in self._schema
            ]
        except (pa.ArrowException, OverflowError) as error:
            raise no_table(piece.part.file, error) from None
        return pa.RecordBatch.from_arrays(columns, schema=self._schema), names & {*FOUND.names}

    def finish(self) -> None:
        """Writes what waits."""
        if self._waiting:
            for batch in pa.concat_tables(self._waiting).combine_chunks().to_batches():
                self._file.write(batch, self._waiting_bytes)
        self._waiting, self._waiting_bytes = [], 0


def write_dead_letters(folder: str, out: str, written: Written) -> None:
    """Writes what is no document into a file beside OUT, and takes away what lay there before."""
    names = storage.list_files(storage.join(folder, DEAD_LETTERS), ".parquet")
    paths = [storage.join(folder, DEAD_LETTERS, name) for name in names]
    written.dead = sum(map(row_count, paths))
    if out == STANDARD_OUTPUT:
        return
    path = beside(out, DEAD_LETTERS)
    if not written.dead:
        storage.delete(path)
        return
    written.dead_letters = path
    with DocumentFile(path, LOST) as file:
        for batch in (batch for path in paths for batch in read_batches(path)):
            file.write(batch)


def first_dead_letter(folder: str) -> str:
    """A line about the first row that is no document; "" if all are."""
    below = storage.join(folder, DEAD_LETTERS)
    for name in storage.list_files(below, ".parquet"):
        for batch in read_batches(storage.join(below, name), rows=1):
            file, row, _, detail = batch.to_pylist()[0].values()
            return f"{file}, row {row}: {detail}"
    return ""
