"""Signals: numbers measured on one document. They are stored as columns; rules judge them later.

A share is of all characters that are not white space: PanGu-α asks for 60 % Chinese (§3.1.1)
without saying of what, and spaces say nothing about a text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from filters.folding import fold
from filters.word_lists import WordSearch

# A text of this many characters gets half the quality that its prose deserves.
HALF_QUALITY_CHARACTERS = 200


@dataclass(frozen=True)
class Signal:
    """What one column of numbers means."""

    name: str
    dtype: Literal["int32", "float32"]
    description: str
    unit: str


_DESCRIBED = (
    Signal("characters", "int32", "length of the text with spaces and line breaks", "characters"),
    Signal("chinese_share", "float32", "hanzi", "share of visible characters"),
    Signal("latin_share", "float32", "letters of the Latin script", "share of visible characters"),
    Signal("digit_share", "float32", "decimal digits of any script", "share of visible characters"),
    Signal(
        "symbol_share",
        "float32",
        "symbols and unassigned characters: neither letter, digit nor punctuation",
        "share of visible characters",
    ),
    Signal("lines", "int32", "lines with text", "lines"),
    Signal("mean_line_characters", "float32", "mean length of those lines", "characters"),
    Signal(
        "sentence_end_share",
        "float32",
        "characters in lines that end like a sentence: 。！？…； . ! ? before closing quotes",
        "share of the characters of all lines",
    ),
    Signal(
        "duplicate_line_share",
        "float32",
        "characters in lines that repeat an earlier line",
        "share of the characters of all lines",
    ),
    Signal(
        "beyond_title_characters",
        "int32",
        "letters and digits outside of lines that only repeat the title or a part of it",
        "characters",
    ),
    Signal(
        "advertisement_words",
        "int32",
        "different phrases of the advertisement list in title and text",
        "phrases",
    ),
    Signal(
        "sensitive_words",
        "int32",
        "different phrases of the sensitive list in title and text",
        "phrases",
    ),
    Signal(
        "quality",
        "float32",
        "sentence_end_share × (1 − duplicate_line_share) × characters ÷ (characters + "
        f"{HALF_QUALITY_CHARACTERS}): prose that says things once, and enough of it. Of several "
        "duplicates the one with the highest quality is kept",
        "0 to 1",
    ),
)
SIGNALS: dict[str, Signal] = {signal.name: signal for signal in _DESCRIBED}

# A sentence's end, then closing quotes and brackets.
_SENTENCE_END = re.compile(r"[。！？…；.!?][”’」』》）】〕)\]\"'\s]*\Z")
_NOT_WORD = re.compile(r"[\W_]+")

# Classes of characters: columns of the histogram that all shares are taken from.
_SPACE, _HANZI, _LATIN, _DIGIT, _LETTER, _PUNCTUATION, _SYMBOL = range(7)
_CLASSES = 7
_HANZI_RANGES = (
    (0x3005, 0x3008),  # 々〆〇
    (0x3400, 0x4DC0),
    (0x4E00, 0xA000),
    (0xF900, 0xFB00),
    (0x20000, 0x32400),
)


class Measurer:
    """Measures documents one by one; a result depends on its document and the lists only."""

    def __init__(self, advertisement_words: Sequence[str], sensitive_words: Sequence[str]) -> None:
        self._advertisement = WordSearch(advertisement_words)
        self._sensitive = WordSearch(sensitive_words)

    def measure(self, title: str, text: str) -> dict[str, int | float]:
        """Returns the value of every one of SIGNALS, in their order.

        Args:
          title: the page's title, "" if it has none.
          text: lines separated by line breaks.
        """
        counts = count_classes(text)
        visible = max(1, int(counts.sum() - counts[_SPACE]))
        lines = [line for raw in text.splitlines() if (line := raw.strip())]
        in_lines = max(1, sum(map(len, lines)))
        in_sentences = sum(len(line) for line in lines if _SENTENCE_END.search(line))
        repeated = in_lines - max(1, sum(map(len, set(lines))))
        folded = fold(f"{title}\n{text}")
        sentence_end_share = in_sentences / in_lines
        duplicate_line_share = repeated / in_lines
        enough = len(text) / (len(text) + HALF_QUALITY_CHARACTERS)
        return {
            "characters": len(text),
            "chinese_share": int(counts[_HANZI]) / visible,
            "latin_share": int(counts[_LATIN]) / visible,
            "digit_share": int(counts[_DIGIT]) / visible,
            "symbol_share": int(counts[_SYMBOL]) / visible,
            "lines": len(lines),
            "mean_line_characters": in_lines / len(lines) if lines else 0.0,
            "sentence_end_share": sentence_end_share,
            "duplicate_line_share": duplicate_line_share,
            "beyond_title_characters": beyond_title_characters(title, lines),
            "advertisement_words": len(self._advertisement.find(folded)),
            "sensitive_words": len(self._sensitive.find(folded)),
            "quality": sentence_end_share * (1 - duplicate_line_share) * enough,
        }


def count_classes(text: str) -> np.ndarray:
    """Returns how many characters of each class a text has: int64 (7,)."""
    code_points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    return np.bincount(_class_of_code_point()[code_points], minlength=_CLASSES)


def beyond_title_characters(title: str, lines: Sequence[str]) -> int:
    """Returns how many letters and digits the lines have that do not only repeat the title.

    A line repeats the title if its letters and digits, in comparable form, stand in the title in
    one piece: 「江岸长跑赛 报名须知」 repeats 「第二十三届江岸长跑赛报名须知」.
    """
    wanted = _NOT_WORD.sub("", fold(title))
    beyond = 0
    for line in lines:
        words = _NOT_WORD.sub("", line)
        # Only a line that is no longer can be a part; the factor allows for ligatures in NFKC.
        if len(words) > 4 * len(wanted) or _NOT_WORD.sub("", fold(line)) not in wanted:
            beyond += len(words)
    return beyond


@cache
def _class_of_code_point() -> np.ndarray:
    """uint8 (0x110000,): the class of every code point."""
    classes = np.full(0x110000, _SYMBOL, np.uint8)
    for code in range(0x20000):  # beyond are hanzi, selectors and private use
        character = chr(code)
        category = unicodedata.category(character)
        if character.isspace():
            classes[code] = _SPACE
        elif category == "Nd":
            classes[code] = _DIGIT
        elif category.startswith("L"):
            is_latin = unicodedata.name(character, "").startswith(("LATIN", "FULLWIDTH LATIN"))
            classes[code] = _LATIN if is_latin else _LETTER
        elif category.startswith(("M", "N")):
            classes[code] = _LETTER
        elif category.startswith("P"):
            classes[code] = _PUNCTUATION
    for first, end in _HANZI_RANGES:
        classes[first:end] = _HANZI
    return classes
