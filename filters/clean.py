"""Cleaning inside one document: PanGu-α §3.1.1, steps 2 (special symbols, duplicate paragraphs), 4
(traditional characters to simplified ones) and 5 (navigation).

Text is rewritten with restraint. Marks of Chinese sentences, such as 。！？，：；（）「」, keep
their width; only full-width letters, digits and the ideographic space become half-width. Cleaning a
cleaned text changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from filters.kernels.count_characters import count_in_batch, count_in_text
from filters.kernels.plain_characters import plain_batch, plain_text
from filters.kernels.repeated_lines import (
    PARAGRAPH,
    SHORT,
    Repeats,
    repeated_in_text,
    repeated_lines,
)
from filters.kernels.text_batch import TextBatch
from filters.kernels.tidy_lines import Lines, join_lines, says_something, tidy_line, tidy_lines
from filters.kernels.trigger_words import possible_kinds_of_lines
from filters.menus import MENU_KINDS, is_menu_word, menus_in_batch, menus_in_text
from filters.navigation import (
    NAVIGATION_RULES,
    TRIGGERS,
    first_rule,
    navigation_rule,
)
from filters.traditional import simplify, simplify_texts, traditional_characters
from pangu_settings import Settings

SYMBOLS = "symbols"
MENU = "navigation_menu"
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


class CleanSettings(Settings):
    """Which steps of cleaning are done."""

    symbols: bool = Field(True, description="ornaments and repeated marks; lines without a word")
    navigation: bool = Field(True, description="menus, pagers, credits, notices")
    duplicate_paragraphs: bool = Field(True, description="long lines that stood there before")
    repeated_short_lines: int = Field(
        10, ge=0, description="how often a short line may stand in a document; 0 for any number"
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
      lines: every line as the rules saw it, kept or not; none where texts were left alone.
      reasons: int8 (lines,), index in REMOVAL_REASONS, KEPT for a line that was kept.
    """

    texts: TextBatch
    removed: dict[str, np.ndarray]
    traditional: np.ndarray
    hanzi: np.ndarray
    lines: TextBatch
    reasons: np.ndarray


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
        self._repeats = Repeats(int(settings.duplicate_paragraphs), settings.repeated_short_lines)

    def clean(self, text: str) -> CleanedText:
        """Cleans one document, in plain Python: what `clean_batch` means.

        Args:
          text: paragraphs separated by line breaks.
        """
        lines = self.explain(text)
        removed = dict.fromkeys(REMOVAL_REASONS, 0)
        for line in lines:
            if line.reason is not None:
                removed[line.reason] += 1
        kept = [line.cleaned for line in lines if line.reason is None]
        counts = count_in_text(text, traditional_characters())
        return CleanedText("\n".join(kept), removed, counts.chosen, counts.hanzi)

    def explain(self, text: str) -> list[ExplainedLine]:
        """What becomes of every line that is not empty, in order."""
        settings = self.settings
        rewritten = plain_text(text, settings.width)
        if settings.simplify:
            rewritten = simplify(rewritten)
        # No step above makes or removes a line break.
        given = plain_text(text, width=False).splitlines()
        before, lines = [], []
        for old, new in zip(given, rewritten.splitlines(), strict=True):
            if new.strip():
                before.append(old.strip())
                lines.append(tidy_line(new, settings.symbols))
        reasons = self._reasons(lines)
        return [ExplainedLine(*line) for line in zip(before, reasons, lines, strict=True)]

    def _reasons(self, lines: list[str]) -> list[str | None]:
        """Why each line of one document is removed, None for a line that is kept."""
        reasons = [self._reason(line) for line in lines]
        counted = [
            line if reason is None else None for line, reason in zip(lines, reasons, strict=True)
        ]
        for number, found in enumerate(repeated_in_text(counted, self._repeats)):
            reasons[number] = _REPEATED.get(found, reasons[number])
        if self.settings.navigation:
            kept = [number for number, reason in enumerate(reasons) if reason is None]
            for number in menus_in_text(kept, lines):
                reasons[number] = MENU
        return reasons

    def _reason(self, line: str) -> str | None:
        """Why a line is removed wherever it stands."""
        settings = self.settings
        if not line or (settings.symbols and not says_something(line)):
            return SYMBOLS
        if settings.navigation and (rule := navigation_rule(line)):
            return rule
        if settings.sentence_lines_only and line[-1] not in settings.sentence_marks:
            return LINE_WITHOUT_SENTENCE_END
        if len(line) < settings.min_line_characters:
            return LINE_TOO_SHORT
        return None

    def clean_batch(self, texts: TextBatch) -> CleanedBatch:
        """`clean` of each document of a batch."""
        settings = self.settings
        counts = count_in_batch(texts, traditional_characters())
        rewritten = plain_batch(texts, settings.width)
        if settings.simplify:
            rewritten = simplify_texts(rewritten, counts.chosen)
        lines = tidy_lines(rewritten, settings.symbols)
        reasons = self._reasons_in_batch(lines)
        return CleanedBatch(
            join_lines(lines, reasons == KEPT),
            _lines_by_reason(lines, reasons),
            counts.chosen,
            counts.hanzi,
            lines.lines,
            reasons,
        )

    def leave_batch(self, texts: TextBatch) -> CleanedBatch:
        """The documents of a batch as they are, counted like cleaned ones."""
        counts = count_in_batch(texts, traditional_characters())
        nothing = np.zeros(len(texts), np.int32)
        return CleanedBatch(
            texts,
            dict.fromkeys(REMOVAL_REASONS, nothing),
            counts.chosen,
            counts.hanzi,
            TextBatch.from_strings([]),
            np.empty(0, np.int8),
        )

    def _reasons_in_batch(self, lines: Lines) -> np.ndarray:
        """`_reasons` of each document, as index in REMOVAL_REASONS or KEPT: int8 (lines,)."""
        settings = self.settings
        batch = lines.lines
        lengths = batch.lengths()
        reasons = np.full(len(batch), KEPT, np.int8)
        is_word = np.zeros(len(batch), np.bool_)
        if settings.min_line_characters:
            reasons[lengths < settings.min_line_characters] = _CODES[LINE_TOO_SHORT]
        if settings.sentence_lines_only:
            marks = np.array([ord(mark) for mark in settings.sentence_marks], np.uint32)
            last = batch.characters[batch.starts[1:][lengths > 0] - 1]
            without = np.flatnonzero(lengths)[~np.isin(last, marks)]
            reasons[without] = _CODES[LINE_WITHOUT_SENTENCE_END]
        if settings.navigation:
            kinds = possible_kinds_of_lines(batch, TRIGGERS)
            numbers = np.flatnonzero(kinds)
            # A few at a time: a Python integer is five times as large as one of an array.
            for some in np.array_split(numbers, len(numbers) // _LINES_AT_A_TIME + 1):
                for line, possible in zip(some.tolist(), kinds[some].tolist(), strict=True):
                    text = batch.text(line)
                    if rule := first_rule(text, possible):
                        reasons[line] = _CODES[rule]
                    elif possible & MENU_KINDS:
                        is_word[line] = is_menu_word(text)
        reasons[(lengths == 0) | (settings.symbols & ~lines.has_word)] = _CODES[SYMBOLS]
        repeated = repeated_lines(lines, reasons == KEPT, self._repeats)
        for found in (PARAGRAPH, SHORT):
            reasons[repeated == found] = _CODES[_REPEATED[found]]
        kept = np.flatnonzero(reasons == KEPT)
        reasons[menus_in_batch(lines, kept, is_word)] = _CODES[MENU]
        return reasons


# Reasons as small numbers, in the order of REMOVAL_REASONS.
KEPT = -1
_LINES_AT_A_TIME = 1 << 16
_CODES = {reason: code for code, reason in enumerate(REMOVAL_REASONS)}
_REPEATED = {PARAGRAPH: DUPLICATE_PARAGRAPH, SHORT: REPEATED_SHORT_LINE}


def _lines_by_reason(lines: Lines, reasons: np.ndarray) -> dict[str, np.ndarray]:
    """How many lines of each text were removed for each reason."""
    texts, kinds = len(lines.first) - 1, len(REMOVAL_REASONS)
    removed = reasons != KEPT
    cells = lines.text_of_line()[removed] * kinds + reasons[removed]
    counts = np.bincount(cells, minlength=texts * kinds).reshape(texts, kinds).astype(np.int32)
    return {reason: counts[:, code] for code, reason in enumerate(REMOVAL_REASONS)}
