"""The kernel chooses the lines that the reference chooses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.kernels.text_batch import TextBatch
from filters.kernels.trigger_words import Triggers, holds_trigger, lines_with_trigger

TRIGGERS = Triggers(
    anywhere=frozenset(["版权", "©"]),
    without_sentence=frozenset(["首页", "|", "版本"]),
    sentence_marks=frozenset("。！"),
    most_characters=8,
)


@pytest.mark.parametrize(
    ("line", "chosen"),
    [
        ("版权所有", True),
        ("版权所有。", True),
        ("©", True),
        ("回首页", True),
        ("回首页。", False),
        ("a|b", True),
        ("a|b！", False),
        ("首 页", False),
        ("首", False),
        ("", False),
        ("版权所有版权所有", True),
        ("版权所有版权所有版", False),
    ],
)
def test_lines(line: str, chosen: bool) -> None:
    assert holds_trigger(line, TRIGGERS) is chosen


@given(st.lists(st.text("版权本©首页|。！a", max_size=10)))
def test_kernel_equals_reference(lines: list[str]) -> None:
    chosen = lines_with_trigger(TextBatch.from_strings(lines), TRIGGERS)
    assert chosen.tolist() == [holds_trigger(line, TRIGGERS) for line in lines]


@given(st.sets(st.text(min_size=1, max_size=2), max_size=20), st.lists(st.text(max_size=10)))
def test_any_triggers(words: set[str], lines: list[str]) -> None:
    words = {word for word in words if word.encode("utf-8", "replace").decode() == word}
    half = frozenset(sorted(words)[::2])
    triggers = Triggers(half, frozenset(words) - half, frozenset("。"), 8)
    lines = [line.encode("utf-8", "replace").decode() for line in lines] + sorted(words)
    chosen = lines_with_trigger(TextBatch.from_strings(lines), triggers)
    assert chosen.tolist() == [holds_trigger(line, triggers) for line in lines]


def test_a_trigger_has_one_or_two_characters() -> None:
    with pytest.raises(ValueError, match="上一页"):
        Triggers(frozenset(["上一页"]), frozenset(), frozenset(), 8)
