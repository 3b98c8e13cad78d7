"""Extraction without a recipe or a run: crawl files in, one file of documents out.

What happens to a page is the extract stage's doing; here are only the files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pyarrow as pa

from pipeline import storage
from pipeline.documents import DEAD_LETTERS, EXTRACTED
from pipeline.ledger import Books
from pipeline.pieces.document_files import (
    STANDARD_OUTPUT,
    DocumentFile,
    beside,
    check_output,
    find_files,
)
from pipeline.reading.extract_settings import ExtractSettings
from pipeline.reading.input_files import Damage, Record, TextFields, read_records
from pipeline.reading.page_extraction import PageExtractor
from pipeline.stages.extract import DocumentWriter

# What people look at first, first.
_FIRST = ["id", "url", "title", "text"]
DOCUMENTS = pa.schema(
    [
        *(EXTRACTED.field(name) for name in _FIRST),
        *(field for field in EXTRACTED if field.name not in (*_FIRST, "source")),
    ]
)
LOST = pa.schema([field for field in DEAD_LETTERS if field.name not in ("source", "stage")])

# Called with the number of records read so far and the share of the input that they are.
Progress = Callable[[int, float], None]


class ExtractedFiles:
    """Receives what the extract stage makes of files; see `pipeline.stages.extract.Output`.

    Attributes:
      books: over all files.
      facts: of the file read last.
      encodings: pages by the encoding they were in.
    """

    def __init__(self, out: str, stack: ExitStack) -> None:
        check_output(out)
        self.books = Books()
        self.facts: dict[str, Any] = {}
        self.encodings: Counter[str] = Counter()
        self.dead_letters = "" if out == STANDARD_OUTPUT else beside(out, "dead_letters")
        self._stack = stack
        self._documents = stack.enter_context(DocumentFile(out, DOCUMENTS))
        self._lost: DocumentFile | None = None

    def open_table(self, table: str, schema: pa.Schema) -> None:
        """Nothing: files are opened when there is something for them."""

    def write(self, table: str, batch: pa.RecordBatch, schema: pa.Schema) -> None:
        """Writes documents and dead letters; dropped pages are only counted."""
        if table == "documents":
            self._documents.write(batch)
        elif table == "dead_letters" and batch.num_rows and self.dead_letters:
            if self._lost is None:
                self._lost = self._stack.enter_context(DocumentFile(self.dead_letters, LOST))
            self._lost.write(batch)

    def end_file(self) -> None:
        """Adds what is said of one file to what is said of all."""
        for encoding, met in self.facts["encodings"].items():
            self.encodings[encoding] += met["pages"]

    @property
    def has_dead_letters(self) -> bool:
        """Whether there is a file of dead letters."""
        return self._lost is not None


def extract_files(
    names: Sequence[str],
    out: str,
    settings: ExtractSettings,
    format: str = "auto",
    progress: Progress = lambda records, share: None,
) -> ExtractedFiles:
    """Extracts the documents of files into one file, and dead letters into a second one.

    Args:
      names: files, patterns or folders, as `pipeline.pieces.document_files.find_files` takes them.
      out: Parquet, JSONL or JSONL.gz by its name, or `-`; it appears when everything is done.
        Dead letters go to a file beside it, `OUT.dead_letters.SUFFIX`, if there are any.
      settings: as in a recipe's `extract` block.
      format: of the files, one of `pipeline.reading.input_files.FORMATS`, or `auto`.
      progress: hears how far it is.

    Raises:
      UserError: a file is missing, or out cannot be written.
    """
    check_output(out)
    second = "" if out == STANDARD_OUTPUT else beside(out, "dead_letters")
    files = [file for file in find_files(names) if file not in (out, second)]
    sizes = [max(0, storage.size(file)) for file in files]
    extractor = PageExtractor(settings)
    watch = _Watch(sum(sizes), progress)
    with ExitStack() as stack:
        stack.callback(extractor.close)
        output = ExtractedFiles(out, stack)
        for name, size in zip(files, sizes, strict=True):
            writer = DocumentWriter("", name, output)
            with storage.open_read(name) as file:
                items = read_records(file, name, format, settings, TextFields())
                writer.extract(watch.over(items, file.tell), extractor)
            writer.finish()
            output.end_file()
            watch.done += size
    output.books.check("pangu extract")
    if second and not output.has_dead_letters:
        storage.delete(second)
    return output


class _Watch:
    """Counts records as they pass."""

    def __init__(self, total: int, progress: Progress) -> None:
        self.done = 0
        self._total = total
        self._records = 0
        self._progress = progress

    def over(
        self, items: Iterator[Record | Damage], position: Callable[[], int]
    ) -> Iterator[Record | Damage]:
        for item in items:
            yield item
            self._records += 1
            self._progress(self._records, (self.done + position()) / max(1, self._total))
