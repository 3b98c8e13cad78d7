"""A part is the unit of work of a map-only stage: one input file and what stages make of it.

Each part of each stage is committed by a small record written after its files, so that a run that
was killed goes on with the parts that have none. The names of parts come from the recipe's file
names, never from the order or number of workers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

import pyarrow as pa

from pipeline import storage
from pipeline.ledger import Books
from pipeline.tables import TableWriter


@dataclass(frozen=True)
class Part:
    """One input file.

    Attributes:
      name: unique in the run, safe in file names.
      source: name of its source.
      file: the file as the recipe names it.
      path: the same as a path or URL that can be opened.
      bytes: size of the file, to divide work evenly.
    """

    name: str
    source: str
    file: str
    path: str
    bytes: int


def part_name(source: str, file: str) -> str:
    """A readable and unique name: source, start of the file's name, digest of its whole path."""
    digest = hashlib.blake2b(file.encode(), digest_size=4).hexdigest()
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", file.rsplit("/", 1)[-1].partition(".")[0])[:40]
    return f"{source}.{stem.strip('-') or 'file'}.{digest}"


class PartTransform(Protocol):
    """What a map-only stage does with one part. Must be a small picklable dataclass."""

    def setup(self) -> None:
        """Loads models and word lists, once for each worker."""

    def process(self, part: Part, output: PartOutput) -> None:
        """Reads the part's inputs, writes its tables, keeps its books."""


class PartOutput:
    """Collects what one part of a stage writes, and commits it.

    Attributes:
      books: of this part.
      facts: JSON values for the stage to sum up.
    """

    def __init__(self, folder: str, step: str, part: Part) -> None:
        self.folder = folder
        self.books = Books()
        self.facts: dict[str, Any] = {}
        self._step = step
        self._part = part
        self._tables: dict[str, TableWriter] = {}
        self._files: list[storage.ListedFile] = []

    def write(self, table: str, batch: pa.RecordBatch, schema: pa.Schema) -> None:
        """Adds rows to one of the part's tables, `<folder>/<table>/<part>.parquet`."""
        self.open_table(table, schema).write(batch)

    def open_table(self, table: str, schema: pa.Schema) -> TableWriter:
        """Makes sure that a table is written even if it stays empty."""
        if table not in self._tables:
            path = storage.join(self.folder, table, f"{self._part.name}.parquet")
            self._tables[table] = TableWriter(path, schema).__enter__()
        return self._tables[table]

    def add_file(self, facts: storage.ListedFile) -> None:
        """Records a file that the transform wrote itself; its path is relative to the folder."""
        self._files.append(facts)

    def __enter__(self) -> PartOutput:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for writer in self._tables.values():
            writer.__exit__(kind, error, traceback)
        if kind is not None:
            return
        self.books.check(f"part {self._part.name}")
        files = [
            *(
                writer.facts(f"{table}/{self._part.name}.parquet")
                for table, writer in self._tables.items()
            ),
            *self._files,
        ]
        storage.write_json(
            _record_path(self.folder, self._step, self._part),
            {
                "part": self._part.name,
                "books": self.books.to_json(),
                "files": [facts.to_json() for facts in sorted(files, key=lambda f: f.path)],
                "facts": self.facts,
            },
        )


def pending_parts(folder: str, step: str, parts: Sequence[Part]) -> list[Part]:
    """The parts that have no record yet, or whose files are not all there."""
    recorded = set(storage.list_files(storage.join(folder, step), ".json"))
    return [
        part
        for part in parts
        if f"{part.name}.json" not in recorded or not _is_whole(folder, step, part)
    ]


def _is_whole(folder: str, step: str, part: Part) -> bool:
    record = storage.read_json_or_none(_record_path(folder, step, part))
    return record is not None and all(
        storage.size(storage.join(folder, entry["path"])) == entry["bytes"]
        for entry in record["files"]
    )


def read_part_record(folder: str, step: str, part: Part) -> Any:
    """The record of a finished part: its books, files and facts."""
    return storage.read_json(_record_path(folder, step, part))


def _record_path(folder: str, step: str, part: Part) -> str:
    return storage.join(folder, step, f"{part.name}.json")
