"""Stage *extract*: bytes of a crawl become documents with a main text (PanGu-α §3.1).

Every page record of an input file ends in exactly one of three tables: `documents`, `dropped`
(revisits, error pages, other content types, pages without a main text) or `dead_letters`
(what cannot be read), each with its file and offset.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from filters.encoding import UndecodableError, decode_page
from filters.main_text import ExtractionError, extract_main_text
from pipeline import storage
from pipeline.documents import (
    BATCH_CHARACTERS,
    BATCH_ROWS,
    DEAD_LETTERS,
    DROPPED,
    EXTRACTED,
    document_id,
)
from pipeline.parts import Part, PartOutput
from pipeline.reading import Damage, ReadLimits, Record, TextFields, read_records
from pipeline.recipe import Recipe, Source
from pipeline.stage import Outcome, Stage, StageRun, outcome_of_parts
from pipeline.tables import RowBuffer

NAME = "extract"
HTML_TYPES = ("text/html", "application/xhtml+xml")
# What servers say of a file that they know nothing about; such a page is known by its start.
UNSPECIFIC_TYPES = ("", "application/octet-stream", "text/plain", "unknown/unknown")
HTML_START = re.compile(
    rb"\s*(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body|meta|title)\b", re.I | re.S
)
START_BYTES = 4096
TABLES = {"documents": EXTRACTED, "dropped": DROPPED, "dead_letters": DEAD_LETTERS}


@dataclass(frozen=True)
class Dropped:
    """Why a page record is not a document: rule, what was found, what would have passed."""

    rule: str
    value: str
    limit: str
    title: str = ""


@dataclass(frozen=True)
class Extracted:
    """The text of a page record and how its bytes became characters."""

    title: str
    text: str
    encoding: str
    replaced: int


def extract_document(record: Record) -> Extracted | Dropped:
    """Turns one page record into text, or says why not.

    Raises:
      UndecodableError: no encoding reads as text.
      ExtractionError: the page is too large or breaks the extractor.
    """
    if record.record_type == "revisit":
        return Dropped("revisit", "revisit", "a record with content")
    if record.http_status is not None and record.http_status != 200:
        return Dropped("http_status", str(record.http_status), "200")
    if record.kind == "text":
        title, text, encoding, replaced = record.title, record.text, "", 0
    elif not is_html(record):
        return Dropped("content_type", record.content_type or "none", " or ".join(HTML_TYPES))
    else:
        decoded = decode_page(record.body, record.charset)
        main = extract_main_text(decoded.text, record.url)
        title, text = main.title, main.text
        encoding, replaced = decoded.encoding, decoded.replaced
    if not text.strip():
        return Dropped("no_main_text", "0", "1 character", title)
    return Extracted(title, text, encoding, replaced)


def is_html(record: Record) -> bool:
    """True if a record's content type, or where that says nothing its first bytes, mean HTML."""
    if record.content_type in UNSPECIFIC_TYPES:
        # Without zero bytes the start of UTF-16 reads as ASCII.
        start = record.body[:START_BYTES].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe")
        return HTML_START.match(start) is not None
    return record.content_type in HTML_TYPES


@dataclass(frozen=True)
class ExtractPart:
    """Reads one input file and writes its documents, dropped records and dead letters."""

    sources: tuple[Source, ...]
    limits: ReadLimits

    def setup(self) -> None:
        """Nothing to load."""

    def process(self, part: Part, output: PartOutput) -> None:
        writer = _Writer(part, output)
        source = next(source for source in self.sources if source.name == part.source)
        fields = TextFields(
            text=source.text_field,
            url=source.url_field,
            title=source.title_field,
            documents=source.text_documents,
        )
        with storage.open_read(part.path) as file:
            for item in read_records(file, part.file, source.format, self.limits, fields):
                if isinstance(item, Damage):
                    writer.dead(item.offset, item.error, item.detail, 0)
                else:
                    self._record(item, writer)
        writer.finish()

    def _record(self, record: Record, writer: _Writer) -> None:
        size = len(record.body) or len(record.text.encode())
        try:
            result = extract_document(record)
        except UndecodableError as error:
            writer.dead(record.offset, "undecodable", f"{record.url}: {error}", size)
        except ExtractionError as error:
            writer.dead(record.offset, error.error, f"{record.url}: {error}", size)
        else:
            if isinstance(result, Dropped):
                writer.dropped(record, result, size)
            else:
                writer.document(record, result, size)


