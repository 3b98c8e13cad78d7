"""Lines of the kernel are those of the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from filters.kernels.text_batch import TextBatch
from filters.kernels.tidy_lines import join_lines, says_something, tidy_line, tidy_lines

CHARACTERS = st.sampled_from("桥a ★■○…。！-|}_\t\u3000\r\n\x85\u2028\x1c")
TEXTS = st.lists(st.text(CHARACTERS | st.characters(exclude_categories=["Cs"]), max_size=40))


def lines_of(text: str, symbols: bool) -> list[str]:
    return [tidy_line(line, symbols) for line in text.splitlines() if line.strip()]


@example(["！★！！", "a ★★ b", "★", " ★ a ★ ", "！ ！ ！x", "－－", "----", "", "\n\n"], True)
@given(TEXTS, st.booleans())
@settings(max_examples=400)
def test_kernel_equals_reference(texts: list[str], symbols: bool) -> None:
    found = tidy_lines(TextBatch.from_strings(texts), symbols)
    expected = [lines_of(text, symbols) for text in texts]
    lines = [line for text in expected for line in text]
    assert found.lines.to_strings() == lines
    assert np.diff(found.first).tolist() == [len(text) for text in expected]
    assert found.has_word.tolist() == [says_something(line) for line in lines]


@pytest.mark.parametrize("symbols", [True, False])
def test_every_character(symbols: bool) -> None:
    points = [*range(0xD800), *range(0xE000, 0x110000)]
    # Each alone on its line, at the end of one, twice within one and four times.
    text = "".join(f"{c}\n桥{c}\n桥{c}{c}桥\n桥{c}{c}{c}{c}桥\n" for c in map(chr, points[::19]))
    found = tidy_lines(TextBatch.from_strings([text]), symbols)
    lines = lines_of(text, symbols)
    assert found.lines.to_strings() == lines
    assert found.has_word.tolist() == [says_something(line) for line in lines]


@given(TEXTS, st.integers(0, 2**32))
def test_kept_lines_are_joined_by_line_feeds(texts: list[str], seed: int) -> None:
    lines = tidy_lines(TextBatch.from_strings(texts), symbols=False)
    kept = np.random.default_rng(seed).random(len(lines.lines)) < 0.5
    strings = lines.lines.to_strings()
    expected = [
        "\n".join(strings[line] for line in range(begin, end) if kept[line])
        for begin, end in zip(lines.first[:-1], lines.first[1:], strict=True)
    ]
    assert join_lines(lines, kept).to_strings() == expected


@pytest.mark.parametrize("piece", ["★ ", "！ ", "-", "a★", "\n", " ", "★！"])
def test_long_lines_of_one_piece(piece: str) -> None:
    text = piece * 100_000
    assert tidy_lines(TextBatch.from_strings([text]), True).lines.to_strings() == lines_of(
        text, True
    )
