"""From keys to clusters of duplicates: buckets of equal keys, connected components, survivors."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def bucket_edges(keys: np.ndarray, ordinals: np.ndarray) -> np.ndarray:
    """Connects documents that share a key, each bucket as a star around its smallest ordinal.

    A star has as many edges as documents; a clique of a bucket of 10,000 would have 50 million.

    Args:
      keys: uint64 (n, k), the key of each row in k words.
      ordinals: uint64 (n,), the document of each row.

    Returns:
      uint64 (m, 2): (smallest ordinal of the bucket, another ordinal of it).
    """
    order = np.lexsort((ordinals, *keys.T))
    keys, ordinals = keys[order], ordinals[order]
    starts = np.ones(len(keys), bool)
    starts[1:] = (keys[1:] != keys[:-1]).any(axis=1)
    centres = ordinals[np.flatnonzero(starts)][np.cumsum(starts) - 1]
    edges = np.column_stack([centres, ordinals])[~starts]
    return edges[edges[:, 0] != edges[:, 1]]


def components(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Connected components of a graph given by its edges.

    Args:
      edges: uint64 (m, 2).

    Returns:
      ordinals uint64 (n,), sorted, of every document that has an edge; and labels int64 (n,),
      equal within a component.
    """
    ordinals, positions = np.unique(edges, return_inverse=True)
    if len(ordinals) == 0:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    positions = positions.reshape(-1, 2)
    graph = coo_array(
        (np.ones(len(positions), np.int8), (positions[:, 0], positions[:, 1])),
        shape=(len(ordinals), len(ordinals)),
    )
    _, labels = connected_components(graph, directed=False)
    return ordinals, labels.astype(np.int64)


def survivors(labels: np.ndarray, quality: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The document of each component that is kept: best quality, then smallest id.

    Args:
      labels: int64 (n,), the component of each document.
      quality: float (n,).
      ids: fixed-width bytes or str (n,), comparable.

    Returns:
      int64 (n,): position of the survivor of each document's component.
    """
    order = np.lexsort((ids, -quality, labels))
    first = np.ones(len(order), bool)
    first[1:] = labels[order][1:] != labels[order][:-1]
    result = np.empty(len(order), np.int64)
    result[order] = order[np.flatnonzero(first)][np.cumsum(first) - 1]
    return result
