"""Ways of finding near-duplicates in a Parquet file, each run in a process of its own.

    python benchmarks/dedup_ways.py datasketch documents.parquet survivors.npz

Beside ours: datasketch and rensa as a careful person would write them down, and a Beam job that
shuffles one element for each band of each document. All see the same letters and digits, make runs
of five of them and 128 hash values in 16 bands of 8. The others connect whatever shares a band, or
of that whatever agrees in 80 % of its values, and keep the first document of each component.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from filters.folding import fold_texts
from filters.kernels.components import Forest
from filters.kernels.text_batch import TextBatch

SHINGLE, BANDS, ROWS = 5, 16, 8
SIMILAR = 0.8
_BATCH = 1000

UNCHECKED, CHECKED = "unchecked", "checked"
# Of what is written, beside the survivors: the peak memory of the largest process.
MEGABYTES = "megabytes"
# int64 (documents,) each: the document that stands for it, by whether candidates were checked.
Survivors = dict[str, np.ndarray]


def pangu(path: str) -> Survivors:
    """What `pangu dedup` does with its defaults: rows in, the same rows with verdicts out."""
    from filters.duplicate_settings import Deduplicate
    from pipeline.pieces.dedup_columns import Fields
    from pipeline.pieces.dedup_files import dedup_files

    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/out.parquet"
        dedup_files([path], out, Deduplicate(), Fields())
        # The ids of the corpus are the numbers of its rows.
        survivors = pq.read_table(out, columns=["survivor_id"]).column(0)
    return {CHECKED: np.asarray(survivors.cast(pa.int64()))}


def datasketch(path: str) -> Survivors:
    """MinHashLSH, each document asked for before it is inserted."""
    from datasketch import MinHashLSH

    lsh = MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))
    sketches: list[Any] = []
    pairs: list[tuple[int, int]] = []
    similar: list[tuple[int, int]] = []
    for number, shingles in enumerate(_shingles(path)):
        sketches.append(_datasketch(shingles))
        if not shingles:
            continue
        for other in lsh.query(sketches[-1]):
            pairs.append((other, number))
            if sketches[-1].jaccard(sketches[other]) >= SIMILAR:
                similar.append(pairs[-1])
        lsh.insert(number, sketches[-1])
    return _components(len(sketches), pairs, similar)


def rensa(path: str) -> Survivors:
    """RMinHash and RMinHashLSH in batches, as its documentation recommends."""
    from rensa import RMinHash, RMinHashLSH

    lsh = RMinHashLSH(SIMILAR, BANDS * ROWS, BANDS)
    sketches: dict[int, Any] = {}
    count = 0
    waiting: list[set[str]] = []

    def insert() -> None:
        made = RMinHash.from_token_sets(waiting, BANDS * ROWS, 1)
        numbers = [count - len(waiting) + place for place, found in enumerate(waiting) if found]
        made = [sketch for sketch, found in zip(made, waiting, strict=True) if found]
        lsh.insert_pairs(list(zip(numbers, made, strict=True)))
        sketches.update(zip(numbers, made, strict=True))
        waiting.clear()

    for shingles in _shingles(path):
        waiting.append(shingles)
        count += 1
        if len(waiting) == _BATCH:
            insert()
    insert()
    pairs = [
        (other, number)
        for number, found in zip(sketches, lsh.query_all(list(sketches.values())), strict=True)
        for other in found
        if other < number
    ]
    similar = [(a, b) for a, b in pairs if sketches[a].jaccard(sketches[b]) >= SIMILAR]
    return _components(count, pairs, similar)


def beam(path: str) -> Survivors:
    """datasketch's signatures, then one element for each band of each document, and GroupByKey."""
    import apache_beam
    from apache_beam.options.pipeline_options import PipelineOptions

    documents = pq.ParquetFile(path).metadata.num_rows
    with tempfile.TemporaryDirectory() as folder:
        with apache_beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as root:
            (
                root
                | apache_beam.Create([path])
                | "Sign" >> apache_beam.FlatMap(_numbered_bands)
                | "Group" >> apache_beam.GroupByKey()
                | "Pairs" >> apache_beam.FlatMap(_pairs_of_bucket)
                | apache_beam.io.WriteToText(f"{folder}/pairs")
            )
        lines = [line for file in Path(folder).iterdir() for line in file.read_text().splitlines()]
    pairs = [tuple(map(int, line.split())) for line in lines]
    return {UNCHECKED: _survivors(documents, pairs)}


def _numbered_bands(path: str) -> Iterator[tuple[tuple[int, bytes], int]]:
    for number, shingles in enumerate(_shingles(path)):
        if shingles:
            for band, values in enumerate(_datasketch(shingles).hashvalues.reshape(BANDS, ROWS)):
                yield (band, values.tobytes()), number


def _pairs_of_bucket(bucket: tuple[object, Any]) -> Iterator[str]:
    first, *others = sorted(bucket[1])
    yield from (f"{first} {other}" for other in others)


def _shingles(path: str) -> Iterator[set[str]]:
    """The distinct runs of letters and digits of each document."""
    for batch in pq.ParquetFile(path).iter_batches(_BATCH, columns=["text"]):
        comparable = fold_texts(TextBatch.from_arrow(batch.column("text"))).comparable
        for text in comparable.to_strings():
            yield {text[place : place + SHINGLE] for place in range(len(text) - SHINGLE + 1)}


def _datasketch(shingles: set[str]) -> Any:
    from datasketch import MinHash

    made = MinHash(BANDS * ROWS)
    made.update_batch([shingle.encode() for shingle in shingles])
    return made


def _components(
    documents: int, pairs: Sequence[tuple[int, int]], similar: Sequence[tuple[int, int]]
) -> Survivors:
    return {UNCHECKED: _survivors(documents, pairs), CHECKED: _survivors(documents, similar)}


def _survivors(documents: int, pairs: Sequence[tuple[int, ...]]) -> np.ndarray:
    forest = Forest(documents)
    forest.connect(np.array(pairs, np.int64).reshape(-1, 2))
    return forest.labels()


WAYS: dict[str, Callable[[str], Survivors]] = {
    "pangu": pangu,
    "rensa": rensa,
    "datasketch": datasketch,
    "beam": beam,
}


def _peak_megabytes() -> float:
    """Of this process and those that it has started.

    `ru_maxrss` of this process would count the memory of the one that it was forked from.
    """
    status = Path("/proc/self/status").read_text()
    own = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024


if __name__ == "__main__":
    _found = WAYS[sys.argv[1]](sys.argv[2])
    np.savez(sys.argv[3], **_found, **{MEGABYTES: np.array(_peak_megabytes())})
