"""`pangu filter FILE… -o OUT`: files of documents in, the same documents with verdicts out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pangu_settings import UserError, nearest
from pipeline import storage
from pipeline.documents import BATCH_CHARACTERS, BATCH_ROWS
from pipeline.pieces.document_files import DocumentFile
from pipeline.pieces.filter_documents import KEPT, DocumentFilter
from pipeline.reading.input_files import detect_format
from pipeline.reading.record import Damage, ReadLimits
from pipeline.reading.rows import read_json_rows, whole_characters

HEAD_BYTES = 4096
BATCH_BYTES = 8 << 20


@dataclass(frozen=True)
class Fields:
    """Names of the fields that hold a document's text and title; all others are copied."""

    text: str = "text"
    title: str = "title"


@dataclass
class Filtered:
    """What was done.

    Attributes:
      outcomes: documents by outcome: kept, or the rule that drops them.
      text_bytes: of UTF-8 text that came in.
      bad_lines: lines that are no documents and are left out; `first_bad_line` says why.
      replaced: fields of the input that gave way to a signal of the same name.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    text_bytes: int = 0
    bad_lines: int = 0
    first_bad_line: str = ""
    replaced: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class _Batch:
    """Some documents of one file: what is judged, and the whole rows as they were read.

    `share` is how much of the file is read.
    """

    path: str
    share: float
    titles: pa.Array
    texts: pa.Array
    rows: pa.RecordBatch | list[dict[str, Any]]


def filter_files(
    paths: Sequence[str],
    out: str,
    documents: DocumentFilter,
    fields: Fields,
    only_kept: bool = False,
    on_progress: Callable[[int, float], None] = lambda documents, share: None,
) -> Filtered:
    """Writes the documents of Parquet and JSONL files with their signals and verdicts.

    Args:
      paths: the files; they are read in this order, a batch at a time.
      out: where the documents go: Parquet or JSONL by its name, see DocumentFile.
      documents: what cleans and judges them.
      fields: which fields hold text and title.
      only_kept: leave out what a rule drops.
      on_progress: hears how many documents are done, and what share of all bytes.

    Raises:
      UserError: a file is of another kind, cannot be read, or has other columns than the first
        where OUT is Parquet.
    """
    done = Filtered()
    sizes = [max(1, storage.size(path)) for path in paths]
    with ExitStack() as stack:
        target: DocumentFile | None = None
        for index, path in enumerate(paths):
            for batch in _read(path, fields, done):
                judged = documents.judge(batch.titles, batch.texts)
                done.outcomes.update(judged.column("rule").fill_null(KEPT).to_pylist())
                done.text_bytes += batch.texts.nbytes
                rows = _joined(batch, judged, fields, done)
                if target is None:
                    schema = _schema(batch.path, rows, judged.schema, out)
                    target = stack.enter_context(DocumentFile(out, schema))
                if only_kept:
                    rows = _chosen(rows, np.asarray(judged.column("verdict")) == KEPT)
                _write(batch.path, rows, target)
                share = (sum(sizes[:index]) + batch.share * sizes[index]) / sum(sizes)
                on_progress(done.outcomes.total(), share)
        if target is None:
            stack.enter_context(DocumentFile(out, documents.schema))
    return done


def _read(path: str, fields: Fields, done: Filtered) -> Iterator[_Batch]:
    with storage.open_read(path) as file:
        format = detect_format(path, file.read(HEAD_BYTES))
        file.seek(0)
        if format == "parquet":
            yield from _read_parquet(path, file, fields)
        elif format == "jsonl":
            yield from _read_jsonl(path, file, fields, done)
        else:
            raise UserError(
                f"{path}: holds {format}, not documents; make documents of it first: "
                f"pangu extract {path} -o documents.parquet"
            )


def _read_parquet(path: str, file: Any, fields: Fields) -> Iterator[_Batch]:
    try:
        parquet = pq.ParquetFile(file)
        names = parquet.schema_arrow.names
        if fields.text not in names:
            raise UserError(f"{path}: has no column '{fields.text}'{nearest(fields.text, names)}")
        read = 0
        for batch in parquet.iter_batches(_rows_at_a_time(parquet.metadata)):
            read += batch.num_rows
            texts = batch.column(fields.text).cast(pa.string()).fill_null("")
            titles = pa.array([""] * batch.num_rows, pa.string())
            if fields.title in names:
                titles = batch.column(fields.title).cast(pa.string()).fill_null("")
            yield _Batch(path, read / parquet.metadata.num_rows, titles, texts, batch)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None


def _rows_at_a_time(metadata: pq.FileMetaData) -> int:
    """So many rows that a batch has about BATCH_BYTES, whatever the length of the texts."""
    size = sum(
        metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups)
    )
    return max(1, min(BATCH_ROWS, BATCH_BYTES * metadata.num_rows // max(1, size)))


def _read_jsonl(path: str, file: Any, fields: Fields, done: Filtered) -> Iterator[_Batch]:
    rows: list[dict[str, Any]] = []
    characters, size = 0, max(1, storage.size(path))
    for item in read_json_rows(file, ReadLimits()):
        if isinstance(item, Damage):
            _note_bad_line(done, path, item.offset, item.detail)
            continue
        number, row = item
        text = row.get(fields.text)
        if not isinstance(text, str):
            _note_bad_line(done, path, number, f"no text in field '{fields.text}'")
            continue
        rows.append(row)
        characters += len(text)
        if len(rows) == BATCH_ROWS or characters >= BATCH_CHARACTERS:
            yield _json_batch(path, file.tell() / size, rows, fields)
            rows, characters = [], 0
    if rows:
        yield _json_batch(path, 1.0, rows, fields)


def _json_batch(path: str, share: float, rows: list[dict[str, Any]], fields: Fields) -> _Batch:
    found = [row.get(fields.title) for row in rows]
    titles = [whole_characters(title) if isinstance(title, str) else "" for title in found]
    texts = [whole_characters(row[fields.text]) for row in rows]
    return _Batch(path, share, pa.array(titles, pa.string()), pa.array(texts, pa.string()), rows)


def _note_bad_line(done: Filtered, path: str, number: int, detail: str) -> None:
    done.bad_lines += 1
    done.first_bad_line = done.first_bad_line or f"{path}, line {number + 1}: {detail}"


def _joined(
    batch: _Batch, judged: pa.RecordBatch, fields: Fields, done: Filtered
) -> pa.RecordBatch | list[dict[str, Any]]:
    """The rows with the cleaned text in its place and everything that was found behind."""
    names = [fields.text, *judged.schema.names[1:]]
    if isinstance(batch.rows, list):
        done.replaced.update(name for row in batch.rows for name in names[1:] if name in row)
        found = judged.rename_columns(names).to_pylist()
        return [{**row, **more} for row, more in zip(batch.rows, found, strict=True)]
    done.replaced.update({*names[1:]} & {*batch.rows.schema.names})
    columns = dict(zip(batch.rows.schema.names, batch.rows.columns, strict=True))
    columns |= dict(zip(names, judged.columns, strict=True))
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _chosen(
    rows: pa.RecordBatch | list[dict[str, Any]], wanted: np.ndarray
) -> pa.RecordBatch | list[dict[str, Any]]:
    if isinstance(rows, list):
        return [row for row, is_wanted in zip(rows, wanted.tolist(), strict=True) if is_wanted]
    return rows.filter(pa.array(wanted))


def _schema(
    path: str, rows: pa.RecordBatch | list[dict[str, Any]], judged: pa.Schema, out: str
) -> pa.Schema:
    if not isinstance(rows, list):
        return rows.schema
    if not out.endswith(".parquet"):
        return pa.schema([])  # JSON objects are written as they are
    try:
        # pyarrow would take the fields of the first row alone.
        names = list(dict.fromkeys(name for row in rows for name in row))
        found = pa.Table.from_pydict({n: [row.get(n) for row in rows] for n in names}).schema
    except pa.ArrowException as error:
        raise _does_not_fit(path, error) from None
    types = dict(zip(judged.names[1:], judged.types[1:], strict=True))
    # A field that is null in all of these rows may be anything in later ones; most often text.
    types |= {f.name: pa.string() for f in found if f.name not in types and f.type == pa.null()}
    return pa.schema([pa.field(f.name, types.get(f.name, f.type)) for f in found])


def _write(path: str, rows: pa.RecordBatch | list[dict[str, Any]], target: DocumentFile) -> None:
    try:
        if isinstance(rows, list):
            target.write_rows(rows)
        else:
            target.write(rows)
    except (KeyError, pa.ArrowException) as error:
        raise _does_not_fit(path, error) from None


def _does_not_fit(path: str, error: Exception) -> UserError:
    return UserError(
        f"{path}: its fields do not fit one table ({error}); "
        "name an OUT that ends in .jsonl or .jsonl.gz, or filter this file on its own"
    )
