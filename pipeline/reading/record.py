"""What reading yields: page records, and notes about what could not be read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import Field

from pangu_settings import Settings

# Closed vocabulary of Damage.error. The extract stage adds `extraction_failed` and `too_slow`, for
# pages that read well but break main-text extraction.
DAMAGE_ERRORS = ("damaged_record", "damaged_file", "too_large", "undecodable", "bad_row")


@dataclass(frozen=True, slots=True)
class Record:
    """One page or text of an input file.

    Attributes:
      offset: where it is, unique within its file: the byte offset of the record as stored (see
        `pipeline.reading.warc` for compressed files), the row number (Parquet, JSONL), or the byte
        offset of the document in the decompressed file (text).
      kind: "html" when `body` holds bytes still to be decoded, "text" when `text` is filled.
      captured_at: WARC-Date in UTC.
      content_type: media type, lower case, without parameters; "" if unknown.
      charset: label declared by the HTTP header, lower case, as written there.
      http_status: of responses, where the status line can be read.
      record_type: response, resource, conversion or revisit (WARC); page (HTML files); row
        (Parquet, JSONL); document (text).
      body: transfer and content encodings removed.
    """

    offset: int
    kind: Literal["html", "text"]
    url: str = ""
    title: str = ""
    captured_at: datetime | None = None
    content_type: str = ""
    charset: str | None = None
    http_status: int | None = None
    record_type: str = "row"
    body: bytes = b""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that could not become a Record; reading went on behind it.

    Attributes:
      offset: as Record.offset.
      error: one of DAMAGE_ERRORS.
      detail: what was found, for a person to read.
    """

    offset: int
    error: str
    detail: str


class ReadLimits(Settings):
    """What one record may cost."""

    max_record_bytes: int = Field(
        16 * 2**20,
        gt=0,
        description="most bytes of a record, a row, or a page after decompression",
    )


@dataclass(frozen=True)
class TextFields:
    """Where the text of JSONL, Parquet and text files is.

    Attributes:
      text, url, title: names of fields; the last two may be missing in the data.
      documents: how text files are cut: the whole file is one document, or documents are
        separated by blank lines, as PanGu-α's own preprocessing has it.
    """

    text: str = "text"
    url: str = "url"
    title: str = "title"
    documents: Literal["file", "blank_line"] = "blank_line"
