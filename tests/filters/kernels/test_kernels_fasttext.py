"""The kernels of fastText's prediction equal their reference on whatever text and model."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.kernels.fasttext_characters import CharacterTable
from filters.kernels.fasttext_prediction import (
    FoldedModel,
    fold_rows,
    reference_score,
    word_hash,
)
from filters.kernels.fasttext_words import WordTable
from filters.kernels.text_batch import TextBatch

# All lengths of UTF-8, white space of several kinds, NUL, and characters no model knows.
ALPHABET = "aZ9é我们中国的。！𠮷😀 \n\r\t\x00\x1c\x85\u00a0\u2028\u3000\u3001\uffff"
WEIGHTS = st.floats(-50, 50, width=32)


def is_white_space(character: str) -> bool:
    return character.isspace() or character == "\0"


@st.composite
def models(draw: st.DrawFn, words: st.SearchStrategy[str]) -> FoldedModel:
    vocabulary = draw(st.lists(st.one_of(words, st.just("</s>")), unique=True, max_size=12))
    weights = draw(st.lists(WEIGHTS, min_size=len(vocabulary), max_size=len(vocabulary)))
    ngrams = draw(st.integers(1, 4))
    buckets = draw(st.sampled_from([1, 2, 3, 8, 10, 64, 1000])) if ngrams > 1 else 0
    shared = draw(st.lists(WEIGHTS, min_size=1, max_size=20))
    return FoldedModel(
        tuple(vocabulary),
        np.array(weights, np.float32),
        np.resize(np.array(shared, np.float32), buckets),
        ngrams,
    )


@given(
    models(st.sampled_from(ALPHABET)),
    st.lists(st.text(ALPHABET, max_size=30), max_size=5),
    st.integers(0, 40),
)
def test_scores_of_characters_equal_the_reference(
    model: FoldedModel, texts: list[str], most: int
) -> None:
    scores = CharacterTable(model).score(TextBatch.from_strings(texts), most)
    for text, score in zip(texts, scores, strict=True):
        words = [character for character in text[:most] if not is_white_space(character)]
        assert score == pytest.approx(reference_score(words, model), abs=1e-6)


WORDS = st.one_of(st.text(ALPHABET.replace("\x00", ""), max_size=4), st.sampled_from(ALPHABET))


@given(models(WORDS), st.lists(st.lists(WORDS, max_size=12), max_size=5))
def test_scores_of_words_equal_the_reference(model: FoldedModel, lines: list[list[str]]) -> None:
    words = TextBatch.from_strings([word for line in lines for word in line])
    firsts = np.cumsum([0, *map(len, lines)]).astype(np.int64)
    scores = WordTable(model).score(words, firsts)
    for line, score in zip(lines, scores, strict=True):
        shown = [word for word in line if word and not is_white_space(word[0])]
        assert score == pytest.approx(reference_score(shown, model), abs=1e-6)


@given(st.lists(st.text(max_size=20), min_size=1, max_size=6))
def test_a_score_does_not_depend_on_the_batch(texts: list[str]) -> None:
    model = FoldedModel(
        ("我", "a", "</s>"),
        np.array([1, -2, 0.5], np.float32),
        np.linspace(-3, 3, 16, dtype=np.float32),
        3,
    )
    table = CharacterTable(model)
    together = table.score(TextBatch.from_strings(texts), 1000)
    apart = [table.score(TextBatch.from_strings([text]), 1000)[0] for text in texts]
    assert together.tolist() == apart


def test_hash_is_the_one_fasttext_has() -> None:
    # FNV-1a of "a" as published; of bytes above 127 fastText sign-extends, which is its own.
    assert word_hash("a") == 0xE40C292C
    assert word_hash("") == 2_166_136_261
    state = 2_166_136_261
    for byte in "我".encode():
        state = (state ^ (0xFFFFFF00 | byte)) * 16_777_619 % 2**32
    assert word_hash("我") == state


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=1))
def test_kernel_hashes_every_character_as_the_reference_does(character: str) -> None:
    """One bucket for each hash that matters: only the right one has the weight."""
    if is_white_space(character):
        return
    model = FoldedModel((), np.empty(0, np.float32), np.zeros(1 << 16, np.float32), 2)
    state = word_hash(character)
    state += 2**64 - 2**32 if state >= 2**31 else 0
    following = word_hash("</s>")
    following += 2**64 - 2**32 if following >= 2**31 else 0
    model.ngram_weights[(state * 116_049_371 + following) % 2**64 % (1 << 16)] = 2
    expected = 1 / (1 + math.exp(-2))
    for score in (
        CharacterTable(model).score(TextBatch.from_strings([character]), 1)[0],
        WordTable(model).score(TextBatch.from_strings([character]), np.array([0, 1]))[0],
    ):
        assert score == pytest.approx(expected, abs=1e-6)


def test_unknown_text_scores_one_half_and_nothing_scores_nothing() -> None:
    model = FoldedModel((), np.empty(0, np.float32), np.empty(0, np.float32), 1)
    assert CharacterTable(model).score(TextBatch.from_strings(["我们", ""]), 10).tolist() == [
        0.5,
        0.5,
    ]
    assert CharacterTable(model).score(TextBatch.from_strings([]), 10).tolist() == []
    assert WordTable(model).score(TextBatch.from_strings([]), np.zeros(1, np.int64)).tolist() == []


def test_extreme_weights_give_zero_or_one() -> None:
    for weight, expected in ((3e38, 1.0), (-3e38, 0.0)):
        model = FoldedModel(("</s>",), np.array([weight], np.float32), np.empty(0, np.float32), 1)
        assert CharacterTable(model).score(TextBatch.from_strings([""]), 10)[0] == expected
        assert reference_score([], model) == pytest.approx(expected)


def test_folded_rows_are_the_products() -> None:
    random = np.random.default_rng(3)
    rows = random.normal(size=(50, 7)).astype(np.float32)
    direction = random.normal(size=7).astype(np.float32)
    expected = (rows.astype(np.float64) * direction.astype(np.float64)).sum(axis=1)
    assert fold_rows(rows, direction) == pytest.approx(expected, rel=1e-6)
    assert fold_rows(np.empty((0, 7), np.float32), direction).shape == (0,)
