"""Every kernel behind a signal equals its reference on any text, and is bounded on odd ones."""

from __future__ import annotations

import gzip
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from filters.folding import fold, fold_texts, folded_lines, folding
from filters.kernels.character_classes import CLASSES, count_classes
from filters.kernels.character_variety import CharacterVariety, character_variety
from filters.kernels.folding import lines_with_places
from filters.kernels.line_statistics import COUNTS, line_statistics, line_statistics_of
from filters.kernels.paragraph_hashes import LEAST_CHARACTERS, paragraph_hashes, paragraphs_of
from filters.kernels.repetition import LENGTHS, MOST_CHARACTERS, Repetition, repetition
from filters.kernels.text_batch import TextBatch
from filters.kernels.title_lines import beyond_title_characters, beyond_title_characters_of
from filters.kernels.web_addresses import address_characters, address_characters_of
from filters.kernels.word_search import WordIndex, search_words

TEXT_FOLDER = Path(os.environ.get("PANGU_SHARED_DATA", "")) / "text"

# Pieces that the kernels treat on purpose, beside ordinary ones and anything at all.
_PIECES = st.sampled_from(
    [
        *"的嘅a0。…！.】”【#>，\n\n\n　 \r桥老",
        *("展开", "展開", "更多", "read more", "Read  More", "READMORE", "。。。", "...", "……"),
        *("http://", "HTTPS://", "https:/", "www.", "ww", "h", "桥.com/~a_b?c=d", "春天来了。"),
        *("㍿", "㎡", "ﬁ", "İ", "Ⅷ", "ẞ", "豈", "𠀀", "한국", "かな", "\u2028", "\x00", "乾坤漢語"),
    ]
)
_TEXT = st.one_of(
    st.lists(_PIECES, max_size=30).map("".join),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.text("ab\n", max_size=60),
)
TEXTS = st.lists(_TEXT, max_size=6)


@given(TEXTS)
@example(["春天来了。\x00春天来了。\n春天\n\x00\x00春天"])
def test_lines_and_classes(texts: list[str]) -> None:
    counts, of_classes = line_statistics_of(TextBatch.from_strings(texts))
    assert counts.shape == (len(texts), len(COUNTS))
    assert of_classes.shape == (len(texts), CLASSES)
    for text, found, classes in zip(texts, counts.tolist(), of_classes.tolist(), strict=True):
        assert dict(zip(COUNTS, found, strict=True)) == line_statistics(text)
        assert classes == count_classes(text)


@given(TEXTS)
def test_repetition(texts: list[str]) -> None:
    shares = Repetition().measure(TextBatch.from_strings(texts))
    assert shares.tolist() == [repetition(text) for text in texts]


@given(st.text("ab", max_size=200), st.integers(2, 40))
def test_repetition_of_a_text_that_comes_again(text: str, times: int) -> None:
    batch = TextBatch.from_strings([text * times])
    assert Repetition().measure(batch).tolist() == [repetition(text * times)]


@given(TEXTS)
def test_character_variety(texts: list[str]) -> None:
    variety = CharacterVariety()
    for _ in range(2):  # scratch memory is as it was after the first time
        distinct, entropy = variety.measure(TextBatch.from_strings(texts))
        expected = [character_variety(text) for text in texts]
        assert distinct.tolist() == [number for number, _ in expected]
        np.testing.assert_allclose(entropy, [bits for _, bits in expected], rtol=0, atol=1e-9)


@given(TEXTS)
def test_addresses(texts: list[str]) -> None:
    found = address_characters_of(TextBatch.from_strings(texts))
    assert found.tolist() == [address_characters(text) for text in texts]


@given(TEXTS)
def test_folding(texts: list[str]) -> None:
    folded = fold_texts(TextBatch.from_strings(texts))
    assert folded.texts.to_strings() == [fold(text) for text in texts]
    for number, text in enumerate(texts):
        lines = [
            folded.comparable.characters[folded.line_starts[i] : folded.line_starts[i + 1]]
            for i in range(folded.first_lines[number], folded.first_lines[number + 1])
        ]
        assert ["".join(map(chr, line)) for line in lines] == folded_lines(text)
        assert folded.comparable.text(number) == "".join(folded_lines(text))


@pytest.mark.parametrize(
    "texts", [["㍿" * 1000], ["㍿"], ["㍿" * 1000, "桥\n" * 10, "㍿"], ["桥" * 9 + "㍿" * 300]]
)
def test_folding_finds_room_for_characters_that_become_several(texts: list[str]) -> None:
    assert fold_texts(TextBatch.from_strings(texts)).texts.to_strings() == list(map(fold, texts))


def test_every_folded_form_is_final() -> None:
    assert [new for new in folding().replacements.values() if fold(new) != new] == []


@given(TEXTS)
def test_paragraph_hashes(texts: list[str]) -> None:
    texts = [*texts, "春天的江南总是下着细雨。\n短\n" * 2]
    found = paragraphs_of(fold_texts(TextBatch.from_strings(texts)))
    for number, text in enumerate(texts):
        here = slice(found.starts[number], found.starts[number + 1])
        lines = folded_lines(text)
        assert found.hashes[here].tolist() == paragraph_hashes(lines)
        paragraphs = [line for line in lines if len(line) >= LEAST_CHARACTERS]
        assert found.letters[here].tolist() == list(map(len, paragraphs))
        places = found.places[here].tolist()
        assert [folded_lines(text[start:end]) for start, end in places] == [[p] for p in paragraphs]
        assert all(text[:start][-1:] in ("", "\n") for start, _ in places)
        assert all(text[end:][:1] in ("", "\n") for _, end in places)


