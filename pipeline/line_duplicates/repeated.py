"""Equal lines brought together, from all documents: which of them a rule is about.

A row is a line: hash, letters, host, document, number, 32 bytes. On this machine one block at a
time is brought together in memory, a block being all lines whose hashes have one remainder, and the
unit of work that is committed; on an engine all are by one GroupByKey whose elements are packed
rows. Both write the same tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields

import apache_beam as beam
import numpy as np
import pyarrow as pa

from filters.line_duplicate_settings import DeduplicateLines
from filters.line_duplicates import Lines, Repeated, repeated_lines
from pipeline.duplicates.inputs import NumberedPart
from pipeline.execution import LOCAL_RUNNER, Execution
from pipeline.line_duplicates.keys import LineReader, host_sizes
from pipeline.parts import Part, PartOutput

REPEATED = "repeated"
STEP = "repeated_blocks"
# Sorted by document and number.
REPEATED_LINE = pa.schema(
    [
        pa.field("document", pa.uint64(), nullable=False),
        pa.field("number", pa.uint32(), nullable=False),
        pa.field("letters", pa.uint32(), nullable=False),
        pa.field("hash", pa.uint64(), nullable=False),
        pa.field("host", pa.uint64(), nullable=False),
        # Of the line, within its block.
        pa.field("group", pa.int64(), nullable=False),
        # Place in filters.line_duplicates.RULES.
        pa.field("rule", pa.uint8(), nullable=False),
        # Documents of the group.
        pa.field("documents", pa.int64(), nullable=False),
    ]
)
# Of memory for each line of a block: its row, and what is computed of it.
ROW_BYTES = 110
# Of the rows of one block of the shuffle, on an engine.
BLOCK_BYTES = 32 << 20


@dataclass(frozen=True)
class Block:
    """All lines whose hash divided by `of` leaves `number`."""

    number: int
    of: int

    @property
    def part(self) -> Part:
        """The block as a unit of work."""
        return Part(f"{self.number:05d}-of-{self.of:05d}", "", "", "", 0)


def blocks(lines: int, memory: int, local: bool) -> list[Block]:
    """Divides so many lines into blocks that fit into memory (in bytes)."""
    count = lines * ROW_BYTES // memory if local else lines * 32 // BLOCK_BYTES
    return [Block(number, count + 1) for number in range(count + 1)]


@dataclass(frozen=True)
class FindRepeated:
    """Brings together in memory the lines of one block, from all parts."""

    reader: LineReader
    parts: tuple[NumberedPart, ...]
    blocks: dict[str, Block]
    settings: DeduplicateLines

    def setup(self) -> None:
        """Nothing to load."""

    def process(self, part: Part, output: PartOutput) -> None:
        _write(self._lines(self.blocks[part.name]), self.reader, self.settings, output)

    def _lines(self, block: Block) -> Lines:
        rows = [_NO_LINES]
        for numbered in self.parts:
            for lines in self.reader.read(numbered):
                is_here = lines.hashes % np.uint64(block.of) == block.number
                rows.append(lines.chosen(is_here))
        return joined(rows)


_NO_LINES = Lines(
    *(np.empty(0, dtype) for dtype in (np.uint64, np.uint32, np.uint64, np.uint64, np.uint32))
)


def joined(rows: Sequence[Lines]) -> Lines:
    """All rows together; at least one of `rows` must be there."""
    names = [column.name for column in fields(Lines)]
    return Lines(*(np.concatenate([getattr(lines, name) for lines in rows]) for name in names))


def _write(
    lines: Lines, reader: LineReader, settings: DeduplicateLines, output: PartOutput
) -> None:
    output.open_table(REPEATED, REPEATED_LINE)
    found = repeated_lines(lines, settings, lambda hosts: host_sizes(reader.work, hosts))
    order = np.lexsort((found.lines.numbers, found.lines.documents))
    rows = found.lines.chosen(order)
    columns = [rows.documents, rows.numbers, rows.letters, rows.hashes, rows.hosts]
    columns += [found.groups[order], found.rules[order], found.counts[order]]
    arrays = [pa.array(c, f.type) for c, f in zip(columns, REPEATED_LINE, strict=True)]
    batch = pa.RecordBatch.from_arrays(arrays, schema=REPEATED_LINE)
    output.write(REPEATED, batch, REPEATED_LINE)


def repeated_of(table: pa.Table) -> Repeated:
    """The rows of a whole block as `filters.line_duplicates` takes them, group after group."""
    table = table.sort_by([(name, "ascending") for name in ("group", "document", "number")])
    names = ("hash", "letters", "host", "document", "number")
    lines = Lines(*(np.asarray(table.column(name)) for name in names))
    others = (np.asarray(table.column(name)) for name in ("rule", "group", "documents"))
    return Repeated(lines, *others)


@dataclass(eq=False)
class ShuffleLines(beam.PTransform):
    """Numbered parts -> tables of repeated lines, through one GroupByKey over blocks."""

    reader: LineReader
    of: int
    settings: DeduplicateLines

    def expand(self, parts: beam.PCollection) -> beam.PCollection:
        return (
            parts
            | "Spread parts over workers" >> beam.Reshuffle()
            | "Pack lines"
            >> beam.ParDo(_PackLines(self.reader, self.of)).with_output_types(tuple[int, bytes])
            | "Group blocks" >> beam.GroupByKey()
            | "Write repeated lines" >> beam.ParDo(_WriteBlock(self.reader, self.of, self.settings))
        )


class _PackLines(beam.DoFn):
    """Yields (block, packed rows) of one part."""

    def __init__(self, reader: LineReader, of: int) -> None:
        self._reader = reader
        self._of = of

    def process(self, numbered: NumberedPart) -> Iterator[tuple[int, bytes]]:
        for lines in self._reader.read(numbered):
            block_of = lines.hashes % np.uint64(self._of)
            packed = np.empty(len(lines), _PACKED)
            for name in _PACKED.names or ():
                packed[name] = getattr(lines, name)
            for block in np.unique(block_of):
                yield int(block), packed[block_of == block].tobytes()


_PACKED = np.dtype(
    [
        ("hashes", "<u8"),
        ("letters", "<u4"),
        ("hosts", "<u8"),
        ("documents", "<u8"),
        ("numbers", "<u4"),
    ]
)


class _WriteBlock(beam.DoFn):
    """Writes the repeated lines of one block, under a name that a retry would use again."""

    def __init__(self, reader: LineReader, of: int, settings: DeduplicateLines) -> None:
        self._reader = reader
        self._of = of
        self._settings = settings

    def process(self, block: tuple[int, Iterable[bytes]]) -> Iterator[str]:
        number, packed = block
        rows = np.frombuffer(b"".join(packed), _PACKED)
        lines = Lines(*(np.ascontiguousarray(rows[name]) for name in _PACKED.names or ()))
        part = Block(number, self._of).part
        with PartOutput(self._reader.work, STEP, part) as output:
            _write(lines, self._reader, self._settings, output)
        yield part.name


def find_repeated(
    execution: Execution,
    reader: LineReader,
    parts: Sequence[NumberedPart],
    wanted: Sequence[Block],
    settings: DeduplicateLines,
) -> None:
    """Writes the table `repeated` of every block below `reader.work`; those that are there stay."""
    if execution.runner == LOCAL_RUNNER:
        by_name = {block.part.name: block for block in wanted}
        transform = FindRepeated(reader, tuple(parts), by_name, settings)
        execution.map_parts(transform, [block.part for block in wanted], reader.work, STEP)
        return
    execution.run(
        lambda root: (
            root
            | "Parts" >> beam.Create(list(parts))
            | "Find" >> ShuffleLines(reader, len(wanted), settings)
        )
    )
