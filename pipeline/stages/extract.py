"""Stage *extract*: bytes of a crawl become documents with a main text (PanGu-α §3.1).

Every page record of an input file ends in exactly one of three tables: `documents`, `dropped`
(revisits, error pages, other content types, pages without a main text) or `dead_letters`
(what cannot be read), each with its file and offset.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

import pyarrow as pa

from filters.extraction_libraries import MISSING
from pangu_settings import UserError
from pipeline import storage
from pipeline.documents import (
    BATCH_CHARACTERS,
    BATCH_ROWS,
    DEAD_LETTERS,
    DROPPED,
    EXTRACTED,
    document_id,
)
from pipeline.ledger import Books
from pipeline.parts import Part, PartOutput
from pipeline.reading.extract_settings import ExtractSettings
from pipeline.reading.input_files import Damage, Record, TextFields, read_records
from pipeline.reading.page_extraction import Dropped, Extracted, PageExtractor, Unreadable
from pipeline.recipe import Recipe, Source
from pipeline.stage import Outcome, Stage, StageRun, outcome_of_parts
from pipeline.tables import RowBuffer

NAME = "extract"
DETAIL_CHARACTERS = 500
TABLES = {"documents": EXTRACTED, "dropped": DROPPED, "dead_letters": DEAD_LETTERS}


@dataclass(frozen=True)
class ExtractPart:
    """Reads one input file and writes its documents, dropped records and dead letters."""

    sources: tuple[Source, ...]
    settings: ExtractSettings
    extractor: list[PageExtractor] = field(default_factory=list, compare=False)

    def setup(self) -> None:
        """Makes the extractor, which keeps tables and processes from part to part."""
        self.extractor[:] = [PageExtractor(self.settings)]

    def process(self, part: Part, output: PartOutput) -> None:
        source = next(source for source in self.sources if source.name == part.source)
        fields = TextFields(
            text=source.text_field,
            url=source.url_field,
            title=source.title_field,
            documents=source.text_documents,
        )
        writer = DocumentWriter(part.source, part.file, output)
        with storage.open_read(part.path) as file:
            items = read_records(file, part.file, source.format, self.settings, fields)
            writer.extract(items, self.extractor[0])
        writer.finish()


class Output(Protocol):
    """Where documents, dropped records and dead letters go: `PartOutput`, or a command's files."""

    books: Books
    facts: dict[str, Any]

    def open_table(self, table: str, schema: pa.Schema) -> object:
        """Makes sure that a table is written even if it stays empty."""

    def write(self, table: str, batch: pa.RecordBatch, schema: pa.Schema) -> None:
        """Adds rows to a table."""


class DocumentWriter:
    """Puts the outcome of each record of one file into its table and into the books.

    Args:
      source, file: what the rows say of where they come from.
      output: receives the rows of TABLES in batches.
    """

    def __init__(self, source: str, file: str, output: Output) -> None:
        self._source = source
        self._file = file
        self._output = output
        self._buffers = {
            table: RowBuffer(schema, BATCH_ROWS, BATCH_CHARACTERS)
            for table, schema in TABLES.items()
        }
        self._encodings: dict[str, dict[str, int]] = {}
        for table, schema in TABLES.items():
            output.open_table(table, schema)

    def extract(self, items: Iterator[Record | Damage], extractor: PageExtractor) -> None:
        """Writes what becomes of every record of a file."""
        for item in items:
            if isinstance(item, Damage):
                self._dead(item.offset, Unreadable(item.error, item.detail), 0)
                continue
            size = len(item.body) or len(item.text.encode())
            result = extractor.extract(item)
            if isinstance(result, Extracted):
                self._document(item, result, size)
            elif isinstance(result, Dropped):
                self._dropped(item, result, size)
            else:
                detail = f"{item.url}: {result.detail}"
                self._dead(item.offset, Unreadable(result.error, detail), size)

    def finish(self) -> None:
        """Writes the rows that are left, and the encodings that were met."""
        for table, buffer in self._buffers.items():
            self._output.write(table, buffer.take(), TABLES[table])
        self._output.facts["encodings"] = self._encodings

    def _document(self, record: Record, extracted: Extracted, size: int) -> None:
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
            "method": extracted.method,
            "raw_bytes": size,
            "text": extracted.text,
        }
        self._add("documents", row, characters)

    def _dropped(self, record: Record, reason: Dropped, size: int) -> None:
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

    def _dead(self, offset: int, reason: Unreadable, size: int) -> None:
        self._output.books.came_in.add(1, 0, size)
        self._output.books.count("dead", reason.error).add(1, 0, size)
        row = {
            "source": self._source,
            "file": self._file,
            "offset": offset,
            "stage": NAME,
            "error": reason.error,
            "detail": reason.detail[:DETAIL_CHARACTERS],
        }
        self._add("dead_letters", row)

    def _origin(self, record: Record, title: str) -> dict[str, Any]:
        return {
            "id": document_id(self._source, self._file, record.offset),
            "url": record.url,
            "title": title,
            "source": self._source,
            "file": self._file,
            "offset": record.offset,
        }

    def _add(self, table: str, row: dict[str, Any], characters: int = 0) -> None:
        batch = self._buffers[table].add(row, characters)
        if batch is not None:
            self._output.write(table, batch, TABLES[table])


def _settings(recipe: Recipe) -> Any:
    reading = ("name", "format", "text_field", "url_field", "title_field", "text_documents")
    settings = recipe.extract.model_dump()
    if recipe.extract.main_text.method == "trafilatura":
        # Not among the libraries that everybody has; its release changes what it finds.
        settings["trafilatura"] = _release_of_trafilatura()
    return {
        "extract": settings,
        "sources": [source.model_dump(include=set(reading)) for source in recipe.sources],
    }


def _release_of_trafilatura() -> str:
    try:
        return version("trafilatura")
    except PackageNotFoundError as error:
        raise UserError(MISSING.format(error=error)) from None


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
    libraries=("fastwarc", "isal", "resiliparse", "zstandard"),
    reads_inputs=True,
)
