"""Lines said too often are found, in each text by itself, as the reference finds them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from filters.kernels.repeated_lines import (
    FIRST,
    MIN_PARAGRAPH_CHARACTERS,
    PARAGRAPH,
    SHORT,
    Repeats,
    repeated_in_text,
    repeated_lines,
)
from filters.kernels.text_batch import TextBatch
from filters.kernels.tidy_lines import tidy_lines

LONG = "桥" * MIN_PARAGRAPH_CHARACTERS


def test_reference() -> None:
    lines = [LONG, "桥", LONG, "桥", None, "桥", "}", "}", "}"]
    found = repeated_in_text(lines, Repeats(paragraph=1, short=2))
    assert found == [FIRST, FIRST, PARAGRAPH, FIRST, FIRST, SHORT, FIRST, FIRST, FIRST]


def test_a_line_that_introduces_something_may_come_back() -> None:
    found = repeated_in_text(["道姑道：", "桥"] * 2, Repeats(1, 1))
    assert found == [FIRST, FIRST, FIRST, SHORT]


def test_zero_is_any_number() -> None:
    assert repeated_in_text([LONG, LONG, "桥", "桥"], Repeats(0, 0)) == [FIRST] * 4


LINES = st.sampled_from(
    [LONG, LONG[1:], LONG + "梁", "x" * 40, "桥", "梁", "桥：", "曰:", LONG + "：", "}"]
)


@given(st.lists(st.lists(LINES, max_size=12)), st.integers(0, 2), st.integers(0, 3), st.randoms())
def test_kernel_equals_reference(
    texts: list[list[str]], paragraph: int, short: int, random: np.random.Generator
) -> None:
    repeats = Repeats(paragraph, short)
    lines = tidy_lines(TextBatch.from_strings(["\n".join(text) for text in texts]), False)
    counted = [[random.random() < 0.8 for _ in text] for text in texts]
    expected = [
        kind
        for text, counts in zip(texts, counted, strict=True)
        for kind in repeated_in_text(
            [line if c else None for line, c in zip(text, counts, strict=True)], repeats
        )
    ]
    flat = np.array([c for counts in counted for c in counts], np.bool_)
    assert repeated_lines(lines, flat, repeats).tolist() == expected


def test_many_different_lines() -> None:
    text = "\n".join(f"第{number % 5000}行" for number in range(15_000))
    lines = tidy_lines(TextBatch.from_strings([text, text]), False)
    found = repeated_lines(lines, np.ones(30_000, np.bool_), Repeats(1, 2))
    assert found.tolist() == ([FIRST] * 10_000 + [SHORT] * 5_000) * 2
