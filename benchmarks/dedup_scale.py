"""Shows how fast duplicates are found from their keys to their survivors, and in how much memory.

    python benchmarks/dedup_scale.py --documents 1000000 --workers 2 --memory 1GB
    python benchmarks/dedup_scale.py --documents 100000 --texts

Makes up documents of which 30 % are near-duplicates of another one, then times, on one core, the
kernels (candidates and components; the check of pairs of 2 KB texts) and, with the given workers,
the steps of the stage. By default there are band keys only and candidates are taken as they are
(`verify: off`); with `--texts` there are texts of 2 KB, and each pair is checked.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from filters.duplicate_settings import Deduplicate
from filters.duplicates import SMALL_BUCKET
from filters.folding import fold_texts
from filters.kernels.band_buckets import candidates_of
from filters.kernels.components import Forest
from filters.kernels.shingle_sets import PackedSets, distinct, jaccard_of
from filters.kernels.text_batch import TextBatch
from filters.minhash import MinHash
from pangu_settings import validate
from pipeline.documents import TIMESTAMP
from pipeline.duplicates.inputs import Inputs
from pipeline.execution import Execution
from pipeline.parts import Part
from pipeline.stages.deduplicate import find_duplicates

BANDS = 16
PART_ROWS = 250_000
ROW_GROUP = 50_000
# Documents of ten that are near-duplicates, and how often one shares a band with its original.
REDUNDANT = 3
SHARED = 0.55
# Of 2 KB of Chinese; shingles of such texts, and how many two similar ones have in common.
CHARACTERS = 680
SHINGLES = 676
COMMON = 620
PAIRS = 200_000


def main() -> None:
    arguments = parse_arguments()
    print_kernels()
    verify = "exact" if arguments.texts else "off"
    settings = validate(
        Deduplicate, {"memory": arguments.memory, "near": {"verify": verify}}, "--memory"
    )
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        parts = write_tables(folder, arguments.documents, arguments.texts)
        print_stage(folder, parts, settings, arguments)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory", default="1GB", help="budget of the stage, in each process")
    parser.add_argument("--texts", action="store_true", help="with texts, and pairs checked")
    parser.add_argument("--folder", help="for the tables; a temporary place by default")
    return parser.parse_args()


def mixed(values: np.ndarray, seed: int) -> np.ndarray:
    """A hash of each number: uint64, like `values`."""
    values = values + np.uint64((seed + 1) * 0x9E37_79B9_7F4A_7C15 & (1 << 64) - 1)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58_476D_1CE4_E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D0_49BB_1331_11EB)
    return values ^ (values >> np.uint64(31))


def originals(numbers: np.ndarray, documents: int) -> np.ndarray:
    """The document that each of so many is a near-duplicate of; most are their own."""
    chosen = mixed(numbers, 1) % np.uint64(documents)
    chosen = chosen - chosen % np.uint64(10) + np.uint64(REDUNDANT)
    return np.where(numbers % np.uint64(10) < REDUNDANT, chosen, numbers)


def made_up_texts(first: int, end: int, documents: int) -> TextBatch:
    """Texts of 2 KB; a near-duplicate has 1 % of its original's characters changed."""
    numbers = np.arange(first, end, dtype=np.uint64)[:, None]
    places = np.arange(CHARACTERS, dtype=np.uint64)
    own = mixed(numbers << np.uint64(10) | places, 5)
    original = mixed(originals(numbers, documents) << np.uint64(10) | places, 5)
    changed = (own % np.uint64(100) == 0) & (numbers % np.uint64(10) < REDUNDANT)
    points = 0x4E00 + np.where(changed, own, original) % np.uint64(0x2000)
    starts = np.arange(0, (end - first) * CHARACTERS + 1, CHARACTERS)
    return TextBatch(points.ravel().astype(np.uint32), starts)


def band_keys(first: int, end: int, documents: int) -> np.ndarray:
    """Keys of documents first … end − 1 of so many: uint64 (n, BANDS)."""
    numbers = np.arange(first, end, dtype=np.uint64)
    original = originals(numbers, documents)
    columns = []
    for band in range(BANDS):
        shares = mixed(numbers, 100 + band) < np.uint64(int(SHARED * 2**64))
        columns.append(mixed(np.where(shares, original, numbers), 200 + band))
    return np.column_stack(columns)


def print_kernels() -> None:
    documents = 1_000_000
    keys = band_keys(0, documents, documents)
    ordinals = np.arange(documents, dtype=np.uint64)
    texts = mixed(ordinals, 3)
    seconds = []
    for _ in range(3):
        started = time.process_time()
        forest = Forest(documents)
        for band in range(BANDS):
            forest.connect(candidates_of(keys[:, band], texts, ordinals, SMALL_BUCKET, False).pairs)
        forest.labels()
        seconds.append(time.process_time() - started)
    print(f"candidates and components  {documents / min(seconds):>12,.0f} documents/s/core")
    sets = made_up_sets(20_000)
    pairs = np.random.default_rng(0).integers(0, 10_000, PAIRS)
    pairs = np.column_stack([2 * pairs, 2 * pairs + 1])
    seconds = []
    for _ in range(3):
        started = time.process_time()
        jaccard_of(sets, pairs, 0.8)
        seconds.append(time.process_time() - started)
    print(f"check of pairs of 2 KB     {PAIRS / min(seconds):>12,.0f} pairs/s/core")


