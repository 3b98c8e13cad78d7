"""The segmenting kernel equals its reference, whatever dictionary and text."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from filters.kernels.segmentation import Dictionary, Segmenter, reference_words
from filters.kernels.text_batch import TextBatch

# Few characters of a stretch, so that words meet; letters, digits, marks, white space, astral ones.
ALPHABET = "中国人aB7.%-#，。 \r\n\u3000\x00𠮷😀\u9fd5\u9fd6é"
DICTIONARIES = st.dictionaries(
    st.text("中国人aB7.😀", min_size=1, max_size=4), st.integers(1, 50), min_size=1, max_size=15
).map(Dictionary)


@given(DICTIONARIES, st.lists(st.text(ALPHABET, max_size=25), max_size=5))
def test_words_equal_the_references(dictionary: Dictionary, texts: list[str]) -> None:
    words, firsts = Segmenter(dictionary).words(TextBatch.from_strings(texts))
    found = words.to_strings()
    assert len(firsts) == len(texts) + 1
    for text, first, after in zip(texts, firsts[:-1], firsts[1:], strict=True):
        assert found[first:after] == reference_words(text, dictionary)
    assert "".join(found) == "".join(texts)


def test_equally_likely_ways_take_the_longer_first_word() -> None:
    dictionary = Dictionary({"中国": 3, "人中": 3, "中": 1, "国": 1, "人": 1})
    text = "人中国"
    assert reference_words(text, dictionary) == ["人中", "国"]
    assert Segmenter(dictionary).words(TextBatch.from_strings([text]))[0].to_strings() == [
        "人中",
        "国",
    ]


def test_letters_and_digits_that_no_word_holds_are_one_word() -> None:
    segmenter = Segmenter(Dictionary({"中": 5, "B超": 9, "超": 2}))
    words = segmenter.words(TextBatch.from_strings(["中abc12中B超x.y\r\n\r中"]))[0].to_strings()
    assert words == ["中", "abc12", "中", "B超", "x", ".", "y", "\r\n", "\r", "中"]


def test_one_repeated_character_is_cut_in_linear_time() -> None:
    segmenter = Segmenter(Dictionary({"的": 5, "的的": 2, "的的的的": 3}))
    text = "的" * 1_000_000
    words = segmenter.words(TextBatch.from_strings([text]))[0]
    assert re.fullmatch("的*", "".join(words.to_strings()))
    assert len(words) < len(text)
