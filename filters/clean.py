"""Cleaning inside one document: PanGu-α §3.1.1, steps 2 (special symbols, duplicate paragraphs), 4
(traditional characters to simplified ones) and 5 (navigation).

Text is rewritten with restraint. Marks of Chinese sentences, such as 。！？，：；（）「」, keep
their width; only full-width letters, digits and the ideographic space become half-width. Cleaning a
cleaned text changes nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from filters.kernels.text_batch import TextBatch
from filters.navigation import NAVIGATION_RULES, navigation_rule
from filters.traditional import simplify, traditional_characters
from pangu_settings import Settings

SYMBOLS = "symbols"
LINE_WITHOUT_SENTENCE_END = "line_without_sentence_end"
LINE_TOO_SHORT = "line_too_short"
DUPLICATE_PARAGRAPH = "duplicate_paragraph"
REPEATED_SHORT_LINE = "repeated_short_line"
# Why lines are removed: the closed vocabulary, in the order in which reasons are tried.
REMOVAL_REASONS = (
    SYMBOLS,
    *NAVIGATION_RULES,
    LINE_WITHOUT_SENTENCE_END,
    LINE_TOO_SHORT,
    DUPLICATE_PARAGRAPH,
    REPEATED_SHORT_LINE,
)

# A shorter line may come back on purpose: 「是的。」 in dialogue, a refrain (those of the Book of
# Songs reach 31 characters). So may a line of code, which has no hanzi.
MIN_DUPLICATE_CHARACTERS = 32

# Never text: control characters, private use, zero-width and direction marks, lone surrogates,
# characters that could not be decoded. The joiner stays where it builds an emoji.
_NOT_TEXT = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e"
    "\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ud800-\uf8ff\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\uffff\U000e0000-\U0010ffff]+|\u200d(?![\u2640\u2642\u2695\u2696\u2708\u2764\U0001f000-\U0001faff])"
)
_FULL_WIDTH = re.compile("[０-９Ａ-Ｚａ-ｚ\u3000]+")
_HALF_WIDTH: dict[int, int | str] = {
    **{code: code - 0xFEE0 for code in range(ord("０"), ord("９") + 1)},
    **{code: code - 0xFEE0 for code in range(ord("Ａ"), ord("Ｚ") + 1)},
    **{code: code - 0xFEE0 for code in range(ord("ａ"), ord("ｚ") + 1)},
    0x3000: " ",
}
# Ornaments: box drawing, blocks, geometric shapes, stars and the like; not arrows, not emoji, and
# not the circle that is a digit in 二○○八年.
_ORNAMENT = (
    "\u2500-\u25ca\u25cc-\u25ff\u2605\u2606\u2620-\u262f\u2660-\u2667\u2700-\u2704\u2706\u2707\u2709-\u2727"
    "\u2729-\u274b\u2756-\u2763\u2765-\u2767\u2794\u27a2-\u27af\u3012\u3013\u3020※"
)
# Two or more ornaments are decoration wherever they are; one is, at either end of a line.
_ORNAMENTS = re.compile(rf"^[{_ORNAMENT}\s]+|[{_ORNAMENT}\s]+$|(?:[{_ORNAMENT}]\s*){{2,}}")
# Marks said three times or more are said once; a line of dots or dashes keeps its usual length.
_REPEATED_MARK = re.compile(r"([。，、；：！？!?~～])(?:\s*\1){2,}")
_REPEATED_RULE = re.compile(r"([-=_*#+.·•…—─|/\\^<>])\1{3,}")
# A line without any of these says nothing. A brace alone on its line is code, and stays.
_HANZI = re.compile("[\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323ff]")
_WORD = re.compile(r"[^\W_]|[{}]")


class CleanSettings(Settings):
    """Which steps of cleaning are done."""

    symbols: bool = Field(True, description="ornaments and repeated marks; lines without a word")
    navigation: bool = Field(True, description="menus, pagers, credits, notices")
    duplicate_paragraphs: bool = Field(True, description="long lines that stood there before")
    repeated_short_lines: int = Field(
        0, ge=0, description="how often a short line may stand in a document; 0 for any number"
    )
    simplify: bool = Field(True, description="traditional characters to simplified ones")
    width: bool = Field(True, description="full-width letters, digits and spaces to half-width")
    sentence_lines_only: bool = Field(
        False, description="removes lines that do not end with one of sentence_marks"
    )
    sentence_marks: str = Field(
        "。！？…”：",
        min_length=1,
        max_length=64,
        description="what such lines end with, one of them",
    )
    min_line_characters: int = Field(0, ge=0, description="shorter lines are removed")


@dataclass(frozen=True)
class CleanedText:
    """A cleaned text: trimmed lines without empty ones, and how many lines went for which reason.

    Attributes:
      text: lines separated by line feeds.
      removed: lines by reason; every one of REMOVAL_REASONS is a key.
      traditional: characters before cleaning that only traditional writing has.
      hanzi: hanzi before cleaning.
    """

    text: str
    removed: dict[str, int]
    traditional: int
    hanzi: int


@dataclass(frozen=True)
class CleanedBatch:
    """Cleaned texts, in the order of the texts given.

    Attributes:
      texts: n cleaned texts.
      removed: int32 (n,) for every one of REMOVAL_REASONS: lines removed for it.
      traditional: int32 (n,), characters before cleaning that only traditional writing has.
      hanzi: int32 (n,), hanzi before cleaning.
    """

    texts: TextBatch
    removed: dict[str, np.ndarray]
    traditional: np.ndarray
    hanzi: np.ndarray


@dataclass(frozen=True)
class ExplainedLine:
    """What became of one line.

    Attributes:
      line: as it was given.
      reason: one of REMOVAL_REASONS, or None for a line that was kept.
      cleaned: as the rules saw it.
    """

    line: str
    reason: str | None
    cleaned: str


class Cleaner:
    """Cleans documents; a result depends on its document and the settings only."""

    def __init__(self, settings: CleanSettings) -> None:
        self.settings = settings

    def clean_batch(self, texts: TextBatch) -> CleanedBatch:
        """Cleans the documents of a batch; equal to `clean` of each."""
        cleaned = [self.clean(text) for text in texts.to_strings()]
        return CleanedBatch(
            TextBatch.from_strings([result.text for result in cleaned]),
            {
                reason: np.array([result.removed[reason] for result in cleaned], np.int32)
                for reason in REMOVAL_REASONS
            },
            np.array([result.traditional for result in cleaned], np.int32),
            np.array([result.hanzi for result in cleaned], np.int32),
        )

    def leave_batch(self, texts: TextBatch) -> CleanedBatch:
        """The documents of a batch as they are, counted like cleaned ones."""
        given = texts.to_strings()
        nothing = np.zeros(len(texts), np.int32)
        return CleanedBatch(
            texts,
            dict.fromkeys(REMOVAL_REASONS, nothing),
            np.array([_count_traditional(text) for text in given], np.int32),
            np.array([_count_hanzi(text) for text in given], np.int32),
        )

    def clean(self, text: str) -> CleanedText:
        """Cleans one document.

        Args:
          text: paragraphs separated by line breaks.
        """
        removed = dict.fromkeys(REMOVAL_REASONS, 0)
        kept: list[str] = []
        for line in self.explain(text):
            if line.reason is None:
                kept.append(line.cleaned)
            else:
                removed[line.reason] += 1
        return CleanedText("\n".join(kept), removed, _count_traditional(text), _count_hanzi(text))

    def explain(self, text: str) -> list[ExplainedLine]:
        """What becomes of every line that is not empty, in order."""
        settings = self.settings
        text = _NOT_TEXT.sub("", text)
        rewritten = text
        if settings.width:
            rewritten = _FULL_WIDTH.sub(lambda run: run[0].translate(_HALF_WIDTH), rewritten)
        if settings.simplify:
            rewritten = simplify(rewritten)
        lines: list[ExplainedLine] = []
        seen: Counter[str] = Counter()
        # No step above makes or removes a line break.
        for given, raw_line in zip(text.splitlines(), rewritten.splitlines(), strict=True):
            line = " ".join(raw_line.split())
            if not line:
                continue
            if settings.symbols:
                line = _tidy_symbols(line)
            reason = self._reason(line)
            if reason is None and _HANZI.search(line):
                seen[line] += 1
                reason = self._reason_to_say_it_once(line, seen[line])
            lines.append(ExplainedLine(given.strip(), reason, line))
        return lines

    def _reason(self, line: str) -> str | None:
        """Why a line is removed wherever it stands."""
        settings = self.settings
        if not line or (settings.symbols and not _WORD.search(line)):
            return SYMBOLS
        if settings.navigation and (rule := navigation_rule(line)):
            return rule
        if settings.sentence_lines_only and line[-1] not in settings.sentence_marks:
            return LINE_WITHOUT_SENTENCE_END
        if len(line) < settings.min_line_characters:
            return LINE_TOO_SHORT
        return None

    def _reason_to_say_it_once(self, line: str, times: int) -> str | None:
        """Why a line is removed where it stands for the n-th time."""
        settings = self.settings
        if len(line) >= MIN_DUPLICATE_CHARACTERS:
            return DUPLICATE_PARAGRAPH if settings.duplicate_paragraphs and times > 1 else None
        most = settings.repeated_short_lines
        return REPEATED_SHORT_LINE if most and times > most else None


def _count_traditional(text: str) -> int:
    return sum(map(traditional_characters().__contains__, text))


def _count_hanzi(text: str) -> int:
    return len(_HANZI.findall(text))


def _tidy_symbols(line: str) -> str:
    """A line without ornaments and with marks repeated no more than writing does."""
    line = _ORNAMENTS.sub(" ", line)
    line = _REPEATED_MARK.sub(r"\1", line)
    line = _REPEATED_RULE.sub(r"\1\1\1", line)
    return " ".join(line.split())
