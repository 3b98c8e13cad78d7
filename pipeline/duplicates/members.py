"""What is needed of the documents that share a key, gathered block by block.

A block holds whole connected components, so that everything about them is decided without a look at
another block. Texts are read here once more, of candidates only, and become sets of shingles (or
signatures) beside the text's part; no text moves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.duplicate_settings import Deduplicate
from filters.folding import fold_texts
from filters.kernels.shingle_sets import distinct
from filters.kernels.text_batch import TextBatch
from filters.minhash import MinHash
from pipeline import storage
from pipeline.duplicates.candidates import read_bucket_members, read_edges
from pipeline.duplicates.graph import Nodes
from pipeline.duplicates.inputs import Inputs, NumberedPart
from pipeline.duplicates.keys import captured_pages
from pipeline.duplicates.row_files import RowFiles
from pipeline.parts import Part, PartOutput
from pipeline.stages.measure import slices

STEP = "members"
MEMBER = pa.schema(
    [
        pa.field("ordinal", pa.uint64(), nullable=False),
        pa.field("component", pa.uint64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("quality", pa.float32(), nullable=False),
        pa.field("characters", pa.int64(), nullable=False),
        pa.field("source", pa.int32(), nullable=False),
        # Seconds since 1970.
        pa.field("captured_at", pa.int64()),
        # Comparable address of a capture; "" of anything else.
        pa.field("page", pa.string(), nullable=False),
        pa.field("content_hash", pa.binary(16), nullable=False),
        pa.field("compared", pa.bool_(), nullable=False),
        pa.field("hash_count", pa.int64(), nullable=False),
        # uint32, little-endian: distinct hashes of shingles, ascending, or the signature; empty
        # where nothing is compared.
        pa.field("hashes", pa.large_binary(), nullable=False),
    ]
)
# Of memory while a block is judged: for each document, its columns and what is computed of it; for
# each candidate pair that is read.
MEMBER_BYTES = 400
PAIR_BYTES = 64
# More files than this at once would cost more than reading a block twice.
MOST_BLOCKS = 1024
# Rows of texts read at a time; row groups end before they are many megabytes.
_ROWS_READ = 512


def block_of(components: np.ndarray, blocks: int) -> np.ndarray:
    """int64 (n,): the block of each component, spread by a hash of its smallest ordinal."""
    mixed = components * np.uint64(0x9E37_79B9_7F4A_7C15)
    return ((mixed ^ (mixed >> np.uint64(29))) % np.uint64(blocks)).astype(np.int64)


def table_of_block(block: int) -> str:
    """Name of the table that holds a block's documents."""
    return f"{STEP}-{block:05d}"


