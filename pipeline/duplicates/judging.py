"""The documents of one block are compared, and it is decided which of them stay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.duplicate_settings import Deduplicate
from filters.duplicates import Members, Similarities, judge, similar_pairs
from filters.kernels.shingle_sets import PackedSets, agreement_of, jaccard_of
from pangu_settings import UserError
from pipeline import storage
from pipeline.duplicates.keys import fixed_width
from pipeline.duplicates.members import MEMBER, MEMBER_BYTES, PAIR_BYTES, table_of_block
from pipeline.duplicates.row_files import RowFiles
from pipeline.parts import Part, PartOutput
from pipeline.tables import read_batches, read_table, row_count

STEP = "blocks"
RESULTS = "results"
# One row for each document that shares a key with another one, by ordinal within a block.
RESULT = pa.schema(
    [
        pa.field("ordinal", pa.uint64(), nullable=False),
        pa.field("survivor", pa.string(), nullable=False),
        # exact, url or near; "" of a document that stays.
        pa.field("kind", pa.string(), nullable=False),
        # Jaccard similarity to the survivor, where it was computed.
        pa.field("similarity", pa.float32()),
        # Documents with the same survivor, itself included.
        pa.field("cluster_size", pa.int32(), nullable=False),
    ]
)
_COLUMNS = [field.name for field in MEMBER if field.name != "hashes"]
_ROWS_READ = 4096


def part_of_block(block: int, blocks: int) -> Part:
    """A block as a part, which is what a map-only step is divided into."""
    return Part(f"block-{block:05d}-of-{blocks:05d}", "", "", "", 0)


@dataclass(frozen=True)
class JudgeBlock:
    """Decides about the documents of one block.

    Attributes:
      folder: of the tables of members.
      pairs, buckets: candidate pairs (first, second) and members (bucket, ordinal) of large
        buckets, by block.
      blocks: number of each block, by the name of its part.
    """

    folder: str
    pairs: RowFiles
    buckets: RowFiles
    blocks: dict[str, int]
    settings: Deduplicate

    def setup(self) -> None:
        """Nothing to load."""

    def process(self, part: Part, output: PartOutput) -> None:
        output.open_table(RESULTS, RESULT)
        block = self.blocks[part.name]
        tables = _tables(self.folder, block)
        if not tables:
            return
        self._check_size(block, sum(map(row_count, tables)))
        table = pa.concat_tables([read_table(path, _COLUMNS) for path in tables])
        table = table.sort_by("ordinal")
        ordinals = np.asarray(table.column("ordinal"))
        members = _members(table)
        near = self.settings.near
        pairs = self._pairs(block, ordinals, members.texts)
        similarities = None
        similar = pairs
        if near.verify != "off":
            counts = np.asarray(table.column("hash_count"))
            hashes = TextHashes(tables, ordinals, members.texts, counts, self.settings)
            similarities = Similarities(len(hashes.counts), hashes.compare, near.similarity)
            buckets, starts = self._buckets(block, ordinals, members.texts)
            similar = similar_pairs(pairs, buckets, starts, similarities)
        verdicts = judge(members, similar, similarities, self.settings)
        sizes = np.bincount(verdicts.survivors, minlength=len(members))[verdicts.survivors]
        ids = table.column("id").combine_chunks()
        similarity = pa.array(verdicts.similarity, pa.float32(), from_pandas=True)
        arrays = [
            table.column("ordinal").combine_chunks(),
            ids.take(pa.array(verdicts.survivors)),
            pa.array(verdicts.kinds.tolist(), pa.string()),
            similarity,
            pa.array(sizes, pa.int32()),
        ]
        output.write(RESULTS, pa.RecordBatch.from_arrays(arrays, schema=RESULT), RESULT)

    def _check_size(self, block: int, documents: int) -> None:
        pairs = self.pairs.rows.get(block, 0) + self.buckets.rows.get(block, 0)
        needed = documents * MEMBER_BYTES + pairs * PAIR_BYTES
        if needed > self.settings.memory:
            raise UserError(
                f"deduplicate.memory: {self.settings.memory:,} bytes are too few for "
                f"{documents:,} documents that share keys with each other; set it to {needed:,} or "
                "more, or ask for fewer bands or more rows"
            )

    def _pairs(self, block: int, ordinals: np.ndarray, texts: np.ndarray) -> np.ndarray:
        """The block's candidates as pairs of texts, each once: int64 (pairs, 2)."""
        count = int(texts.max(initial=0)) + 1
        codes = np.empty(0, np.int64)
        for rows in self.pairs.read(block):
            of_texts = texts[np.searchsorted(ordinals, rows)]
            of_texts = of_texts[of_texts[:, 0] != of_texts[:, 1]]
            found = of_texts.min(axis=1) * count + of_texts.max(axis=1)
            codes = np.union1d(codes, found)
        return np.column_stack(np.divmod(codes, count))

    def _buckets(
        self, block: int, ordinals: np.ndarray, texts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Texts of the block's large buckets, int64 (n,), and where each bucket begins."""
        rows = np.concatenate([np.empty((0, 2), np.uint64), *self.buckets.read(block)])
        order = np.argsort(rows[:, 0], kind="stable")
        numbers, members = rows[order, 0], texts[np.searchsorted(ordinals, rows[order, 1])]
        starts = np.flatnonzero(np.diff(numbers, prepend=np.uint64(1 << 63)))
        return members, np.append(starts, len(members))


def _tables(folder: str, block: int) -> list[str]:
    below = storage.join(folder, table_of_block(block))
    return [storage.join(below, name) for name in storage.list_files(below, ".parquet")]


def _members(table: pa.Table) -> Members:
    """The columns of a block, with texts numbered so that those of one component are neighbours."""
    hashes = fixed_width(table.column("content_hash").combine_chunks(), 16)
    text_of = np.column_stack([np.asarray(table.column("component")), hashes])
    order = np.lexsort(text_of.T[::-1])
    is_new = np.ones(len(order), np.bool_)
    is_new[1:] = (text_of[order][1:] != text_of[order][:-1]).any(axis=1)
    texts = np.empty(len(order), np.int64)
    texts[order] = np.cumsum(is_new) - 1
    pages = table.column("page").combine_chunks()
    addresses = np.asarray(pages.dictionary_encode().indices)
    return Members(
        ids=_ranks(table.column("id")),
        quality=np.asarray(table.column("quality")),
        lengths=np.asarray(table.column("characters")),
        sources=np.asarray(table.column("source")),
        captured=np.asarray(table.column("captured_at").fill_null(-(1 << 62))),
        texts=texts,
        addresses=np.where(np.asarray(pc.equal(pages, "")), -1, addresses),
        has_shingles=np.asarray(table.column("compared")),
    )


def _ranks(column: pa.ChunkedArray) -> np.ndarray:
    """int64 (rows,): the place of each string among all, sorted by their bytes."""
    ranks = np.empty(len(column), np.int64)
    ranks[np.asarray(pc.sort_indices(column)).astype(np.int64)] = np.arange(len(column))
    return ranks


class TextHashes:
    """The sets of shingles, or the signatures, of a block's texts, loaded as far as memory goes.

    Args:
      tables: of members.
      ordinals: uint64 (documents,), ascending.
      texts: int64 (documents,), the text of each.
      counts: int64 (documents,), how many hashes the document's row has.
      settings: of the recipe.

    Attributes:
      counts: int64 (texts,), hashes of each text.
    """

    def __init__(
        self,
        tables: list[str],
        ordinals: np.ndarray,
        texts: np.ndarray,
        counts: np.ndarray,
        settings: Deduplicate,
    ) -> None:
        self._tables = tables
        self._ordinals = ordinals
        self._texts = texts
        self._settings = settings
        self.counts = np.zeros(int(texts.max(initial=0)) + 1, np.int64)
        np.maximum.at(self.counts, texts, counts)
        self._all: PackedSets | None = None

    def compare(self, pairs: np.ndarray) -> np.ndarray:
        """Similarity of each pair of texts: float64 (pairs,).

        Args:
          pairs: int64 (pairs, 2), ascending, so that near ones have texts in common.
        """
        memory = self._settings.memory // 2
        if self._all is None and 4 * self.counts.sum() <= memory:
            self._all = self._load(np.arange(len(self.counts)))
        if self._all is not None:
            return self._similarity(self._all, pairs)
        result = np.empty(len(pairs))
        start = 0
        while start < len(pairs):
            end = start + self._fitting(pairs[start:], memory)
            wanted = np.unique(pairs[start:end])
            places = np.searchsorted(wanted, pairs[start:end])
            result[start:end] = self._similarity(self._load(wanted), places)
            start = end
        return result

    def _fitting(self, pairs: np.ndarray, memory: int) -> int:
        """How many of the pairs, at least one, have texts that fit into memory together."""
        ends = pairs.ravel()
        is_new = np.zeros(len(ends), np.bool_)
        is_new[np.unique(ends, return_index=True)[1]] = True
        needed = np.cumsum(np.where(is_new, 4 * self.counts[ends], 0))
        return max(1, int(np.searchsorted(needed[1::2], memory, side="right")))

    def _similarity(self, sets: PackedSets, pairs: np.ndarray) -> np.ndarray:
        near = self._settings.near
        if near.verify == "exact":
            return jaccard_of(sets, pairs, near.similarity)
        permutations = near.bands * near.rows
        # A text without shingles has no signature, and is like no other.
        lengths = np.diff(sets.starts)
        signatures = np.zeros((len(sets), permutations), np.uint32)
        signatures[lengths > 0] = sets.hashes.reshape(-1, permutations)
        return np.where((lengths[pairs] > 0).all(axis=1), agreement_of(signatures, pairs), 0.0)

    def _load(self, wanted: np.ndarray) -> PackedSets:
        """The sets of chosen texts, in their order."""
        starts = np.zeros(len(wanted) + 1, np.int64)
        np.cumsum(self.counts[wanted], out=starts[1:])
        hashes = np.empty(starts[-1], np.uint32)
        is_wanted = np.zeros(len(self.counts), np.bool_)
        is_wanted[wanted] = True
        for texts, content, ends in self._read():
            rows = np.flatnonzero(is_wanted[texts] & (np.diff(ends) > 0))
            targets = starts[np.searchsorted(wanted, texts[rows])]
            for row, target in zip(rows.tolist(), targets.tolist(), strict=True):
                values = content[ends[row] : ends[row + 1]]
                hashes[target : target + len(values)] = values
        return PackedSets(hashes, starts)

    def _read(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yields texts (n,), and the hashes of each: content[ends[i]:ends[i + 1]]."""
        for path in self._tables:
            for batch in read_batches(path, ["ordinal", "hashes"], _ROWS_READ):
                ordinals, hashes = np.asarray(batch.column("ordinal")), batch.column("hashes")
                _, ends, data = hashes.buffers()
                content = np.frombuffer(data or b"", "<u4")
                ends = np.frombuffer(ends, np.int64)[hashes.offset :][: len(hashes) + 1] // 4
                yield self._texts[np.searchsorted(self._ordinals, ordinals)], content, ends
