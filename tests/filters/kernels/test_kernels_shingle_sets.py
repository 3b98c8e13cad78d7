"""Similarities of sets: the kernel against Python's sets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.kernels.shingle_sets import agreement_of, distinct, jaccard, jaccard_of

HASHES = st.one_of(st.integers(0, 20), st.integers(0, 2**32 - 1))
TEXTS = st.lists(st.lists(HASHES, max_size=40), min_size=1, max_size=6)


def packed(texts: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    starts = np.cumsum([0, *map(len, texts)])
    return np.array([value for text in texts for value in text], np.uint32), starts


@given(TEXTS)
def test_sets_are_sorted_and_distinct(texts: list[list[int]]) -> None:
    sets = distinct(*packed(texts))
    for number, text in enumerate(texts):
        found = sets.hashes[sets.starts[number] : sets.starts[number + 1]].tolist()
        assert found == sorted(set(text))


@given(TEXTS)
def test_kernel_equals_reference(texts: list[list[int]]) -> None:
    pairs = [(a, b) for a in range(len(texts)) for b in range(len(texts))]
    found = jaccard_of(distinct(*packed(texts)), np.array(pairs), 0.0)
    expected = [jaccard(set(texts[a]), set(texts[b])) for a, b in pairs]
    np.testing.assert_array_equal(found, expected)


@given(TEXTS, st.sampled_from([0.3, 0.5, 0.8, 1.0]))
def test_at_or_above_the_limit_the_value_is_exact(texts: list[list[int]], least: float) -> None:
    pairs = [(a, b) for a in range(len(texts)) for b in range(len(texts))]
    found = jaccard_of(distinct(*packed(texts)), np.array(pairs), least)
    for (a, b), value in zip(pairs, found, strict=True):
        expected = jaccard(set(texts[a]), set(texts[b]))
        assert value == expected if expected >= least else value < least


def test_limit_itself_is_reached() -> None:
    sets = distinct(*packed([[1, 2, 3, 4, 5], [1, 2, 3, 4]]))
    assert jaccard_of(sets, np.array([[0, 1]]), 0.8).tolist() == [0.8]


def test_empty_sets_are_like_nothing() -> None:
    sets = distinct(*packed([[], [], [1]]))
    assert jaccard_of(sets, np.array([[0, 1], [0, 2], [2, 2]]), 0.8).tolist() == [0, 0, 1]


def test_texts_of_very_different_length() -> None:
    texts = [list(range(300_000)), [5], [7] * 100_000]
    sets = distinct(*packed(texts))
    assert np.diff(sets.starts).tolist() == [300_000, 1, 1]
    assert jaccard_of(sets, np.array([[0, 1], [1, 2]]), 0.0).tolist() == [
        pytest.approx(1 / 300_000),
        0,
    ]


def test_agreement_is_the_share_of_equal_values() -> None:
    signatures = np.array([[1, 2, 3, 4], [1, 2, 3, 9], [5, 6, 7, 8]], np.uint32)
    pairs = np.array([[0, 1], [0, 2], [1, 1]])
    assert agreement_of(signatures, pairs).tolist() == [0.75, 0, 1]
