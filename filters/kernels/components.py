"""Connected components of a graph whose edges come in pieces: a forest of trees, joined by edges.

Every node points to one with a smaller or its own number; the root of a tree is its smallest node.
Memory is one number a node, however many edges there are.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from filters.kernels.compiling import kernel


def components(edges: Iterable[tuple[int, int]]) -> dict[int, int]:
    """The reference: each node that has an edge -> the smallest node of its component."""
    neighbours: dict[int, set[int]] = {}
    for first, second in edges:
        neighbours.setdefault(first, set()).add(second)
        neighbours.setdefault(second, set()).add(first)
    smallest: dict[int, int] = {}
    for node in sorted(neighbours):
        waiting = [node] if node not in smallest else []
        while waiting:
            reached = waiting.pop()
            if reached not in smallest:
                smallest[reached] = node
                waiting.extend(neighbours[reached])
    return smallest


class Forest:
    """The components of nodes 0 … nodes − 1 as edges come in."""

    def __init__(self, nodes: int) -> None:
        self._parents = np.arange(nodes, dtype=np.int64)

    def connect(self, edges: np.ndarray) -> None:
        """Adds edges.

        Args:
          edges: integers (edges, 2), each below the number of nodes.
        """
        _connect(self._parents, np.ascontiguousarray(edges, np.int64))

    def labels(self) -> np.ndarray:
        """int64 (nodes,): the smallest node of each node's component."""
        _flatten(self._parents)
        return self._parents


@kernel
def _connect(parents, edges):  # type: ignore[no-untyped-def]
    for edge in range(edges.shape[0]):
        first = edges[edge, 0]
        second = edges[edge, 1]
        # Climbing shortens the way for the next one (path halving).
        while parents[first] != first:
            parents[first] = parents[parents[first]]
            first = parents[first]
        while parents[second] != second:
            parents[second] = parents[parents[second]]
            second = parents[second]
        if first < second:
            parents[second] = first
        elif second < first:
            parents[first] = second


@kernel
def _flatten(parents):  # type: ignore[no-untyped-def]
    # A parent is a smaller node, so it is flat already.
    for node in range(parents.shape[0]):
        parents[node] = parents[parents[node]]
