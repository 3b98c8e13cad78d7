"""n-grams and passages that texts share, and where folded characters were."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.folding import folding
from filters.kernels.folding import comparable_places, comparable_places_of
from filters.kernels.ngram_overlap import NgramIndex, find_ngrams, number_ngrams
from filters.kernels.passage_overlap import PassageIndex, hold_passages
from filters.kernels.text_batch import TextBatch

# Few different characters, so that n-grams come back, and anything at all.
_TEXT = st.one_of(
    st.text("春天来", max_size=40),
    st.text("a\x00𠀀", max_size=40),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
TEXTS = st.lists(_TEXT, max_size=6)


@given(TEXTS, TEXTS, st.integers(1, 6))
def test_ngrams_equal_the_reference(known: list[str], texts: list[str], length: int) -> None:
    index = NgramIndex(TextBatch.from_strings(known), length)
    numbers = number_ngrams(known, length)
    assert index.count == len(numbers)
    batch = TextBatch.from_strings(texts)
    places, ngrams = index.search(batch)
    expected = [
        (int(start) + place, number)
        for text, start in zip(texts, batch.starts, strict=False)
        for place, number in find_ngrams(text, numbers, length)
    ]
    assert list(zip(places.tolist(), ngrams.tolist(), strict=True)) == expected


@given(TEXTS, st.integers(1, 6))
def test_each_place_of_a_known_text_has_the_number_of_its_ngram(
    known: list[str], length: int
) -> None:
    index = NgramIndex(TextBatch.from_strings(known), length)
    numbers = number_ngrams(known, length)
    expected = [
        numbers.get(text[place : place + length], -1)
        for text in known
        for place in range(len(text))
    ]
    assert index.numbers.tolist() == expected


def test_no_ngram_reaches_into_the_next_text() -> None:
    index = NgramIndex(TextBatch.from_strings(["春天来了"]), 4)
    assert index.search(TextBatch.from_strings(["春天", "来了"]))[0].tolist() == []


@pytest.mark.parametrize("length", [1, 13, 64])
def test_long_texts_cross_the_blocks_of_the_search(length: int) -> None:
    known = "".join(chr(0x4E00 + number) for number in range(5000))
    index = NgramIndex(TextBatch.from_strings([known]), length)
    places, ngrams = index.search(TextBatch.from_strings(["a", known, known[7:]]))
    whole = list(range(5001 - length))
    assert ngrams.tolist() == whole + whole[7:]
    assert places[: len(whole)].tolist() == [place + 1 for place in whole]


def test_one_character_repeated_takes_no_longer() -> None:
    index = NgramIndex(TextBatch.from_strings(["哈" * 1_000_000]), 13)
    assert index.count == 1
    start = time.process_time()
    places, _ = index.search(TextBatch.from_strings(["哈" * 1_000_000]))
    assert len(places) == 999_988
    assert time.process_time() - start < 5


PASSAGES = st.lists(st.sets(st.integers(0, 8), max_size=6), max_size=6)


@given(PASSAGES, st.lists(st.integers(0, 8), max_size=20), st.integers(1, 4))
def test_passages_equal_the_reference(
    passages: list[set[int]], found: list[int], least: int
) -> None:
    places = [(ngram, number) for number, passage in enumerate(passages) for ngram in passage]
    ngrams, owners = np.array(places, np.int32).reshape(-1, 2).T
    # Twice, as a passage that repeats its n-grams has them.
    index = PassageIndex(np.tile(ngrams, 2), np.tile(owners, 2), 9, len(passages))
    assert index.sizes.tolist() == [len(passage) for passage in passages]
    needed = [least + number % 2 for number in range(len(passages))]
    for _ in range(2):  # scratch is clean again
        held, counts, firsts, inside = index.hold(np.array(found, np.int32), np.array(needed))
        expected, expected_inside = hold_passages(found, passages, needed)
        rows = zip(held.tolist(), counts.tolist(), firsts.tolist(), strict=True)
        assert list(rows) == [tuple(hit) for hit in expected]
        assert inside.tolist() == expected_inside


def test_a_repeated_ngram_of_many_passages_is_looked_up_once() -> None:
    passages = 20_000
    index = PassageIndex(np.zeros(passages, np.int32), np.arange(passages), 1, passages)
    start = time.process_time()
    held, *_ = index.hold(np.zeros(1_000_000, np.int32), np.full(passages, 2))
    assert len(held) == 0
    assert time.process_time() - start < 5


@given(_TEXT)
def test_places_of_comparable_characters(text: str) -> None:
    characters = TextBatch.from_strings([text]).characters
    assert comparable_places_of(characters, folding()).tolist() == comparable_places(
        text, folding()
    )


def test_a_character_that_becomes_several_is_the_place_of_each() -> None:
    characters = TextBatch.from_strings(["㎡，㍿"]).characters
    assert comparable_places_of(characters, folding()).tolist() == [0, 0, 2, 2, 2, 2]
