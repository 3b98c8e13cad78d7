"""The kernel sorts lines as the reference does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.kernels.text_batch import TextBatch
from filters.kernels.trigger_words import (
    MOST_KINDS,
    Kind,
    Triggers,
    possible_kinds,
    possible_kinds_of_lines,
)

COPYRIGHT, HOME = 1, 2
TRIGGERS = Triggers(
    kinds=(
        Kind(frozenset(["版权", "©"]), in_sentences=True),
        Kind(frozenset(["首页", "|", "版本", "版权"]), in_sentences=False),
    ),
    sentence_marks=frozenset("。！"),
    most_characters=8,
)


@pytest.mark.parametrize(
    ("line", "kinds"),
    [
        ("版权所有", COPYRIGHT | HOME),
        ("版权所有。", COPYRIGHT),
        ("©", COPYRIGHT),
        ("回首页", HOME),
        ("回首页。", 0),
        ("a|b", HOME),
        ("a|b！", 0),
        ("©|", COPYRIGHT | HOME),
        ("首 页", 0),
        ("首", 0),
        ("", 0),
        ("版权所有版权所有", COPYRIGHT | HOME),
        ("版权所有版权所有版", 0),
    ],
)
def test_lines(line: str, kinds: int) -> None:
    assert possible_kinds(line, TRIGGERS) == kinds


@given(st.lists(st.text("版权本©首页|。！a", max_size=10)))
def test_kernel_equals_reference(lines: list[str]) -> None:
    found = possible_kinds_of_lines(TextBatch.from_strings(lines), TRIGGERS)
    assert found.tolist() == [possible_kinds(line, TRIGGERS) for line in lines]


WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=2)


@given(
    st.lists(st.builds(Kind, st.frozensets(WORDS, max_size=9), st.booleans()), max_size=MOST_KINDS),
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=10)),
)
def test_any_triggers(kinds: list[Kind], lines: list[str]) -> None:
    triggers = Triggers(kinds, frozenset("。a"), 8)
    words = sorted({word for kind in kinds for word in kind.triggers})
    lines = [*lines, *words, "".join(words)[:8]]
    found = possible_kinds_of_lines(TextBatch.from_strings(lines), triggers)
    assert found.tolist() == [possible_kinds(line, triggers) for line in lines]


def test_a_trigger_has_one_or_two_characters() -> None:
    with pytest.raises(ValueError, match="上一页"):
        Triggers([Kind(frozenset(["上一页"]), True)], frozenset(), 8)


def test_kinds_are_bits() -> None:
    with pytest.raises(ValueError, match="33 kinds"):
        Triggers([Kind(frozenset("a"), True)] * 33, frozenset(), 8)