class _Writer:
    """Puts the outcome of each record into its table and into the books."""

    def __init__(self, part: Part, output: PartOutput) -> None:
        self._part = part
        self._output = output
        self._buffers = {
            table: RowBuffer(schema, BATCH_ROWS, BATCH_CHARACTERS)
            for table, schema in TABLES.items()
        }
        self._encodings: dict[str, dict[str, int]] = {}
        for table, schema in TABLES.items():
            output.open_table(table, schema)

    def document(self, record: Record, extracted: Extracted, size: int) -> None:
        characters = len(extracted.text)
        self._output.books.came_in.add(1, characters, size)
        self._output.books.kept.add(1, characters, size)
        if extracted.encoding:
            met = self._encodings.setdefault(extracted.encoding, {"pages": 0, "repaired": 0})
            met["pages"] += 1
            met["repaired"] += extracted.replaced > 0
        row = {
            **self._origin(record, extracted.title),
            "captured_at": record.captured_at,
            "content_type": record.content_type,
            "encoding": extracted.encoding,
            "replaced": extracted.replaced,
            "raw_bytes": size,
            "text": extracted.text,
        }
        self._add("documents", row, characters)

    def dropped(self, record: Record, reason: Dropped, size: int) -> None:
        self._output.books.came_in.add(1, 0, size)
        self._output.books.count("dropped", reason.rule).add(1, 0, size)
        row = {
            **self._origin(record, reason.title),
            "stage": NAME,
            "verdict": "dropped",
            "rule": reason.rule,
            "value": reason.value,
            "limit": reason.limit,
            "merged_into": "",
            "characters": 0,
            "quality": None,
            "excerpt": "",
        }
        self._add("dropped", row)

    def dead(self, offset: int, error: str, detail: str, size: int) -> None:
        self._output.books.came_in.add(1, 0, size)
        self._output.books.count("dead", error).add(1, 0, size)
        row = {
            "source": self._part.source,
            "file": self._part.file,
            "offset": offset,
            "stage": NAME,
            "error": error,
            "detail": detail[:500],
        }
        self._add("dead_letters", row)

    def finish(self) -> None:
        for table, buffer in self._buffers.items():
            self._output.write(table, buffer.take(), TABLES[table])
        self._output.facts["encodings"] = self._encodings

    def _origin(self, record: Record, title: str) -> dict[str, Any]:
        return {
            "id": document_id(self._part.source, self._part.file, record.offset),
            "url": record.url,
            "title": title,
            "source": self._part.source,
            "file": self._part.file,
            "offset": record.offset,
        }

    def _add(self, table: str, row: dict[str, Any], characters: int = 0) -> None:
        batch = self._buffers[table].add(row, characters)
        if batch is not None:
            self._output.write(table, batch, TABLES[table])


def _settings(recipe: Recipe) -> Any:
    reading = ("name", "format", "text_field", "url_field", "title_field", "text_documents")
    return {
        "limits": recipe.extract.model_dump(),
        "sources": [source.model_dump(include=set(reading)) for source in recipe.sources],
    }


def _run(run: StageRun) -> Outcome:
    transform = ExtractPart(tuple(run.recipe.sources), run.recipe.extract)
    run.execution.map_parts(transform, run.parts, run.folder)
    books, files, facts = outcome_of_parts(NAME, run.folder, run.parts)
    encodings: dict[str, dict[str, dict[str, int]]] = {}
    for part, part_facts in zip(run.parts, facts, strict=True):
        of_source = encodings.setdefault(part.source, {})
        for encoding, met in part_facts["encodings"].items():
            total = of_source.setdefault(encoding, {"pages": 0, "repaired": 0})
            for key, value in met.items():
                total[key] += value
    return Outcome(books, files, {"encodings": encodings})


STAGE = Stage(
    name=NAME,
    module=__name__,
    needs=(),
    settings=_settings,
    run=_run,
    libraries=("fastwarc", "isal", "lxml", "zstandard"),
    reads_inputs=True,
)