def made_up_sets(count: int) -> PackedSets:
    """Sets of shingles of which each two neighbours, 2n and 2n + 1, are similar."""
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 1 << 32, (count, SHINGLES), dtype=np.uint32)
    hashes[1::2, :COMMON] = hashes[::2, :COMMON]
    return distinct(hashes.ravel(), np.arange(0, count * SHINGLES + 1, SHINGLES))


def write_tables(folder: Path, documents: int, with_texts: bool) -> list[Part]:
    """What the stages before deduplication would have written of such documents."""
    parts = []
    minhash = MinHash(5, BANDS, 8, 1)
    rows = PART_ROWS // 25 if with_texts else PART_ROWS
    for first in range(0, documents, rows):
        end = min(documents, first + rows)
        name = f"made-up.{first // rows:05d}"
        parts.append(Part(name, "made-up", name, name, end - first))
        numbers = np.arange(first, end, dtype=np.uint64)
        hashes = np.column_stack([mixed(numbers, 3), mixed(numbers, 4)])
        texts = empty = pa.array([""] * (end - first), pa.string())
        if with_texts:
            batch = made_up_texts(first, end, documents)
            texts = batch.to_arrow()
            bands = minhash.band_keys_of(fold_texts(batch).comparable)[1]
        else:
            bands = band_keys(first, end, documents)
        tables = {
            "documents": {
                "url": empty,
                "captured_at": pa.nulls(end - first, TIMESTAMP),
                "text": texts,
            },
            "signals": {
                "content_hash": packed(pa.binary(16), hashes),
                "bands": packed(pa.binary(), bands),
            },
            "verdicts": {
                "id": hexadecimal(hashes),
                "kept": pa.array(np.ones(end - first, np.bool_)),
                "quality": pa.array((hashes[:, 0] % np.uint64(1000)).astype(np.float32) / 1000),
                "characters": pa.array(np.full(end - first, CHARACTERS)),
                "text_bytes": pa.array(np.full(end - first, 3 * CHARACTERS)),
            },
        }
        for table, columns in tables.items():
            path = folder / table / f"{name}.parquet"
            path.parent.mkdir(exist_ok=True)
            pq.write_table(pa.table(columns), path, row_group_size=ROW_GROUP, compression="zstd")
    return parts


def packed(kind: pa.DataType, words: np.ndarray) -> pa.Array:
    """A binary column whose rows are the rows of `words`, little-endian."""
    data = pa.py_buffer(words.astype("<u8").tobytes())
    if isinstance(kind, pa.FixedSizeBinaryType):
        return pa.Array.from_buffers(kind, len(words), [None, data])
    ends = np.arange(len(words) + 1, dtype=np.int32) * (8 * words.shape[1])
    return pa.Array.from_buffers(kind, len(words), [None, pa.py_buffer(ends), data])


def hexadecimal(words: np.ndarray) -> pa.StringArray:
    data = words.astype(">u8").tobytes().hex().encode()
    ends = np.arange(len(words) + 1, dtype=np.int32) * (16 * words.shape[1])
    return pa.StringArray.from_buffers(len(words), pa.py_buffer(ends), pa.py_buffer(data))


def print_stage(
    folder: Path, parts: list[Part], settings: Deduplicate, arguments: argparse.Namespace
) -> None:
    inputs = Inputs(*[str(folder)] * 3, ("made-up",))
    execution = Execution(workers=arguments.workers)
    before = megabytes(resource.RUSAGE_SELF)
    started, processor = time.monotonic(), time.process_time()
    try:
        numbered = inputs.number(parts)
        results = find_duplicates(execution, inputs, numbered, settings, str(folder / "work"))
    finally:
        execution.close()
    seconds = time.monotonic() - started
    processor = time.process_time() - processor + execution.worker_seconds
    merged = 0
    for path in Path(results).glob("*.parquet"):
        kinds = pq.read_table(path, columns=["kind"]).column("kind").to_pylist()
        merged += sum(kind != "" for kind in kinds)
    work = sum(path.stat().st_size for path in (folder / "work").rglob("*") if path.is_file())
    print(
        f"{arguments.documents:,} documents, {arguments.workers} workers, {arguments.memory}: "
        f"{seconds:.0f} s, {processor:.0f} s of processor time "
        f"({arguments.documents / processor:,.0f} documents/s/core), {merged:,} merged"
    )
    print(
        f"peak memory: main process {megabytes(resource.RUSAGE_SELF):,.0f} MB "
        f"({before:,.0f} before the stage), largest worker "
        f"{megabytes(resource.RUSAGE_CHILDREN):,.0f} MB; {work / 1e6:,.0f} MB on disk on the way"
    )


def megabytes(who: int) -> float:
    return resource.getrusage(who).ru_maxrss / 1024


if __name__ == "__main__":
    main()
