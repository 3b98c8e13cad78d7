"""What it costs to know an older corpus by its index only: estimated beside exact similarities.

Takes the documents of a finished run, halves them, and compares every pair across the halves that
shares a band key, by bit signatures and by the sets of shingles. Prints how often the two disagree
about a limit, and what computing a signature costs.

Example:
  python benchmarks/incremental.py runs/web --similarity 0.8
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from filters.bit_signatures import BITS, BitSignatures, estimated_similarity
from filters.folding import fold_texts
from filters.kernels.shingle_sets import distinct, jaccard_of
from filters.kernels.text_batch import TextBatch
from filters.minhash import MinHash
from pipeline.duplicates.key_table import KeyTable
from pipeline.run_directory import RunDirectory


def texts_of(run: str) -> list[str]:
    """The different texts of all documents of a run, as the stage clean left them."""
    folder = Path(RunDirectory(run).current_folder("clean")) / "documents"
    columns = [pq.read_table(path, columns=["text"])["text"] for path in folder.glob("*.parquet")]
    return sorted({text for column in columns for text in column.to_pylist()})


def crossing_pairs(keys: np.ndarray, is_older: np.ndarray) -> np.ndarray:
    """int64 (pairs, 2): newer and older texts that share the key of a band, each pair once."""
    older, newer = np.flatnonzero(is_older), np.flatnonzero(~is_older)
    found = [np.empty((0, 2), np.int64)]
    for band in keys.T:
        for holders, rows in KeyTable(band[newer]).pairs(band[older]):
            found.append(np.column_stack([newer[holders], older[rows]]))
    return np.unique(np.concatenate(found), axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run")
    parser.add_argument("--similarity", type=float, default=0.8)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    minhash, signatures = MinHash(5, 16, 8, 1), BitSignatures(5)
    batch = TextBatch.from_arrow(pa.array(texts_of(given.run), pa.string()))
    folded = fold_texts(batch).comparable
    has_bands, keys = minhash.band_keys_of(folded)
    signatures.signatures_of(folded)
    started = time.process_time()
    _, bits = signatures.signatures_of(folded)
    seconds = time.process_time() - started
    rows = np.flatnonzero(has_bands)
    sets = distinct(*minhash.shingle_hashes_of(folded))
    print(f"{len(rows):,} texts of {len(folded.characters) / len(rows):,.0f} letters")
    print(f"signatures of {BITS} bits: {len(rows) / seconds:,.0f} texts/s/core")
    is_older = np.random.default_rng(given.seed).random(len(rows)) < 0.5
    pairs = crossing_pairs(keys[rows], is_older)
    exact = jaccard_of(sets, rows[pairs], 0.0)
    estimated = estimated_similarity(bits[pairs[:, 0]], bits[pairs[:, 1]])
    error = estimated - exact
    print(f"{len(pairs):,} pairs across the halves share a band")
    for low, high in ((0.0, 0.5), (0.5, 0.75), (0.75, 0.85), (0.85, 1.01)):
        here = (exact >= low) & (exact < high)
        if here.any():
            spread = np.sqrt((error[here] ** 2).mean())
            print(
                f"  similarity {low:.2f} to {min(high, 1):.2f}: {here.sum():,}, error {spread:.3f}"
            )
    similar, taken = exact >= given.similarity, estimated >= given.similarity
    newer = pairs[:, 0]

    def texts(chosen: np.ndarray) -> set[int]:
        return set(newer[chosen].tolist())

    print(f"newer texts with an older one of {given.similarity} or more: {len(texts(similar)):,}")
    print(f"  not merged by their signatures: {len(texts(similar) - texts(taken)):,}")
    print(f"merged though none is so similar: {len(texts(taken) - texts(similar)):,}")
    wrong = exact[taken & ~similar]
    if len(wrong):
        print(f"  the least similar of them: {wrong.min():.3f}")


if __name__ == "__main__":
    main()
