"""Texts out of JSONL, Parquet and plain text files."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from filters.encoding import UndecodableError, decode_page
from pipeline.reading.members import DamagedMemberError, MemberStream
from pipeline.reading.record import Damage, ReadLimits, Record, TextFields

PARQUET_BATCH_ROWS = 64
PARQUET_BUFFER_BYTES = 2**20
# Room for the encodings of one row limit; a bomb runs into it.
ALLOWANCE_LIMITS = 64
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_jsonl(file: BinaryIO, limits: ReadLimits, fields: TextFields) -> Iterator[Record | Damage]:
    """Reads one JSON object a line; a record's offset is its line number, counted from 0.

    Lines that are not an object with a text are Damage `bad_row`. Blank lines are overlooked.
    """
    for item in read_json_rows(file, limits):
        yield item if isinstance(item, Damage) else _record_of_row(*item, limits, fields)


def read_json_rows(
    file: BinaryIO, limits: ReadLimits
) -> Iterator[tuple[int, dict[str, Any]] | Damage]:
    """Reads one JSON object a line: (line number from 0, object), or what is wrong with a line."""
    number = -1
    for item in _read_lines(file, limits.max_record_bytes):
        number += 1
        if isinstance(item, DamagedMemberError):
            yield Damage(number, "damaged_record", f"lines are missing from here: {item.detail}")
        elif item.content is None:
            yield Damage(number, "too_large", _too_large(item.size, limits))
        elif item.content.strip():
            try:
                row = json.loads(item.content)
            except (ValueError, RecursionError) as error:
                yield Damage(number, "bad_row", f"not JSON: {error}")
                continue
            if isinstance(row, dict):
                yield number, row
            else:
                yield Damage(number, "bad_row", f"a JSON {type(row).__name__}, not an object")


def read_parquet(
    file: BinaryIO, limits: ReadLimits, fields: TextFields
) -> Iterator[Record | Damage]:
    """Reads the rows of a Parquet file; a record's offset is its row number.

    After a damaged row group the next one is read.
    """
    try:
        parquet = pq.ParquetFile(file, buffer_size=PARQUET_BUFFER_BYTES, pre_buffer=False)
        names = parquet.schema_arrow.names
    except (pa.ArrowException, OSError) as error:
        yield Damage(0, "damaged_file", f"not a Parquet file: {error}")
        return
    if fields.text not in names:
        detail = f"no column '{fields.text}'; set `text_field` to one of: {', '.join(names)}"
        yield Damage(0, "damaged_file", detail)
        return
    columns = [name for name in (fields.text, fields.url, fields.title) if name in names]
    first_row = 0
    for group in range(parquet.num_row_groups):
        row_number = first_row
        first_row += parquet.metadata.row_group(group).num_rows
        batches = parquet.iter_batches(
            PARQUET_BATCH_ROWS, row_groups=[group], columns=columns, use_threads=False
        )
        try:
            for batch in batches:
                for index in range(batch.num_rows):
                    yield _parquet_row(batch, index, row_number, limits, fields)
                    row_number += 1
        except (pa.ArrowException, OSError) as error:
            detail = f"rows {row_number} to {first_row - 1} cannot be read: {error}"
            yield Damage(row_number, "damaged_record", detail)


def _parquet_row(
    batch: pa.RecordBatch, index: int, number: int, limits: ReadLimits, fields: TextFields
) -> Record | Damage:
    try:
        row = {
            name: column[index].as_py()
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        }
    except UnicodeDecodeError as error:
        return Damage(number, "bad_row", f"not UTF-8: {error}")
    return _record_of_row(number, row, limits, fields)


def read_text(file: BinaryIO, limits: ReadLimits, fields: TextFields) -> Iterator[Record | Damage]:
    """Reads plain text in any encoding: a document a file, or documents between blank lines.

    Blank lines are the convention of PanGu-α's released preprocessing. A document's offset is
    that of its first byte in the decompressed file.
    """
    whole_file = fields.documents == "file"
    encoding: str | None = None
    for item in _join_lines(_read_lines(file, limits.max_record_bytes), limits, whole_file):
        if isinstance(item, Damage):
            yield item
            continue
        offset, content = item
        if not whole_file and offset == 0 and content.startswith(UTF16_MARKS):
            detail = "UTF-16 cannot be cut at blank lines; convert the file to UTF-8"
            yield Damage(0, "damaged_file", detail)
            return
        try:
            decoded = decode_page(content, encoding)
        except UndecodableError as error:
            yield Damage(offset, "undecodable", str(error))
            continue
        # A file has one encoding as a rule: what one document shows helps with a shorter one.
        encoding = decoded.encoding
        if decoded.text.strip():
            yield Record(
                offset,
                "text",
                content_type="text/plain",
                record_type="document",
                text=decoded.text.replace("\r\n", "\n").strip("\r\n"),
            )


@dataclass(frozen=True, slots=True)
class _Line:
    """A line without its line feed; content is None if it is longer than the limit."""

    offset: int
    content: bytes | None
    size: int


def _read_lines(file: BinaryIO, limit: int) -> Iterator[_Line | DamagedMemberError]:
    """Lines of a file that may be compressed, in bounded memory."""
    stream = MemberStream(file, allowance=ALLOWANCE_LIMITS * limit)
    # The line that is being put together: where it begins, its parts so far, their length.
    offset, parts, size = 0, list[bytes](), 0
    while True:
        try:
            piece = stream.read()
        except DamagedMemberError as problem:
            yield problem
            if not stream.resume(b""):
                return
            parts, size = [], 0
            continue
        if piece is None:
            break
        first, *others = piece.data.split(b"\n")
        parts.append(first)
        size += len(first)
        for start_of_next in others:
            yield _line(offset, parts, size, limit)
            offset += size + 1
            parts, size = [start_of_next], len(start_of_next)
        if size > limit:
            # Of a line that is too long only its length is kept.
            parts = []
        if any(others):
            stream.renew_allowance()
    if size:
        yield _line(offset, parts, size, limit)


def _line(offset: int, parts: list[bytes], size: int, limit: int) -> _Line:
    return _Line(offset, None if size > limit else b"".join(parts), size)


def _join_lines(
    lines: Iterator[_Line | DamagedMemberError], limits: ReadLimits, whole_file: bool
) -> Iterator[tuple[int, bytes] | Damage]:
    """(offset, bytes) of each document of a text file, or what is wrong with it."""
    start, parts, size = 0, list[bytes](), 0
    for line in lines:
        if isinstance(line, DamagedMemberError):
            yield Damage(start, "damaged_record", f"text is missing from here: {line.detail}")
            parts, size = [], 0
            continue
        is_blank = line.content is not None and not line.content.strip()
        if not is_blank or whole_file:
            if size == 0:
                start = line.offset
            size += line.size + 1
            if size <= limits.max_record_bytes and line.content is not None:
                parts.append(line.content)
            else:
                parts = []
        elif size:
            yield _document(start, parts, size, limits)
            parts, size = [], 0
    if size:
        yield _document(start, parts, size, limits)


def _document(
    start: int, lines: list[bytes], size: int, limits: ReadLimits
) -> tuple[int, bytes] | Damage:
    if size > limits.max_record_bytes:
        return Damage(start, "too_large", _too_large(size, limits))
    return start, b"\n".join(lines)


def _record_of_row(
    number: int, row: dict[str, Any], limits: ReadLimits, fields: TextFields
) -> Record | Damage:
    text = row.get(fields.text)
    if not isinstance(text, str):
        found = "is missing" if text is None else f"is of type {type(text).__name__}"
        return Damage(number, "bad_row", f"field '{fields.text}' {found}; expected text")
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > limits.max_record_bytes:
        return Damage(number, "too_large", _too_large(size, limits))
    url, title = row.get(fields.url), row.get(fields.title)
    return Record(
        number,
        "text",
        url=whole_characters(url) if isinstance(url, str) else "",
        title=whole_characters(title) if isinstance(title, str) else "",
        content_type="text/plain",
        text=whole_characters(text),
    )


def whole_characters(text: str) -> str:
    r"""Joins surrogate pairs and replaces single ones, which JSON allows (\ud83d) and UTF-8 not."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _too_large(size: int, limits: ReadLimits) -> str:
    return f"{size:,} bytes, the limit is {limits.max_record_bytes:,}"
