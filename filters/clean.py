"""Cleaning inside one document: PanGu-α §3.1.1, steps 2 (special symbols, duplicate paragraphs), 4
(traditional characters to simplified ones) and 5 (navigation).

Text is rewritten with restraint. Marks of Chinese sentences, such as 。！？，：；（）「」, keep
their width; only full-width letters, digits and the ideographic space become half-width. Cleaning a
cleaned text changes nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from filters.navigation import navigation_rule
from filters.traditional import simplify
from pangu_settings import Settings

DUPLICATE_PARAGRAPH = "duplicate_paragraph"
NAVIGATION = "navigation"
SYMBOLS = "symbols"
# Why lines are removed: the closed vocabulary of CleanedText.removed.
REMOVAL_REASONS = (DUPLICATE_PARAGRAPH, NAVIGATION, SYMBOLS)

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
_HANZI = re.compile("[\u3400-\u9fff]")
_WORD = re.compile(r"[^\W_]|[{}]")


class CleanSettings(Settings):
    """Which steps of cleaning are done."""

    duplicate_paragraphs: bool = True
    navigation: bool = True
    symbols: bool = True
    simplify: bool = True
    width: bool = True


@dataclass(frozen=True)
class CleanedText:
    """A cleaned text: trimmed lines without empty ones, and how many lines went for which reason.

    `removed` has every one of REMOVAL_REASONS as a key.
    """

    text: str
    removed: dict[str, int]


class Cleaner:
    """Cleans documents one by one; a result depends on its document and the settings only."""

    def __init__(self, settings: CleanSettings) -> None:
        self.settings = settings

    def clean(self, text: str) -> CleanedText:
        """Cleans one document.

        Args:
          text: paragraphs separated by line breaks.
        """
        settings = self.settings
        text = _NOT_TEXT.sub("", text)
        if settings.width:
            text = _FULL_WIDTH.sub(lambda run: run[0].translate(_HALF_WIDTH), text)
        if settings.simplify:
            text = simplify(text)
        removed = dict.fromkeys(REMOVAL_REASONS, 0)
        kept: list[str] = []
        seen: set[str] = set()
        for raw_line in text.splitlines():
            line = " ".join(raw_line.split())
            if not line:
                continue
            reason = None
            if settings.symbols:
                line = _tidy_symbols(line)
                if not _WORD.search(line):
                    reason = SYMBOLS
            if reason is None and settings.navigation and navigation_rule(line):
                reason = NAVIGATION
            long = len(line) >= MIN_DUPLICATE_CHARACTERS
            if reason is None and settings.duplicate_paragraphs and long:
                if line in seen and _HANZI.search(line):
                    reason = DUPLICATE_PARAGRAPH
                seen.add(line)
            if reason is None:
                kept.append(line)
            else:
                removed[reason] += 1
        return CleanedText("\n".join(kept), removed)


def _tidy_symbols(line: str) -> str:
    """A line without ornaments and with marks repeated no more than writing does."""
    line = _ORNAMENTS.sub(" ", line)
    line = _REPEATED_MARK.sub(r"\1", line)
    line = _REPEATED_RULE.sub(r"\1\1\1", line)
    return " ".join(line.split())
