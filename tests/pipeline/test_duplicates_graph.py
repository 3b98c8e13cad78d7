"""Components in memory and on disk are the same, whatever the memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import fsspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.kernels.components import components
from pipeline.duplicates.graph import components_in_memory, components_on_disk, write_nodes
from pipeline.duplicates.row_files import RowFiles

NODES = 60
EDGES = st.lists(
    st.tuples(st.integers(0, NODES - 1), st.integers(0, NODES - 1)).filter(lambda e: e[0] != e[1]),
    max_size=80,
)


def in_pieces(edges: list[tuple[int, int]], piece: int = 7) -> Iterator[np.ndarray]:
    for start in range(0, len(edges), piece):
        yield np.array(edges[start : start + piece], np.uint64)


def on_disk(edges: list[tuple[int, int]], span: int, memory: int) -> list[tuple[int, int]]:
    chunks = list(components_on_disk(lambda: in_pieces(edges), span, "memory://edges", memory))
    assert fsspec.filesystem("memory").find("/edges") == []
    return [tuple(row) for chunk in chunks for row in chunk.tolist()]


@given(EDGES, st.integers(4, 80), st.sampled_from([1, 200, 100_000]))
@settings(max_examples=25)
def test_both_ways_equal_the_reference(
    edges: list[tuple[int, int]], span: int, memory: int
) -> None:
    expected = sorted(components(edges).items())
    labels = components_in_memory(lambda: in_pieces(edges), NODES)
    nodes = np.flatnonzero(labels >= 0)
    assert list(zip(nodes.tolist(), labels[nodes].tolist(), strict=True)) == expected
    assert on_disk(edges, span, memory) == expected


@pytest.mark.parametrize("span", [20, 1000])
def test_a_long_chain_on_disk(span: int) -> None:
    order = np.random.default_rng(0).permutation(120).tolist()
    edges = list(pairwise(order))
    assert on_disk(edges, span, 100_000) == [(node, 0) for node in range(120)]


@given(EDGES, EDGES, st.sampled_from([64, 640, 100_000]))
@settings(max_examples=10)
def test_table_of_nodes_does_not_depend_on_memory(
    links: list[tuple[int, int]], pairs: list[tuple[int, int]], memory: int
) -> None:
    nodes = write_nodes(
        "memory://graph/nodes.parquet",
        lambda: in_pieces(links),
        lambda: in_pieces(pairs),
        NODES,
        "memory://graph/edges",
        memory,
    )
    ordinals, smallest, compared = nodes.between(0, NODES)
    some, _, _ = nodes.between(10, 20)
    expected = components([*links, *pairs])
    assert dict(zip(ordinals.tolist(), smallest.tolist(), strict=True)) == expected
    assert set(ordinals[compared].tolist()) == {node for pair in pairs for node in pair}
    assert some.tolist() == [node for node in sorted(expected) if 10 <= node < 20]


def test_rows_come_back_by_group_and_in_their_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 1 << 40, (5000, 3))
    groups = rng.integers(0, 9, 5000)
    with RowFiles(str(tmp_path / "rows"), 3, 10_000) as files:
        for start in range(0, 5000, 600):
            files.add(rows[start : start + 600], groups[start : start + 600])
    assert files.groups() == sorted(set(groups.tolist()))
    for group in files.groups():
        np.testing.assert_array_equal(
            np.concatenate(list(files.read(group))), rows[groups == group]
        )
    assert list(files.read(99)) == []
    files.delete()
    assert not (tmp_path / "rows").exists()