def count_blocks(
    parts: Sequence[NumberedPart],
    inputs: Inputs,
    nodes: Nodes,
    pairs: int,
    settings: Deduplicate,
) -> int:
    """How many blocks there must be for one to take half of the memory, as an even division has it.

    Args:
      parts: of all documents.
      inputs: their columns.
      nodes: documents that share a key.
      pairs: candidate pairs, as often as bands found them.
      settings: with the memory.
    """
    needed = pairs * PAIR_BYTES
    for numbered in parts:
        ordinals, _, compared = nodes.between(numbered.first, numbered.first + numbered.rows)
        needed += len(ordinals) * MEMBER_BYTES
        if settings.near.verify == "signature":
            needed += int(compared.sum()) * settings.near.bands * settings.near.rows * 4
        elif settings.near.verify == "exact" and compared.any():
            characters = np.asarray(inputs.verdicts(numbered.part, ["characters"]).column(0))
            rows = ordinals[compared] - np.uint64(numbered.first)
            needed += 4 * int(characters[rows.astype(np.int64)].sum())
    return min(MOST_BLOCKS, 1 + needed // (settings.memory // 2))


@dataclass(frozen=True)
class GatherMembers:
    """Writes the members of one part, each into the table of its block."""

    inputs: Inputs
    nodes: Nodes
    blocks: int
    first_of_part: dict[str, tuple[int, int]]
    settings: Deduplicate
    loaded: dict[str, Any] = field(default_factory=dict, compare=False)

    def setup(self) -> None:
        """Draws the permutations."""
        near = self.settings.near
        self.loaded["minhash"] = MinHash(near.shingle, near.bands, near.rows, near.seed)

    def process(self, part: Part, output: PartOutput) -> None:
        first, rows = self.first_of_part[part.name]
        ordinals, components, compared = self.nodes.between(first, first + rows)
        if len(ordinals) == 0:
            return
        places = (ordinals - np.uint64(first)).astype(np.int64)
        columns = self._columns(part, places)
        columns["ordinal"] = pa.array(ordinals, pa.uint64())
        columns["component"] = pa.array(components, pa.uint64())
        columns["compared"] = pa.array(compared)
        blocks = block_of(components, self.blocks)
        done = 0
        for documents in self._documents(part, places):
            here = slice(done, done + documents.num_rows)
            done += documents.num_rows
            captured = documents.column("captured_at").cast(pa.timestamp("s"))
            columns_here = {
                **{name: column[here] for name, column in columns.items()},
                "captured_at": captured.cast(pa.int64()),
                "page": pa.array(self._pages(documents), pa.string()),
            }
            hashes = self._hashes(documents.column("text"), compared[here])
            sizes = np.asarray(pc.binary_length(hashes), np.int64)
            columns_here["hashes"], columns_here["hash_count"] = hashes, pa.array(sizes // 4)
            arrays = [columns_here[field.name] for field in MEMBER]
            batch = pa.RecordBatch.from_arrays(arrays, schema=MEMBER)
            for block in np.unique(blocks[here]):
                chosen = batch.filter(pa.array(blocks[here] == block))
                output.write(table_of_block(int(block)), chosen, MEMBER)

    def _columns(self, part: Part, places: np.ndarray) -> dict[str, pa.Array]:
        rows = pa.array(places)
        verdicts = self.inputs.verdicts(part, ["id", "quality", "characters"]).take(rows)
        hashes = []
        first = 0
        for batch in self.inputs.signals(part, ["content_hash"]):
            low, high = np.searchsorted(places, [first, first + batch.num_rows])
            hashes.append(batch.column(0).take(pa.array(places[low:high] - first)))
            first += batch.num_rows
        source = self.inputs.sources.index(part.source)
        return {
            "id": verdicts.column("id").combine_chunks(),
            "quality": verdicts.column("quality").combine_chunks(),
            "characters": verdicts.column("characters").combine_chunks(),
            "content_hash": pa.concat_arrays(hashes),
            "source": pa.array(np.full(len(places), source), pa.int32()),
        }

    def _documents(self, part: Part, places: np.ndarray) -> Iterator[pa.RecordBatch]:
        """Yields url, captured_at and text of chosen rows, a few texts at a time."""
        first = 0
        names = ["url", "captured_at", "text"]
        for batch in self.inputs.documents(part, names, _ROWS_READ):
            low, high = np.searchsorted(places, [first, first + batch.num_rows])
            if low < high:
                yield from slices(batch.take(pa.array(places[low:high] - first)))
            first += batch.num_rows

    def _pages(self, documents: pa.RecordBatch) -> list[str]:
        if self.settings.url == "off":
            return [""] * documents.num_rows
        return captured_pages(documents)

    def _hashes(self, texts: pa.Array, compared: np.ndarray) -> pa.Array:
        near = self.settings.near
        ends = np.zeros(len(texts) + 1, np.int64)
        content = np.empty(0, np.uint32)
        if near.verify != "off" and compared.any():
            chosen = TextBatch.from_arrow(texts.filter(pa.array(compared)))
            minhash: MinHash = self.loaded["minhash"]
            folded = fold_texts(chosen).comparable
            if near.verify == "exact":
                sets = distinct(*minhash.shingle_hashes_of(folded))
                content, sizes = sets.hashes, np.diff(sets.starts)
            else:
                signatures = minhash.signatures_of(folded)
                content, sizes = signatures.ravel(), np.full(len(chosen), signatures.shape[1])
            lengths = np.zeros(len(texts), np.int64)
            lengths[compared] = sizes * 4
            np.cumsum(lengths, out=ends[1:])
        data = pa.py_buffer(content.astype("<u4").tobytes())
        return pa.LargeBinaryArray.from_buffers(
            pa.large_binary(), len(texts), [None, pa.py_buffer(ends), data]
        )


def route(
    candidates: str, nodes: Nodes, documents: int, blocks: int, folder: str, memory: int
) -> tuple[RowFiles, RowFiles]:
    """Divides candidate pairs, and the texts of large buckets, among the blocks.

    Args:
      candidates: folder of their tables.
      nodes: with the component of each document.
      documents: in all.
      blocks: how many.
      folder: for the files.
      memory: bytes.

    Returns:
      Pairs (first, second) and bucket members (bucket, ordinal); group n is block n.
    """
    pairs = RowFiles(storage.join(folder, "pairs"), 2, memory // 8)
    buckets = RowFiles(storage.join(folder, "buckets"), 2, memory // 8)
    span = max(1, memory // 4 // 32)
    with pairs, buckets:
        for start in range(0, max(1, documents), span):
            ordinals, components, _ = nodes.between(start, start + span)
            numbers = block_of(components, blocks)
            for edges in read_edges(candidates, "pairs"):
                rows, found = _blocks_here(edges[:, 0], ordinals, numbers, start, start + span)
                pairs.add(edges[rows], found)
            for members in read_bucket_members(candidates):
                # By its leader, so that a bucket's texts stay together and in their order.
                rows, found = _blocks_here(members[:, 1], ordinals, numbers, start, start + span)
                buckets.add(members[rows][:, [0, 2]], found)
    return pairs, buckets


def _blocks_here(
    wanted: np.ndarray, ordinals: np.ndarray, numbers: np.ndarray, start: int, end: int
) -> tuple[np.ndarray, np.ndarray]:
    """Which rows' ordinals lie in a span, and the blocks of those."""
    rows = np.flatnonzero((wanted >= start) & (wanted < end))
    return rows, numbers[np.searchsorted(ordinals, wanted[rows])]
