"""The documents that are compared: their numbers, and where their columns are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import storage
from pipeline.parts import Part
from pipeline.tables import read_batches, read_table, row_count, table_path

# Rows of narrow columns read at a time.
ROWS = 65_536


@dataclass(frozen=True)
class NumberedPart:
    """A part and its documents' ordinals: first … first + rows − 1."""

    part: Part
    first: int
    rows: int


@dataclass(frozen=True)
class Inputs:
    """Tables whose row n is the same document: `documents`, `signals` and `verdicts` of each part.

    Attributes:
      clean: folder of `documents`: url, captured_at, text.
      measure: folder of `signals`: content_hash, bands.
      decide: folder of `verdicts`: id, kept, quality, characters, text_bytes.
      sources: names of the sources, the most trusted first.
      older: folder of tables of those documents that were merged into one of an older corpus, by
        ordinal (`older_corpora.FOUND`); "" where there is none.
    """

    clean: str
    measure: str
    decide: str
    sources: tuple[str, ...]
    older: str = ""

    def number(self, parts: Sequence[Part]) -> list[NumberedPart]:
        """Numbers all documents, part by part in the order of the parts' names.

        The order in which a recipe lists its files then changes nothing.
        """
        numbered: list[NumberedPart] = []
        first = 0
        for part in sorted(parts, key=lambda part: part.name):
            rows = row_count(table_path(self.decide, "verdicts", part.name))
            numbered.append(NumberedPart(part, first, rows))
            first += rows
        return numbered

    def verdicts(self, part: Part, names: Sequence[str]) -> pa.Table:
        """Columns of a part's verdicts, all rows."""
        return read_table(table_path(self.decide, "verdicts", part.name), names)

    def signals(self, part: Part, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yields columns of a part's signals, ROWS at a time."""
        yield from read_batches(table_path(self.measure, "signals", part.name), names, ROWS)

    def documents(self, part: Part, names: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Yields columns of a part's documents, so many rows at a time."""
        yield from read_batches(table_path(self.clean, "documents", part.name), names, rows)

    def kept(self, numbered: NumberedPart) -> np.ndarray:
        """bool (rows,): documents that the rules let through and no older corpus holds."""
        kept = np.asarray(self.verdicts(numbered.part, ["kept"]).column("kept")).copy()
        for found in self.in_older(numbered.first, numbered.first + numbered.rows):
            kept[np.asarray(found.column("ordinal")).astype(np.int64) - numbered.first] = False
        return kept

    def in_older(self, first: int, end: int) -> Iterator[pa.Table]:
        """Yields tables of the documents first ≤ ordinal < end that an older corpus holds."""
        ordinal = pc.field("ordinal")
        for name in storage.list_files(self.older, ".parquet") if self.older else ():
            path = storage.join(self.older, name)
            yield read_table(path, where=(ordinal >= first) & (ordinal < end))
