"""Documents that share a key: a content hash, an address, or the key of a band.

A row is (key, hash of the text, ordinal), three numbers. On this machine the rows of one band at a
time are brought together in memory, a band being the unit of work that is committed; on an engine
they are brought together by one GroupByKey whose elements are packed blocks of rows. Both write the
same candidates.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import apache_beam as beam
import numpy as np
import pyarrow as pa

from filters.duplicate_settings import Deduplicate
from filters.duplicates import SMALL_BUCKET
from filters.kernels.band_buckets import candidates_of
from pipeline import storage
from pipeline.duplicates.inputs import ROWS, NumberedPart
from pipeline.duplicates.keys import KeyReader, Keys
from pipeline.execution import LOCAL_RUNNER, Execution
from pipeline.parts import Part, PartOutput
from pipeline.tables import read_batches

# Documents that belong together without a look at their texts; candidates; texts of large buckets.
LINKS, PAIRS, BUCKETS = "links", "pairs", "buckets"
STEP = "bands"

EDGE = pa.schema(
    [
        pa.field("first", pa.uint64(), nullable=False),
        pa.field("second", pa.uint64(), nullable=False),
    ]
)
BUCKET_MEMBER = pa.schema(
    [
        pa.field("bucket", pa.uint64(), nullable=False),
        pa.field("leader", pa.uint64(), nullable=False),
        pa.field("ordinal", pa.uint64(), nullable=False),
    ]
)
# Of memory for each row of a band: the row, its place in the hash table, and what becomes of it.
ROW_BYTES = 100
# Of rows below which reading a part again for each band costs more than the band itself.
SMALL_INPUT = 200_000
# Packed rows in one block of the shuffle: small enough for a worker, large enough for numpy.
BLOCK_BYTES = 32 << 20


@dataclass(frozen=True)
class Unit:
    """A piece of the search that is done and committed at once.

    Attributes:
      bands: whose keys are brought together.
      number, of: this one takes every key whose remainder by `of` is `number`.
    """

    bands: tuple[int, ...]
    number: int = 0
    of: int = 1

    @property
    def part(self) -> Part:
        """The unit as a part, which is what a map-only step is divided into."""
        first, last = self.bands[0], self.bands[-1]
        name = f"bands-{first:03d}-{last:03d}-{self.number:05d}-of-{self.of:05d}"
        return Part(name, "", "", "", 0)

    def choose(self, rows: Keys) -> Keys:
        """The rows that belong to the unit."""
        if self.of == 1:
            return rows
        return rows.chosen(rows.keys % np.uint64(self.of) == self.number)


def units(bands: Sequence[int], documents: int, memory: int) -> list[Unit]:
    """Divides the search so that each unit fits into memory (in bytes)."""
    if documents <= SMALL_INPUT and documents * ROW_BYTES * len(bands) <= memory:
        return [Unit(tuple(bands))] if bands else []
    passes = max(1, -(-documents * ROW_BYTES // memory))
    return [Unit((band,), number, passes) for band in bands for number in range(passes)]


@dataclass(frozen=True)
class FindCandidates:
    """Brings together in memory the keys of one unit, from all parts."""

    reader: KeyReader
    parts: tuple[NumberedPart, ...]
    units: dict[str, Unit]

    def setup(self) -> None:
        """Nothing to load."""

    def process(self, part: Part, output: PartOutput) -> None:
        unit = self.units[part.name]
        rows: dict[int, list[Keys]] = defaultdict(list)
        for numbered in self.parts:
            for keys in self.reader.read(numbered, unit.bands):
                rows[keys.band].append(unit.choose(keys))
        open_tables(output)
        for band in unit.bands:
            write_candidates(_joined(band, rows.pop(band, [])), unit, self.reader.settings, output)


def open_tables(output: PartOutput) -> None:
    """Makes sure that the tables of candidates are there even where nothing is found."""
    for table, schema in ((LINKS, EDGE), (PAIRS, EDGE), (BUCKETS, BUCKET_MEMBER)):
        output.open_table(table, schema)


def _joined(band: int, rows: Sequence[Keys]) -> Keys:
    none = Keys(band, *(np.empty(0, np.uint64) for _ in range(3)))
    columns = zip(*((part.keys, part.texts, part.ordinals) for part in [none, *rows]), strict=True)
    return Keys(band, *map(np.concatenate, columns))


def write_candidates(rows: Keys, unit: Unit, settings: Deduplicate, output: PartOutput) -> None:
    """Writes what the rows of one band have in common into the tables links, pairs and buckets."""
    bands = settings.near.bands
    if rows.band >= bands:
        found = candidates_of(rows.keys, rows.texts, rows.ordinals, 1, False)
        _write_edges(output, LINKS, found.pairs)
        return
    # Where copies meet by their content hash, they need not meet once more in every band.
    copies = not settings.exact
    found = candidates_of(rows.keys, rows.texts, rows.ordinals, SMALL_BUCKET, copies)
    _write_edges(output, PAIRS, found.pairs)
    sizes = np.diff(found.starts)
    first_number = (rows.band * unit.of + unit.number) << 32
    numbers = np.arange(first_number, first_number + len(sizes), dtype=np.uint64)
    leaders = found.members[found.starts[:-1]]
    columns = (np.repeat(numbers, sizes), np.repeat(leaders, sizes), found.members)
    arrays = [pa.array(column, pa.uint64()) for column in columns]
    batch = pa.RecordBatch.from_arrays(arrays, schema=BUCKET_MEMBER)
    output.write(BUCKETS, batch, BUCKET_MEMBER)


def _write_edges(output: PartOutput, table: str, edges: np.ndarray) -> None:
    arrays = [pa.array(edges[:, 0], pa.uint64()), pa.array(edges[:, 1], pa.uint64())]
    output.write(table, pa.RecordBatch.from_arrays(arrays, schema=EDGE), EDGE)


@dataclass(eq=False)
class ShuffleCandidates(beam.PTransform):
    """Numbered parts -> tables of candidates, through one GroupByKey over (band, remainder)."""

    reader: KeyReader
    remainders: int
    folder: str

    def expand(self, parts: beam.PCollection) -> beam.PCollection:
        return (
            parts
            | "Spread parts over workers" >> beam.Reshuffle()
            | "Pack keys"
            >> beam.ParDo(_PackKeys(self.reader, self.remainders)).with_output_types(
                tuple[tuple[int, int], bytes]
            )
            | "Group blocks" >> beam.GroupByKey()
            | "Write candidates"
            >> beam.ParDo(_WriteBlock(self.reader.settings, self.remainders, self.folder))
        )


class _PackKeys(beam.DoFn):
    """Yields ((band, remainder), packed rows) of one part."""

    def __init__(self, reader: KeyReader, remainders: int) -> None:
        self._reader = reader
        self._remainders = remainders

    def process(self, numbered: NumberedPart) -> Iterator[tuple[tuple[int, int], bytes]]:
        for rows in self._reader.read(numbered, self._reader.bands()):
            remainders = rows.keys % np.uint64(self._remainders)
            packed = np.column_stack([rows.keys, rows.texts, rows.ordinals]).astype("<u8")
            for remainder in np.unique(remainders):
                yield (rows.band, int(remainder)), packed[remainders == remainder].tobytes()


class _WriteBlock(beam.DoFn):
    """Writes the candidates of one block, under a name that a retry would use again."""

    def __init__(self, settings: Deduplicate, remainders: int, folder: str) -> None:
        self._settings = settings
        self._remainders = remainders
        self._folder = folder

    def process(self, block: tuple[tuple[int, int], Iterable[bytes]]) -> Iterator[str]:
        (band, remainder), packed = block
        unit = Unit((band,), remainder, self._remainders)
        rows = np.frombuffer(b"".join(packed), "<u8").reshape(-1, 3).astype(np.uint64)
        with PartOutput(self._folder, STEP, unit.part) as output:
            open_tables(output)
            write_candidates(Keys(band, *rows.T), unit, self._settings, output)
        yield unit.part.name


def find_candidates(
    execution: Execution,
    reader: KeyReader,
    parts: Sequence[NumberedPart],
    memory: int,
    folder: str,
) -> None:
    """Writes the tables links, pairs and buckets below a folder; units that are there stay."""
    documents = sum(numbered.rows for numbered in parts)
    if execution.runner == LOCAL_RUNNER:
        wanted = units(reader.bands(), documents, memory)
        by_name = {unit.part.name: unit for unit in wanted}
        transform = FindCandidates(reader, tuple(parts), by_name)
        execution.map_parts(transform, [unit.part for unit in wanted], folder, STEP)
        return
    remainders = max(1, documents * 24 // BLOCK_BYTES)
    execution.run(
        lambda root: (
            root
            | "Parts" >> beam.Create(list(parts))
            | "Find" >> ShuffleCandidates(reader, remainders, folder)
        )
    )


def read_edges(folder: str, table: str) -> Iterator[np.ndarray]:
    """Yields the edges of one of the tables as uint64 (n, 2), ROWS at a time."""
    for batch in _batches(folder, table):
        yield np.column_stack([np.asarray(column) for column in batch.columns])


def read_bucket_members(folder: str) -> Iterator[np.ndarray]:
    """Yields (bucket, leader, ordinal) of the texts of large buckets: uint64 (n, 3)."""
    for batch in _batches(folder, BUCKETS):
        yield np.column_stack([np.asarray(column) for column in batch.columns])


def _batches(folder: str, table: str) -> Iterator[pa.RecordBatch]:
    for name in storage.list_files(storage.join(folder, table), ".parquet"):
        yield from read_batches(storage.join(folder, table, name), rows=ROWS)
