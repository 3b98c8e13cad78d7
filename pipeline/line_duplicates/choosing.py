"""Which document keeps a repeated line: the one that repeats others least.

How much of a document is repeated is known once all blocks are; then each block is looked at once
more. Only repeated lines, a small part of all, are read here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.line_duplicate_settings import DeduplicateLines
from filters.line_duplicates import RULES, Repeated, removed_lines, repetition
from pipeline import storage
from pipeline.duplicates.inputs import NumberedPart
from pipeline.execution import Execution
from pipeline.line_duplicates.keys import LineReader
from pipeline.line_duplicates.repeated import REPEATED, REPEATED_LINE, repeated_of
from pipeline.parts import Part, PartOutput
from pipeline.tables import read_table, table_path

REPETITIONS, REMOVED = "repetitions", "removed"
REPETITIONS_STEP, REMOVED_STEP = "repetitions_parts", "removed_blocks"
# Documents with repeated lines, ascending.
REPETITION = pa.schema(
    [
        pa.field("document", pa.uint64(), nullable=False),
        pa.field("repetition", pa.float64(), nullable=False),
    ]
)
# Sorted by document and number.
REMOVED_LINE = pa.schema(
    [
        pa.field("document", pa.uint64(), nullable=False),
        pa.field("number", pa.uint32(), nullable=False),
        pa.field("rule", pa.uint8(), nullable=False),
    ]
)
# Of each rule, for the summary.
LARGEST, SAMPLED = 20, 20


def rows_of(work: str, table: str, numbered: NumberedPart, schema: pa.Schema) -> pa.Table:
    """The rows that the blocks' tables have for the documents of a part, sorted by document."""
    document = pc.field("document")
    here = (document >= numbered.first) & (document < numbered.first + numbered.rows)
    folder = storage.join(work, table)
    tables = [
        read_table(storage.join(folder, name), schema.names, here)
        for name in storage.list_files(folder, ".parquet")
    ]
    joined = pa.concat_tables([schema.empty_table(), *tables])
    return joined.sort_by([("document", "ascending"), ("number", "ascending")])


@dataclass(frozen=True)
class MeasureRepetition:
    """Writes for each document of a part with repeated lines how much it repeats others."""

    reader: LineReader
    parts: dict[str, NumberedPart]

    def setup(self) -> None:
        """Nothing to load."""

    def process(self, part: Part, output: PartOutput) -> None:
        numbered = self.parts[part.name]
        schema = pa.schema([REPEATED_LINE.field(n) for n in ("document", "number", "letters")])
        table = rows_of(self.reader.work, REPEATED, numbered, schema)
        documents = np.asarray(table.column("document")).astype(np.int64) - numbered.first
        repeated = np.zeros(numbered.rows, np.int64)
        np.add.at(repeated, documents, np.asarray(table.column("letters")).astype(np.int64))
        letters = np.zeros(numbered.rows, np.int64)
        first = 0
        for of_lines, starts in self.reader.letters(part):
            sums = np.concatenate([[0], np.cumsum(of_lines, dtype=np.int64)])
            here = slice(first, first + len(starts) - 1)
            letters[here] = sums[starts[1:]] - sums[starts[:-1]]
            first = here.stop
        rows = np.flatnonzero(repeated)
        arrays = [
            pa.array(rows + numbered.first, pa.uint64()),
            pa.array(repetition(repeated[rows], letters[rows])),
        ]
        batch = pa.RecordBatch.from_arrays(arrays, schema=REPETITION)
        output.write(REPETITIONS, batch, REPETITION)


@dataclass(frozen=True)
class ChooseLines:
    """Writes which lines of one block go; the largest groups and some others become facts."""

    work: str
    parts: tuple[NumberedPart, ...]
    settings: DeduplicateLines

    def setup(self) -> None:
        """Nothing to load."""

    def process(self, part: Part, output: PartOutput) -> None:
        repeated = repeated_of(read_table(table_path(self.work, REPEATED, part.name)))
        documents = repeated.lines.documents
        goes = removed_lines(repeated, self._repetitions(documents), self.settings)
        order = np.lexsort((repeated.lines.numbers, documents))
        order = order[goes[order]]
        columns = (documents[order], repeated.lines.numbers[order], repeated.rules[order])
        arrays = [pa.array(c, f.type) for c, f in zip(columns, REMOVED_LINE, strict=True)]
        batch = pa.RecordBatch.from_arrays(arrays, schema=REMOVED_LINE)
        output.write(REMOVED, batch, REMOVED_LINE)
        output.facts["groups"] = dict(_groups(repeated))

    def _repetitions(self, documents: np.ndarray) -> np.ndarray:
        """How much each of some documents repeats others."""
        found = np.zeros(len(documents))
        ascending = np.argsort(documents, kind="stable")
        for numbered in self.parts:
            borders = np.array([numbered.first, numbered.first + numbered.rows], np.uint64)
            start, stop = np.searchsorted(documents, borders, sorter=ascending)
            if start == stop:
                continue
            rows = ascending[start:stop]
            table = read_table(table_path(self.work, REPETITIONS, numbered.part.name))
            places = np.searchsorted(np.asarray(table.column("document")), documents[rows])
            found[rows] = np.asarray(table.column("repetition"))[places]
        return found


def _groups(repeated: Repeated) -> Iterator[tuple[str, dict[str, Any]]]:
    """Of each rule: how many groups, the largest ones, and some others, by their hashes."""
    firsts = np.flatnonzero(np.diff(repeated.groups, prepend=-1))
    for number, rule in enumerate(RULES):
        rows = firsts[repeated.rules[firsts] == number]
        hashes, hosts = repeated.lines.hashes[rows], repeated.lines.hosts[rows]
        by_size = np.lexsort((hosts, hashes, -repeated.counts[rows]))[:LARGEST]
        by_hash = np.lexsort((hosts, hashes))[:SAMPLED]
        yield (
            rule,
            {
                "lines": len(rows),
                "largest": [_group(repeated, row) for row in rows[by_size].tolist()],
                "samples": [_group(repeated, row) for row in rows[by_hash].tolist()],
            },
        )


def _group(repeated: Repeated, row: int) -> dict[str, int]:
    """What a group is, and where one of its lines stands."""
    lines = repeated.lines
    return {
        "documents": int(repeated.counts[row]),
        "hash": int(lines.hashes[row]),
        "host": int(lines.hosts[row]),
        "document": int(lines.documents[row]),
        "number": int(lines.numbers[row]),
    }


def choose_lines(
    execution: Execution,
    reader: LineReader,
    parts: Sequence[NumberedPart],
    settings: DeduplicateLines,
) -> list[Part]:
    """Writes the table `removed` of every block; returns the blocks as units of work."""
    by_name = {numbered.part.name: numbered for numbered in parts}
    units = [numbered.part for numbered in parts]
    execution.map_parts(MeasureRepetition(reader, by_name), units, reader.work, REPETITIONS_STEP)
    names = storage.list_files(storage.join(reader.work, REPEATED), ".parquet")
    blocks = [Part(name.removesuffix(".parquet"), "", "", "", 0) for name in names]
    transform = ChooseLines(reader.work, tuple(parts), settings)
    execution.map_parts(transform, blocks, reader.work, REMOVED_STEP)
    return blocks
