"""Connected components by a forest against a walk through the graph."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from filters.kernels.components import Forest, components

EDGES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=60)


@given(EDGES, st.integers(1, 7))
def test_forest_equals_reference(edges: list[tuple[int, int]], piece: int) -> None:
    forest = Forest(41)
    for start in range(0, len(edges), piece):
        forest.connect(np.array(edges[start : start + piece]))
    expected = {node: node for node in range(41)} | components(edges)
    assert dict(enumerate(forest.labels().tolist())) == expected


@given(EDGES, st.randoms())
def test_order_of_edges_does_not_matter(edges: list[tuple[int, int]], random: object) -> None:
    shuffled = list(edges)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = Forest(41), Forest(41)
    one.connect(np.array(edges).reshape(-1, 2))
    other.connect(np.array(shuffled).reshape(-1, 2)[:, ::-1])
    np.testing.assert_array_equal(one.labels(), other.labels())


def test_a_long_chain_is_one_component_in_linear_time() -> None:
    nodes = 500_000
    forest = Forest(nodes)
    forest.connect(np.column_stack([np.arange(nodes - 1), np.arange(1, nodes)])[::-1])
    assert not forest.labels().any()


def test_nothing() -> None:
    forest = Forest(0)
    forest.connect(np.empty((0, 2), np.uint64))
    assert len(forest.labels()) == 0
