"""Buckets, components and survivors against a plain union-find."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.duplicates import bucket_edges, components, survivors


def partition(edges: list[tuple[int, int]]) -> set[frozenset[int]]:
    parent: dict[int, int] = {}

    def find(node: int) -> int:
        parent.setdefault(node, node)
        while parent[node] != node:
            node = parent[node]
        return node

    for a, b in edges:
        parent[find(a)] = find(b)
    groups: dict[int, set[int]] = {}
    for node in list(parent):
        groups.setdefault(find(node), set()).add(node)
    return {frozenset(group) for group in groups.values()}


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 50)), max_size=60))
@settings(deadline=None)
def test_documents_with_a_common_key_end_in_one_component(rows: list[tuple[int, int]]) -> None:
    keys = np.array([[key, key + 1] for key, _ in rows], np.uint64).reshape(-1, 2)
    ordinals = np.array([ordinal for _, ordinal in rows], np.uint64)
    edges = bucket_edges(keys, ordinals)
    found, labels = components(edges)
    groups = {frozenset(found[labels == label].tolist()) for label in np.unique(labels)}
    pairs = [(a, b) for ka, a in rows for kb, b in rows if ka == kb and a != b]
    assert groups == partition(pairs)
    assert len(edges) <= len(rows)


def test_bucket_is_a_star_around_its_smallest_ordinal() -> None:
    edges = bucket_edges(np.zeros((4, 1), np.uint64), np.array([9, 3, 7, 3], np.uint64))
    assert sorted(map(tuple, edges.tolist())) == [(3, 7), (3, 9)]


def test_no_edges_no_components() -> None:
    ordinals, labels = components(np.empty((0, 2), np.uint64))
    assert len(ordinals) == len(labels) == 0


def test_survivor_has_best_quality_then_smallest_id() -> None:
    labels = np.array([0, 1, 0, 1, 1])
    quality = np.array([0.5, 0.9, 0.7, 0.9, 0.1], np.float32)
    ids = np.array([b"e", b"d", b"c", b"b", b"a"])
    assert survivors(labels, quality, ids).tolist() == [2, 3, 2, 3, 3]
