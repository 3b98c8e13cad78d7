"""One page record into a document's text, or into the reason why it is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from filters.chinese_prefilter import chinese_in_bytes
from filters.encoding import UndecodableError, decode_page
from filters.extraction_libraries import Library, LibraryError, library_text
from filters.main_text import ExtractionError, extract_main_text
from pipeline.reading.extract_settings import ExtractSettings
from pipeline.reading.html_page import looks_like_html
from pipeline.reading.record import Record
from pipeline.reading.timed_process import ProcessDiedError, TimedProcess, TooSlowError

HTML_TYPES = ("text/html", "application/xhtml+xml")
# What servers say of a file that they know nothing about; such a page is known by its start.
UNSPECIFIC_TYPES = ("", "application/octet-stream", "text/plain", "unknown/unknown")

# Closed vocabulary, in the order in which a page meets them.
DropRule = Literal["revisit", "http_status", "content_type", "no_chinese_bytes", "no_main_text"]


@dataclass(frozen=True, slots=True)
class Extracted:
    """The text of a page and how it was found.

    Attributes:
      encoding: codec that read the bytes, "" where the text was given as text.
      replaced: characters that could not be decoded.
      method: what found the main text, "" where the text was given as text.
    """

    title: str
    text: str
    encoding: str = ""
    replaced: int = 0
    method: str = ""


@dataclass(frozen=True, slots=True)
class Dropped:
    """Why a page is not a document: rule, what was found, what would have passed."""

    rule: DropRule
    value: str
    limit: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why nothing could be made of a page: a word of the dead-letter vocabulary, and details."""

    error: str
    detail: str


class PageExtractor:
    """Turns page records into text; holds what is worth keeping from page to page."""

    def __init__(self, settings: ExtractSettings) -> None:
        self._settings = settings
        self._libraries = TimedProcess(library_text, settings.max_record_seconds)

    def extract(self, record: Record) -> Extracted | Dropped | Unreadable:
        """The text of a record, or the reason why it has none."""
        if record.record_type == "revisit":
            return Dropped("revisit", "revisit", "a record with content")
        if record.http_status is not None and record.http_status != 200:
            return Dropped("http_status", str(record.http_status), "200")
        if record.kind == "text":
            return _with_text(Extracted(record.title, record.text))
        if not is_html(record):
            return Dropped("content_type", record.content_type or "none", " or ".join(HTML_TYPES))
        enough = self._settings.chinese_prefilter
        shown = chinese_in_bytes(record.body, enough)
        if shown < enough:
            return Dropped("no_chinese_bytes", f"{shown} characters", f"{enough} characters")
        try:
            page = decode_page(record.body, record.charset)
        except UndecodableError as error:
            return Unreadable("undecodable", str(error))
        try:
            main = extract_main_text(
                page.utf8, record.url, self._settings.main_text, self._ask_library
            )
        except ExtractionError as error:
            return Unreadable(error.error, error.detail)
        except TooSlowError as error:
            return Unreadable("too_slow", str(error))
        return _with_text(
            Extracted(main.title, main.text, page.encoding, page.replaced, main.method)
        )

    def close(self) -> None:
        """Ends the process of the libraries, if one was needed."""
        self._libraries.close()

    def _ask_library(self, library: Library, page: bytes, url: str) -> str:
        try:
            text: str = self._libraries.call(library, page, url)
        except ProcessDiedError as error:
            raise LibraryError(f"{library}: {error}") from error
        return text


def is_html(record: Record) -> bool:
    """True if a record's content type, or where that says nothing its first bytes, mean HTML."""
    if record.content_type in UNSPECIFIC_TYPES:
        return looks_like_html(record.body)
    return record.content_type in HTML_TYPES


def _with_text(extracted: Extracted) -> Extracted | Dropped:
    if not extracted.text.strip():
        return Dropped("no_main_text", "0", "1 character", extracted.title)
    return extracted
