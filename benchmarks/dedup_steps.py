"""What each step of our deduplication costs on one core."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.dedup_scale import packed
from filters.duplicate_settings import Deduplicate
from filters.duplicates import SMALL_BUCKET
from filters.folding import fold_texts
from filters.kernels.band_buckets import candidates_of
from filters.kernels.components import Forest
from filters.kernels.shingle_sets import PackedSets, distinct, jaccard_of
from filters.kernels.text_batch import TextBatch
from filters.minhash import MinHash
from pipeline.documents import TIMESTAMP
from pipeline.duplicates import candidates, judging, members
from pipeline.duplicates.graph import components_on_disk
from pipeline.duplicates.inputs import Inputs
from pipeline.duplicates.keys import fixed_width
from pipeline.execution import Execution
from pipeline.parts import Part, PartTransform
from pipeline.stages.deduplicate import find_duplicates
from pipeline.stages.measure import content_hashes

ROUNDS = 5
BATCH_ROWS = 500
PART_ROWS = 10_000
# Into which components beyond the budget are cut here, and what may wait in memory.
SPANS, SPAN_MEMORY = 30, 64 << 20
# Of the stage, what runs in the process that starts it while workers wait.
ALONE = "components and division into blocks"

_Result = TypeVar("_Result")


@dataclass
class Costs:
    """Seconds of one core, and what they were spent on.

    Attributes:
      documents, text_bytes: of the corpus; bytes of UTF-8.
      seconds: by step.
      rows: keys of bands and content hashes that are brought together.
      compared: documents whose texts are read once more.
      compared_bytes: of those texts.
      shingles: in their sets, 4 bytes each.
      pairs: that are checked.
    """

    documents: int
    text_bytes: int
    seconds: dict[str, float] = field(default_factory=dict)
    rows: int = 0
    compared: int = 0
    compared_bytes: int = 0
    shingles: int = 0
    pairs: int = 0

    def time(self, step: str, work: Callable[[], _Result]) -> _Result:
        """Does something ROUNDS times; the fastest counts."""
        taken = []
        for _ in range(ROUNDS):
            start = time.process_time()
            result = work()
            taken.append(time.process_time() - start)
        self.seconds[step] = min(taken)
        return result


def read_texts(path: Path) -> Iterator[pa.StringArray]:
    """Yields the texts of a Parquet file, BATCH_ROWS at a time."""
    for batch in pq.ParquetFile(path).iter_batches(BATCH_ROWS, columns=["text"]):
        yield batch.column("text")


def measure_kernels(columns: Sequence[pa.StringArray]) -> Costs:
    """Times the kernels over texts that are in memory."""
    near = Deduplicate().near
    minhash = MinHash(near.shingle, near.bands, near.rows, near.seed)
    sizes = np.concatenate([np.asarray(pc.binary_length(column)) for column in columns])
    costs = Costs(len(sizes), int(sizes.sum()))
    folded = costs.time("decode and fold", lambda: [_folded(column) for column in columns])
    signed = costs.time("signatures, bands", lambda: [minhash.band_keys_of(f) for f in folded])
    has_bands = np.concatenate([has for has, _ in signed])
    keys = np.concatenate([keys for _, keys in signed])[has_bands]
    ordinals = np.flatnonzero(has_bands).astype(np.uint64)
    hashes = costs.time("content hashes", lambda: [content_hashes(column) for column in columns])
    texts = np.concatenate([fixed_width(column, 16)[:, 0] for column in hashes])[has_bands]
    found = costs.time(
        "candidates",
        lambda: [
            candidates_of(keys[:, band], texts, ordinals, SMALL_BUCKET, False).pairs
            for band in range(near.bands)
        ],
    )
    pairs = np.unique(np.concatenate(found).astype(np.int64), axis=0)
    used = np.unique(pairs)
    chosen = pa.chunked_array(columns).take(pa.array(used))
    sets = costs.time("sets of candidates", lambda: _sets(chosen, minhash))
    places = np.searchsorted(used, pairs)
    similarity = costs.time("check", lambda: jaccard_of(sets, places, near.similarity))
    costs.time(
        "components", lambda: _connect(costs.documents, pairs[similarity >= near.similarity])
    )
    costs.rows = costs.documents + keys.size
    costs.compared, costs.pairs = len(used), len(pairs)
    costs.compared_bytes, costs.shingles = int(sizes[used].sum()), len(sets.hashes)
    return costs


def _folded(column: pa.StringArray) -> TextBatch:
    return fold_texts(TextBatch.from_arrow(column)).comparable


def _sets(texts: pa.ChunkedArray, minhash: MinHash) -> PackedSets:
    found = []
    for start in range(0, len(texts), BATCH_ROWS):
        column = texts.slice(start, BATCH_ROWS).combine_chunks()
        found.append(distinct(*minhash.shingle_hashes_of(_folded(column))))
    sizes = np.concatenate([[0], *(np.diff(sets.starts) for sets in found)])
    return PackedSets(np.concatenate([sets.hashes for sets in found]), np.cumsum(sizes))


def _connect(documents: int, pairs: np.ndarray) -> np.ndarray:
    forest = Forest(documents)
    forest.connect(pairs)
    return forest.labels()


class _TimedExecution(Execution):
    """One worker, whose time is taken step by step."""

    def __init__(self, seconds: dict[str, float]) -> None:
        super().__init__()
        self._seconds = seconds

    def map_parts(
        self, transform: PartTransform, parts: Sequence[Part], folder: str, step: str = "parts"
    ) -> None:
        start = time.process_time()
        super().map_parts(transform, parts, folder, step)
        self._seconds[step] = time.process_time() - start


@dataclass(frozen=True)
class StageCosts:
    """Seconds of one core that the stage took, from tables of keys to tables of results.

    Attributes:
      documents: how many there were.
      seconds: by step.
      edges: pairs and links that its tables of candidates hold, one for each band that has it.
      reading: seconds of reading them once.
      on_disk: seconds that components of them take beyond the budget, in SPANS spans.
    """

    documents: int
    seconds: dict[str, float]
    edges: int
    reading: float
    on_disk: float


def measure_stage(path: Path) -> StageCosts:
    """Runs the stage ROUNDS times over a Parquet file; the fastest counts."""
    documents = pq.ParquetFile(path).metadata.num_rows
    found: list[StageCosts] = []
    for _ in range(ROUNDS):
        steps: dict[str, float] = {}
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            total, _ = _run_stage(folder, path, _TimedExecution(steps))
            start = time.process_time()
            edges = sum(map(len, _edges(folder)))
            reading = time.process_time() - start
            span = -(-documents // SPANS)
            edges_again = partial(_edges, folder)
            start = time.process_time()
            for _ in components_on_disk(edges_again, span, f"{name}/edges", SPAN_MEMORY):
                pass
            on_disk = time.process_time() - start
        seconds = {
            "candidates": steps[candidates.STEP],
            ALONE: total - sum(steps.values()),
            "texts of candidates": steps[members.STEP],
            "check and verdicts": steps[judging.STEP],
        }
        found.append(StageCosts(documents, seconds, edges, reading, on_disk))
    return min(found, key=lambda costs: sum(costs.seconds.values()))


def _edges(folder: Path) -> Iterator[np.ndarray]:
    for table in (candidates.LINKS, candidates.PAIRS):
        yield from candidates.read_edges(str(folder / "work"), table)


def _run_stage(folder: Path, path: Path, execution: Execution) -> tuple[float, str]:
    """Seconds, without writing what other stages have written, and the folder of results."""
    parts = _write_tables(folder, path)
    inputs = Inputs(*[str(folder)] * 3, ("made-up",))
    numbered = inputs.number(parts)
    start = time.process_time()
    results = find_duplicates(execution, inputs, numbered, Deduplicate(), str(folder / "work"))
    return time.process_time() - start, results


def _write_tables(folder: Path, path: Path) -> list[Part]:
    """What the stages before deduplication would have written of the texts of a file."""
    near = Deduplicate().near
    minhash = MinHash(near.shingle, near.bands, near.rows, near.seed)
    parts: list[Part] = []
    first = 0
    for batch in pq.ParquetFile(path).iter_batches(PART_ROWS, columns=["text"]):
        text, rows = batch.column("text"), batch.num_rows
        slices = [text.slice(start, BATCH_ROWS) for start in range(0, rows, BATCH_ROWS)]
        found = [minhash.band_keys_of(_folded(column)) for column in slices]
        has_bands = pa.array(np.concatenate([has for has, _ in found]))
        bands = packed(pa.binary(), np.concatenate([keys for _, keys in found]))
        tables = {
            "documents": {
                "url": pa.array([""] * rows),
                "captured_at": pa.nulls(rows, TIMESTAMP),
                "text": text,
            },
            "signals": {
                "content_hash": content_hashes(text),
                "bands": pc.if_else(has_bands, bands, pa.scalar(b"", pa.binary())),
            },
            "verdicts": {
                "id": [f"{number:09}" for number in range(first, first + rows)],
                "kept": pa.array(np.ones(rows, np.bool_)),
                "quality": pa.array(np.zeros(rows, np.float32)),
                "characters": pc.utf8_length(text).cast(pa.int64()),
                "text_bytes": pc.binary_length(text).cast(pa.int64()),
            },
        }
        name = f"made-up.{first:09}"
        for table, data in tables.items():
            file = folder / table / f"{name}.parquet"
            file.parent.mkdir(exist_ok=True)
            pq.write_table(pa.table(data), file, compression="zstd")
        parts.append(Part(name, "made-up", name, name, rows))
        first += rows
    return parts
