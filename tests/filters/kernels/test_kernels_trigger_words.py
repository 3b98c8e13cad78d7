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

COPYRIGHT, HOME, MENU = 1, 2, 4
TRIGGERS = Triggers(
    kinds=(
        Kind(frozenset(["版权", "©"]), in_sentences=True, leading=False),
        Kind(frozenset(["首页", "|", "版本", "版权"]), in_sentences=False, leading=False),
        Kind(frozenset(["菜单", "赞"]), in_sentences=False, leading=True),
    ),
    sentence_marks=frozenset("。！"),
    most_characters=8,
    ignored=frozenset(" 12"),
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
        ("菜单", MENU),
        ("1 2 菜单", MENU),
        ("的菜单", 0),
        ("菜菜单", 0),
        ("赞首页", HOME | MENU),
        ("2赞", MENU),
        ("12", 0),
    ],
)
def test_lines(line: str, kinds: int) -> None:
    assert possible_kinds(line, TRIGGERS) == kinds


@given(st.lists(st.text("版权本©首页|。！a菜单赞1", max_size=10)))
def test_kernel_equals_reference(lines: list[str]) -> None:
    found = possible_kinds_of_lines(TextBatch.from_strings(lines), TRIGGERS)
    assert found.tolist() == [possible_kinds(line, TRIGGERS) for line in lines]


WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=2)


@given(
    st.lists(
        st.builds(Kind, st.frozensets(WORDS, max_size=9), st.booleans(), st.booleans()),
        max_size=MOST_KINDS,
    ),
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=10)),
)
def test_any_triggers(kinds: list[Kind], lines: list[str]) -> None:
    words = sorted({word for kind in kinds for word in kind.triggers})
    ignored = frozenset("1b-") - {word[0] for word in words}
    triggers = Triggers(kinds, frozenset("。a"), 8, ignored)
    lines = [*lines, *words, "".join(words)[:8], *(f"1b-{word}" for word in words)]
    found = possible_kinds_of_lines(TextBatch.from_strings(lines), triggers)
    assert found.tolist() == [possible_kinds(line, triggers) for line in lines]


def test_a_trigger_has_one_or_two_characters() -> None:
    with pytest.raises(ValueError, match="上一页"):
        Triggers([Kind(frozenset(["上一页"]), True, False)], frozenset(), 8, frozenset())


def test_a_leading_trigger_cannot_begin_with_what_is_ignored() -> None:
    with pytest.raises(ValueError, match="1页"):
        Triggers([Kind(frozenset(["1页"]), True, True)], frozenset(), 8, frozenset("1"))


def test_kinds_are_bits() -> None:
    with pytest.raises(ValueError, match="33 kinds"):
        Triggers([Kind(frozenset("a"), True, False)] * 33, frozenset(), 8, frozenset())
