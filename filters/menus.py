"""Menus whose words stand one below the other, as whole pages have them.

A line of one word may be a heading. Many such lines together are a menu.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

import numpy as np

from filters.kernels.tidy_lines import Lines
from filters.navigation import COMPILED_RULES, GAP, MAX_CHARACTERS, any_of
from filters.navigation_words import BUTTONS, CHANNELS, MENU_WORDS

MENU_LINES = 4
# Words that no list knows may stand among the others, no longer than this.
MENU_LINE_CHARACTERS = 6
_WORD = re.compile(f"{GAP}(?>{any_of([*BUTTONS, *MENU_WORDS, *CHANNELS])}){GAP}", re.ASCII)
# Every line for which is_menu_word holds may be of one of these kinds (by navigation.TRIGGERS).
MENU_KINDS = sum(
    bit for bit, name, _ in COMPILED_RULES if name in ("navigation_menu", "navigation_channels")
)


def is_menu_word(line: str) -> bool:
    """Whether a line is one word of a menu."""
    return len(line) <= MAX_CHARACTERS and _WORD.fullmatch(line) is not None


def menus_in_text(kept: list[int], lines: list[str]) -> Iterator[int]:
    """Which of the kept lines of one document are a menu, one word below the other.

    Of short lines that follow each other, those from the first word of a menu to the last, if at
    least MENU_LINES and half of them are such words.
    """
    is_word = [is_menu_word(line) for line in lines]
    for is_short, run in groupby(
        kept, lambda number: len(lines[number]) <= MENU_LINE_CHARACTERS or is_word[number]
    ):
        numbers = list(run)
        words = [place for place, number in enumerate(numbers) if is_word[number]]
        if is_short and len(words) >= MENU_LINES and 2 * len(words) > words[-1] - words[0]:
            yield from numbers[words[0] : words[-1] + 1]


def menus_in_batch(lines: Lines, kept: np.ndarray, is_word: np.ndarray) -> np.ndarray:
    """`menus_in_text` of each document: bool (lines,)."""
    found = np.zeros(len(lines.lines), np.bool_)
    if not is_word[kept].any():
        return found
    texts = lines.text_of_line()[kept]
    is_short = (lines.lines.lengths()[kept] <= MENU_LINE_CHARACTERS) | is_word[kept]
    changes = (is_short[1:] != is_short[:-1]) | (texts[1:] != texts[:-1])
    runs = np.concatenate([[0], np.cumsum(changes)])
    words = np.flatnonzero(is_word[kept])
    _, first, count = np.unique(runs[words], return_index=True, return_counts=True)
    begin, last = words[first], words[first + count - 1]
    is_menu = (count >= MENU_LINES) & (2 * count > last - begin)
    for start, stop in zip(begin[is_menu].tolist(), last[is_menu].tolist(), strict=True):
        found[kept[start : stop + 1]] = True
    return found
