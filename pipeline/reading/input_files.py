"""Records out of the files that a corpus starts from: WARC, WET, HTML, Parquet, JSONL, plain text.

`read_records` yields a `Record` for every page or text, and a `Damage` for everything that
cannot be read; it raises only when the storage itself fails. Files may be compressed with gzip
or zstd, which is told by their content. Memory does not grow with the file.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import BinaryIO

from filters.encoding import UndecodableError, decode_page
from pangu_settings import UserError
from pipeline.reading.html_page import looks_like_html, read_html
from pipeline.reading.http_message import (
    BodyTooLargeError,
    decode_body,
    parse_content_type,
    parse_http,
)
from pipeline.reading.members import DamagedMemberError, MemberStream
from pipeline.reading.record import DAMAGE_ERRORS, Damage, ReadLimits, Record, TextFields
from pipeline.reading.rows import read_jsonl, read_parquet, read_text
from pipeline.reading.warc import WarcRecord, read_warc_records

__all__ = [
    "DAMAGE_ERRORS",
    "FORMATS",
    "Damage",
    "ReadLimits",
    "Record",
    "TextFields",
    "detect_format",
    "format_of_name",
    "read_records",
]

FORMATS = ("warc", "wet", "html", "parquet", "jsonl", "text")
HEAD_BYTES = 4096
UNPACKED_HEAD_BYTES = 2**20

_FORMAT_OF_SUFFIX = {
    "warc": "warc",
    "arc": "warc",
    "wat": "warc",
    "wet": "wet",
    "html": "html",
    "htm": "html",
    "xhtml": "html",
    "shtml": "html",
    "parquet": "parquet",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "json": "jsonl",
    "txt": "text",
    "text": "text",
}


def read_records(
    file: BinaryIO,
    name: str,
    format: str,
    limits: ReadLimits,
    fields: TextFields | None = None,
) -> Iterator[Record | Damage]:
    """Reads one input file from its beginning.

    Args:
      file: binary and seekable.
      name: of the file, for `auto` and messages.
      format: one of FORMATS, or "auto": see `detect_format`.
      limits: what one record may cost.
      fields: where the text is, for Parquet, JSONL and text.

    Raises:
      UserError: the format is unknown.
    """
    fields = fields or TextFields()
    if format == "auto":
        try:
            format = detect_format(name, file.read(HEAD_BYTES))
        except UserError as error:
            return iter([Damage(0, "damaged_file", str(error))])
        file.seek(0)
    if format in ("warc", "wet"):
        return _read_pages(file, limits)
    if format == "html":
        return read_html(file, limits)
    if format == "parquet":
        return read_parquet(file, limits, fields)
    if format == "jsonl":
        return read_jsonl(file, limits, fields)
    if format == "text":
        return read_text(file, limits, fields)
    raise UserError(f"{name}: unknown format '{format}'; known: auto, {', '.join(FORMATS)}")


def detect_format(name: str, head: bytes) -> str:
    """Tells the format of a file: by its content where that is sure, else by its name.

    Args:
      name: of the file, with any path and compression suffix.
      head: its first bytes as stored, 4 KB if there are as many.

    Returns:
      One of FORMATS. Files of a known name that do not hold what it says (`.warc.gz` with HTML in
      it, `.arc`) get the format of the name; reading them tells what is wrong.

    Raises:
      UserError: neither name nor content tells.
    """
    by_name = format_of_name(name)
    content = _unpack_head(head)
    if content.startswith(b"PAR1"):
        return "parquet"
    if content.startswith(b"WARC/"):
        return "wet" if by_name == "wet" else "warc"
    if by_name:
        return by_name
    if content.lstrip().startswith(b"{"):
        return "jsonl"
    if looks_like_html(content):
        return "html"
    is_utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    if is_utf16 or (content and b"\0" not in content and not content.lstrip().startswith(b"<")):
        return "text"
    raise UserError(
        f"{name}: cannot tell what format this is; "
        f"set the source's `format` to one of: {', '.join(FORMATS)}"
    )


def format_of_name(name: str) -> str:
    """The format that a file's name tells, "" if it tells none."""
    parts = name.rsplit("/", 1)[-1].lower().split(".")
    return next((_FORMAT_OF_SUFFIX[part] for part in parts[:0:-1] if part in _FORMAT_OF_SUFFIX), "")


def _unpack_head(head: bytes) -> bytes:
    try:
        piece = MemberStream(io.BytesIO(head), allowance=UNPACKED_HEAD_BYTES).read()
    except DamagedMemberError:
        return b""
    return piece.data if piece else b""


def _read_pages(file: BinaryIO, limits: ReadLimits) -> Iterator[Record | Damage]:
    for item in read_warc_records(file, limits):
        yield item if isinstance(item, Damage) else page_of(item, limits)


def page_of(record: WarcRecord, limits: ReadLimits) -> Record | Damage:
    """Takes a WARC record apart: HTTP headers, encodings, address, capture time.

    Returns:
      Damage `too_large` if the body decodes to more than the limit, `undecodable` for extracted
      text (a WET's conversion record) that no encoding reads.
    """
    headers = record.headers
    record_type = headers["warc-type"].lower()
    url = headers.get("warc-target-uri", "").removeprefix("<").removesuffix(">")
    captured_at = _parse_date(headers.get("warc-date", ""))
    block_type, charset = parse_content_type(headers.get("content-type", ""))
    if record_type == "conversion" and block_type == "text/plain":
        try:
            text = decode_page(record.block, charset).text
        except UndecodableError as error:
            return Damage(record.offset, "undecodable", f"{url}: {error}")
        return Record(
            offset=record.offset,
            kind="text",
            url=url,
            captured_at=captured_at,
            content_type=block_type,
            record_type=record_type,
            text=text,
        )
    status, body, content_type = None, record.block, block_type
    if block_type in ("application/http", "") and record_type in ("response", "revisit"):
        message = parse_http(record.block)
        status = message.status
        content_type, charset = parse_content_type(message.headers.get("content-type", ""))
        try:
            body = decode_body(message, limits.max_record_bytes)
        except BodyTooLargeError as error:
            return Damage(record.offset, "too_large", f"{url}: {error}")
    return Record(
        offset=record.offset,
        kind="html",
        url=url,
        captured_at=captured_at,
        content_type=content_type,
        charset=charset,
        http_status=status,
        record_type=record_type,
        body=body,
    )


def _parse_date(value: str) -> datetime | None:
    """WARC-Date, whole seconds in UTC."""
    try:
        date = datetime.fromisoformat(value)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    try:
        return date.astimezone(UTC).replace(microsecond=0)
    except OverflowError:
        return None