@given(TEXTS)
def test_places_of_lines(texts: list[str]) -> None:
    folded = fold_texts(TextBatch.from_strings(texts))
    for number, text in enumerate(texts):
        places = folded.line_places[folded.first_lines[number] : folded.first_lines[number + 1]]
        expected = lines_with_places(text, folding())
        assert list(map(tuple, places.tolist())) == [place for _, place in expected]


_WORD = st.text("ab桥𠀀", max_size=4)


@given(
    st.lists(st.lists(_WORD, max_size=8), min_size=1, max_size=3),
    st.lists(st.tuples(st.text("ab桥𠀀", max_size=8), st.text("ab桥𠀀", max_size=30)), max_size=5),
)
def test_words(lists: list[list[str]], documents: list[tuple[str, str]]) -> None:
    titles, texts = ([pair[side] for pair in documents] for side in (0, 1))
    index = WordIndex({f"list_{number}": words for number, words in enumerate(lists)})
    hits, distinct = index.search(TextBatch.from_strings(titles), TextBatch.from_strings(texts))
    for number, words in enumerate(lists):
        expected = [search_words(f"{title}\n{text}", words) for title, text in documents]
        assert list(zip(hits[number], distinct[number], strict=True)) == expected


@given(st.lists(st.tuples(st.text("ab桥", max_size=9), st.text("ab桥\n", max_size=30)), max_size=5))
def test_what_is_beyond_the_title(documents: list[tuple[str, str]]) -> None:
    titles = fold_texts(TextBatch.from_strings([title for title, _ in documents])).comparable
    texts = fold_texts(TextBatch.from_strings([text for _, text in documents]))
    expected = [beyond_title_characters(title, folded_lines(text)) for title, text in documents]
    assert beyond_title_characters_of(titles, texts).tolist() == expected


def _kernels(texts: TextBatch) -> None:
    folded = fold_texts(texts)
    line_statistics_of(texts)
    Repetition().measure(texts)
    CharacterVariety().measure(texts)
    address_characters_of(texts)
    paragraphs_of(folded)
    beyond_title_characters_of(folded.comparable, folded)
    WordIndex({"list": ["aa", "a", "ab", "桥"]}).search(texts, folded.texts)


@pytest.mark.parametrize("texts", [[], [""], ["", ""], ["\n"], ["\x00"], ["\x00" * 50, "a"]])
def test_batches_of_nothing(texts: list[str]) -> None:
    _kernels(TextBatch.from_strings(texts))


@pytest.mark.parametrize(
    "text",
    [
        "a" * 1_000_000,
        "ab" * 500_000,
        "a\n" * 500_000,
        "桥。" * 500_000,
        "http://" * 140_000,
        "... " * 250_000,
        "w" * 1_000_000,
        ">" * 1_000_000,
    ],
    ids=["one", "two", "lines", "sentences", "addresses", "dots", "w", "arrows"],
)
def test_long_and_monotonous_texts_take_time_in_proportion(text: str) -> None:
    _kernels(TextBatch.from_strings(["a"]))  # compiled before the clock starts
    start = time.process_time()
    _kernels(TextBatch.from_strings([text]))
    # Half a second with bounds checks; anything worse than linear takes minutes.
    assert time.process_time() - start < 10


def test_only_the_first_characters_of_a_very_long_text_are_looked_at_for_repetition() -> None:
    rng = np.random.default_rng(0)
    head = "".join(map(chr, rng.integers(0x4E00, 0x9FFF, MOST_CHARACTERS)))
    shares = Repetition().measure(TextBatch.from_strings([head, head + "桥" * 10_000]))
    assert shares[0].tolist() == shares[1].tolist()
    assert shares[0, LENGTHS.index(10)] == 0


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.skipif(not TEXT_FOLDER.is_dir(), reason="PANGU_SHARED_DATA does not name the texts")
@pytest.mark.parametrize("name", ["news", "lowquality_labelled", "classical", "encyclopedia"])
def test_real_texts(name: str) -> None:
    with gzip.open(TEXT_FOLDER / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for _, line in zip(range(400), file, strict=False)]
    batch = TextBatch.from_strings(texts)
    folded = fold_texts(batch)
    counts, of_classes = line_statistics_of(batch)
    distinct, entropy = CharacterVariety().measure(batch)
    paragraphs = paragraphs_of(folded)
    hashes, starts = paragraphs.hashes, paragraphs.starts
    kernels: list[tuple[list[object], Callable[[str], object]]] = [
        (counts.tolist(), lambda text: list(line_statistics(text).values())),
        (of_classes.tolist(), count_classes),
        (Repetition().measure(batch).tolist(), repetition),
        (distinct.tolist(), lambda text: character_variety(text)[0]),
        (address_characters_of(batch).tolist(), address_characters),
        (folded.texts.to_strings(), fold),
        (
            [hashes[starts[i] : starts[i + 1]].tolist() for i in range(len(texts))],
            lambda text: paragraph_hashes(folded_lines(text)),
        ),
    ]
    for found, reference in kernels:
        assert found == [reference(text) for text in texts]
    expected = [character_variety(text)[1] for text in texts]
    np.testing.assert_allclose(entropy, expected, rtol=0, atol=1e-9)
