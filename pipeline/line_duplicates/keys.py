"""Hosts of documents, and the hashes of their lines."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from filters.addresses import host_of
from filters.line_duplicates import Lines
from pipeline import storage
from pipeline.duplicates.inputs import ROWS, Inputs, NumberedPart
from pipeline.parts import Part, PartOutput
from pipeline.stages.measure import unpacked
from pipeline.tables import TableWriter, read_batches, read_table, table_path

HOSTS = "hosts"
# Row n: of document n. 0 where it has no host, or was dropped or merged.
HOST = pa.schema([pa.field("host", pa.uint64(), nullable=False)])
HOST_SIZE = pa.schema(
    [
        pa.field("host", pa.uint64(), nullable=False),
        pa.field("documents", pa.int64(), nullable=False),
    ]
)
_SIZES = "host_sizes.parquet"


def host_hash(host: str) -> int:
    """A 64-bit hash of the name of a host; 0 for none."""
    if not host:
        return 0
    return int.from_bytes(hashlib.blake2b(host.encode(), digest_size=8).digest(), "little")


@dataclass(frozen=True)
class LineReader:
    """Reads the lines of documents that deduplication kept.

    Attributes:
      merges: folder of the stage deduplicate.
      work: folder of the table `hosts`, once HashHosts has written it.
      min_characters: letters and digits of the shortest line that counts.
    """

    inputs: Inputs
    merges: str
    work: str
    min_characters: int

    def kept(self, part: Part) -> np.ndarray:
        """bool (rows,): which documents deduplication kept."""
        table = read_table(table_path(self.merges, "verdicts", part.name), ["kept"])
        return np.asarray(table.column("kept"))

    def letters(self, part: Part) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields letters of the lines, and where each document's begin, ROWS documents at a time.

        All documents and all lines are there: the numbers of lines are places in this order.
        """
        for batch in self.inputs.signals(part, ["paragraph_letters"]):
            yield unpacked(batch.column("paragraph_letters"), "<u4")

    def read(self, numbered: NumberedPart) -> Iterator[Lines]:
        """Yields the lines of a part, of ROWS documents at a time."""
        kept = self.kept(numbered.part)
        hosts = np.asarray(
            read_table(table_path(self.work, HOSTS, numbered.part.name)).column("host")
        )
        first = 0
        columns = ["paragraph_hashes", "paragraph_letters"]
        for batch in self.inputs.signals(numbered.part, columns):
            hashes, starts = unpacked(batch.column("paragraph_hashes"), "<u8")
            letters, _ = unpacked(batch.column("paragraph_letters"), "<u4")
            rows = np.repeat(np.arange(first, first + batch.num_rows), np.diff(starts))
            numbers = np.arange(len(hashes)) - starts[rows - first]
            chosen = kept[rows] & (letters >= self.min_characters)
            rows = rows[chosen]
            yield Lines(
                hashes[chosen].astype(np.uint64),
                letters[chosen].astype(np.uint32),
                hosts[rows],
                rows.astype(np.uint64) + np.uint64(numbered.first),
                numbers[chosen].astype(np.uint32),
            )
            first += batch.num_rows


@dataclass(frozen=True)
class HashHosts:
    """Writes the host of each document of a part, and counts the lines that will be compared."""

    reader: LineReader

    def setup(self) -> None:
        """Nothing to load."""

    def process(self, part: Part, output: PartOutput) -> None:
        output.open_table(HOSTS, HOST)
        kept = self.reader.kept(part)
        hashes: dict[str, int] = {}
        first = 0
        for batch in self.reader.inputs.documents(part, ["url"], ROWS):
            hosts = np.zeros(batch.num_rows, np.uint64)
            rows = np.flatnonzero(kept[first : first + batch.num_rows])
            urls = batch.column("url").take(pa.array(rows)).to_pylist()
            for row, url in zip(rows, urls, strict=True):
                host = host_of(url)
                if host not in hashes:
                    hashes[host] = host_hash(host)
                hosts[row] = hashes[host]
            output.write(HOSTS, pa.RecordBatch.from_arrays([pa.array(hosts)], schema=HOST), HOST)
            first += batch.num_rows
        lines = 0
        first = 0
        for letters, starts in self.reader.letters(part):
            is_counted = np.repeat(kept[first : first + len(starts) - 1], np.diff(starts))
            lines += int((is_counted & (letters >= self.reader.min_characters)).sum())
            first += len(starts) - 1
        output.facts["lines"] = lines


def write_host_sizes(work: str, parts: Sequence[Part], least: int) -> None:
    """Writes how many documents each host has, where it has at least so many.

    Takes 32 bytes of memory for each host of the corpus.
    """
    hosts, documents = np.empty(0, np.uint64), np.empty(0, np.int64)
    for part in parts:
        for batch in read_batches(table_path(work, HOSTS, part.name), rows=ROWS):
            here, counts = np.unique(np.asarray(batch.column("host")), return_counts=True)
            both, places = np.unique(np.concatenate([hosts, here]), return_inverse=True)
            sums = np.zeros(len(both), np.int64)
            np.add.at(sums, places.reshape(-1), np.concatenate([documents, counts]))
            hosts, documents = both, sums
    large = (documents >= least) & (hosts != 0)
    with TableWriter(storage.join(work, _SIZES), HOST_SIZE) as writer:
        arrays = [pa.array(hosts[large]), pa.array(documents[large])]
        writer.write(pa.RecordBatch.from_arrays(arrays, schema=HOST_SIZE))


def host_sizes(work: str, hosts: np.ndarray) -> np.ndarray:
    """Documents of some hosts of those that were written: int64 (hosts,)."""
    table = read_table(storage.join(work, _SIZES))
    known = np.asarray(table.column("host"))
    documents: np.ndarray = np.asarray(table.column("documents"))
    return documents[np.searchsorted(known, hosts)]
