"""Candidate pairs: the kernel against its reference, and what the reference promises."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.kernels.band_buckets import candidates, candidates_of

ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12)), max_size=90)


def found_by_kernel(
    keys: list[int], texts: list[int], ordinals: list[int], small: int, copies: bool
) -> tuple[list[tuple[int, int]], list[list[int]]]:
    arrays = (np.array(values, np.uint64) for values in (keys, texts, ordinals))
    found = candidates_of(*arrays, small, copies)
    starts = found.starts.tolist()
    members = found.members.tolist()
    buckets = [members[a:b] for a, b in pairwise(starts)]
    return [tuple(pair) for pair in found.pairs.tolist()], buckets


@given(ROWS, st.integers(1, 9), st.booleans(), st.randoms())
def test_kernel_equals_reference(
    rows: list[tuple[int, int]], small: int, copies: bool, random: object
) -> None:
    ordinals = list(range(len(rows)))
    random.shuffle(ordinals)  # type: ignore[attr-defined]
    # Keys are hashes: their top bits differ.
    arguments = ([key << 60 for key, _ in rows], [text for _, text in rows], ordinals)
    expected = candidates(*arguments, small, copies)
    pairs, buckets = found_by_kernel(*arguments, small, copies)
    assert sorted(pairs) == sorted(expected[0])
    assert sorted(buckets) == sorted(expected[1])


def test_many_rows_of_few_keys() -> None:
    rng = np.random.default_rng(0)
    keys = (rng.integers(0, 3, 2000) << 61).tolist()
    texts = rng.integers(0, 1500, 2000).tolist()
    expected = candidates(keys, texts, list(range(2000)), 8, True)
    pairs, buckets = found_by_kernel(keys, texts, list(range(2000)), 8, True)
    assert sorted(pairs) == sorted(expected[0])
    assert sorted(buckets) == sorted(expected[1])


def test_keys_that_fall_into_one_place_of_the_table() -> None:
    keys = [*range(40), *range(0, 40, 2)]
    pairs, _ = found_by_kernel(keys, list(range(60)), list(range(60)), 8, False)
    assert sorted(pairs) == [(key, 40 + key // 2) for key in range(0, 40, 2)]


def test_small_bucket_gives_every_pair_and_large_one_a_star() -> None:
    assert found_by_kernel([9] * 3, [1, 2, 3], [7, 5, 6], 3, False) == (
        [(5, 7), (6, 7), (5, 6)],
        [],
    )
    pairs, buckets = found_by_kernel([9] * 4, [1, 2, 3, 4], [7, 5, 6, 8], 3, False)
    assert sorted(pairs) == [(5, 7), (6, 7), (7, 8)]
    assert buckets == [[7, 5, 6, 8]]


def test_large_bucket_has_as_many_pairs_as_documents() -> None:
    count = 100_000
    numbers = np.arange(count, dtype=np.uint64)
    found = candidates_of(np.full(count, 7, np.uint64), numbers, numbers, 8, True)
    assert len(found.pairs) == count - 1
    assert len(found.members) == count


@pytest.mark.parametrize("copies", [False, True])
def test_of_copies_the_first_takes_part(copies: bool) -> None:
    pairs, _ = found_by_kernel([1] * 4, [30, 30, 20, 30], [4, 2, 3, 2], 8, copies)
    assert sorted(pairs) == ([(2, 3), (2, 4)] if copies else [(2, 3)])


def test_number_of_copies_changes_no_pair() -> None:
    without, _ = found_by_kernel([1] * 12, list(range(12)), list(range(12)), 3, False)
    keys, texts = [1] * 15, [*range(12), 0, 5, 11]
    assert found_by_kernel(keys, texts, list(range(15)), 3, False)[0] == without


def test_nothing_in_common() -> None:
    assert found_by_kernel([], [], [], 8, True) == ([], [])
    assert found_by_kernel([1, 2, 3], [1, 1, 1], [1, 2, 3], 8, True) == ([], [])
