"""How often a document of the corpus is written into the shards, by the size of its cluster.

FineWeb2 ("rehydration", arXiv 2506.20920 and misc/rehydration of its repository) found that its
filters remove a smaller part of documents with some duplicates than of those with none or with very
many, and shows them to the model more often. A table here means what FineWeb2's tables mean. Off
unless a recipe has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def times_written(cluster_sizes: np.ndarray, table: Mapping[int, int]) -> np.ndarray:
    """How often each document is written.

    Args:
      cluster_sizes: integers (documents,), of the documents' clusters; 1 where nothing was merged.
      table: least size of a cluster -> times; the largest size that is reached decides.

    Returns:
      int64 (documents,); 1 where no size of the table is reached.
    """
    least = np.array([0, *sorted(table)], np.int64)
    times = np.array([1, *(table[size] for size in sorted(table))], np.int64)
    return times[np.searchsorted(least, cluster_sizes, side="right") - 1]


def explain_repetitions(sources: Mapping[str, Mapping[str, Any]]) -> str:
    """How much of the shards is copies, in words; "" if nothing is.

    Args:
      sources: of shards/index.json.
    """
    copies = [source.get("repetitions", {}) for source in sources.values()]
    documents, tokens = (
        sum(count.get(unit, 0) for count in copies) for unit in ("documents", "tokens")
    )
    if not documents:
        return ""
    return (
        f"{documents:,} documents with {tokens:,} tokens are further copies, of documents that "
        "had duplicates; documents, tokens and epochs count every copy."
    )


def explain_table(table: Mapping[int, int]) -> str:
    """The table in words, such as `2–4 documents: 2×, 5 or more documents: 3×`."""
    sizes = sorted(table)
    shown = []
    for size, after in zip(sizes, [*sizes[1:], None], strict=True):
        if after is None:
            span = f"{size} or more"
        else:
            span = str(size) if after == size + 1 else f"{size}–{after - 1}"
        shown.append(f"{span} documents: {table[size]}×")
    return ", ".join(shown)
