"""Signals: what is measured on one document. They are stored as columns; rules judge them later.

Unless a signal says otherwise, a share is of the visible characters, all but white space: PanGu-α
asks for 60 % Chinese (§3.1.1) without saying of what, and spaces say nothing about a text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from filters.kernels.line_statistics import MENU_LINE, SHORT_LINE, SHORT_SENTENCE
from filters.kernels.repetition import DUPLICATE_LENGTHS, MOST_CHARACTERS, TOP_LENGTHS
from filters.language import LANGUAGES

# A text of this many characters gets half the quality that its prose deserves.
HALF_QUALITY_CHARACTERS = 200

VISIBLE = "share of visible characters"
OF_LINES = "share of lines"
OF_LINE_CHARACTERS = "share of the characters of all lines"


@dataclass(frozen=True)
class Signal:
    """What one column means."""

    name: str
    dtype: Literal["int32", "float32", "string"]
    description: str
    unit: str


def _count(name: str, description: str, unit: str) -> Signal:
    return Signal(name, "int32", description, unit)


def _share(name: str, description: str, unit: str = VISIBLE) -> Signal:
    return Signal(name, "float32", description, unit)


_DESCRIBED = (
    _count("characters", "length of the text with spaces and line breaks", "characters"),
    _share("chinese_share", "hanzi, of all planes, with 々〆〇"),
    _share("latin_share", "letters of the Latin script"),
    _share("digit_share", "decimal digits of any script"),
    _share("symbol_share", "neither letter, digit nor punctuation; unassigned characters"),
    _share("punctuation_share", "punctuation, Chinese and Western"),
    _share("kana_share", "hiragana and katakana"),
    _share("hangul_share", "hangul"),
    _share("hash_share", "# and ＃"),
    _share("ellipsis_share", "… and full stops that stand three or more in a row"),
    _share("bracket_share", "【 and 】"),
    _share("url_share", "addresses that begin http://, https:// or www."),
    _share("unique_character_share", "different characters"),
    Signal("character_entropy", "float32", "of the frequencies of visible characters", "bits"),
    _count("lines", "lines with text", "lines"),
    Signal("mean_line_characters", "float32", "mean length of those lines", "characters"),
    _count("longest_line_characters", "length of the longest", "characters"),
    _share("newline_share", "line breaks", "share of all characters"),
    _share("short_line_share", f"lines of fewer than {SHORT_LINE} characters", OF_LINES),
    _share(
        "sentence_end_share",
        "characters in lines that end like a sentence: 。！？…； . ! ? before closing quotes",
        OF_LINE_CHARACTERS,
    ),
    _share("sentence_end_line_share", "lines that end like a sentence", OF_LINES),
    _share(
        "duplicate_line_share",
        "characters in lines that repeat an earlier line",
        OF_LINE_CHARACTERS,
    ),
    _share("duplicate_lines_share", "lines that repeat an earlier line", OF_LINES),
    _share(
        "navigation_share",
        f"characters in lines of fewer than {MENU_LINE} characters without any punctuation",
        OF_LINE_CHARACTERS,
    ),
    _share("more_line_share", "lines that end in 展开, 更多, read more or three dots", OF_LINES),
    _share(
        "repeated_short_sentence_share",
        f"sentences of {SHORT_SENTENCE[0]} to {SHORT_SENTENCE[-1]} characters that repeat an "
        "earlier one, which PanGu-α names as the sign of a bad page (§3.1.3)",
    ),
    *(
        _share(
            f"top_{n}gram_share",
            f"the most frequent run of {n} visible characters; in the first {MOST_CHARACTERS:,}",
        )
        for n in TOP_LENGTHS
    ),
    *(
        _share(
            f"duplicate_{n}gram_share",
            f"runs of {n} visible characters that occurred before, none counted twice; in the "
            f"first {MOST_CHARACTERS:,}",
        )
        for n in DUPLICATE_LENGTHS
    ),
    _count(
        "beyond_title_characters",
        "letters and digits, folded, outside of lines that only repeat the title or a part of it",
        "characters",
    ),
    Signal(
        "quality",
        "float32",
        "sentence_end_share × (1 − duplicate_line_share) × characters ÷ (characters + "
        f"{HALF_QUALITY_CHARACTERS}): prose that says things once, and enough of it. Of several "
        "duplicates the one with the highest quality is kept",
        "0 to 1",
    ),
    Signal(
        "language",
        "string",
        "by scripts and function words: Chinese, Cantonese, Japanese, Korean or any other",
        ", ".join(LANGUAGES),
    ),
)
# Measured on every document; word lists add two each.
SIGNALS: dict[str, Signal] = {signal.name: signal for signal in _DESCRIBED}


def word_signals(list_name: str) -> dict[str, Signal]:
    """The two signals of a word list, by name: `<list>_words` and `<list>_hits`."""
    signals = (
        _count(
            f"{list_name}_words",
            f"different phrases of the list '{list_name}' in title and text",
            "phrases",
        ),
        _count(
            f"{list_name}_hits",
            f"occurrences of phrases of the list '{list_name}' in title and text, overlapping "
            "ones too",
            "occurrences",
        ),
    )
    return {signal.name: signal for signal in signals}


def all_signals(list_names: Iterable[str]) -> dict[str, Signal]:
    """The fixed signals, then those of each list in the given order."""
    signals = dict(SIGNALS)
    for name in list_names:
        signals |= word_signals(name)
    return signals
