"""Texts cut into lines; white space joined, ornaments and repeated marks taken out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import numpy as np

from filters.kernels import code_points
from filters.kernels.compiling import kernel
from filters.kernels.text_batch import TextBatch

# Box drawing, blocks, geometric shapes, stars and the like; not arrows, not emoji, and not the
# circle that is a digit in 二○○八年.
_ORNAMENT = (
    "\u2500-\u25ca\u25cc-\u25ff\u2605\u2606\u2620-\u262f\u2660-\u2667\u2700-\u2704\u2706\u2707"
    "\u2709-\u2727\u2729-\u274b\u2756-\u2763\u2765-\u2767\u2794\u27a2-\u27af\u3012\u3013\u3020※"
)
# Two or more ornaments are decoration wherever they are; one is, at either end of a line.
_ORNAMENTS = re.compile(rf"^[{_ORNAMENT}\s]+|[{_ORNAMENT}\s]+$|(?:[{_ORNAMENT}]\s*){{2,}}")
# Marks said three times or more are said once; a line of dots or dashes keeps its usual length.
_MARK = "[。，、；：！？!?~～]"
_REPEATED_MARK = re.compile(rf"({_MARK})(?:\s*\1){{2,}}")
_RULE = r"[-=_*#+.·•…•—─|/\\^<>]"
_REPEATED_RULE = re.compile(rf"({_RULE})\1{{3,}}")
_LONGEST_RULE = 3
# A line without any of these says nothing. A brace alone on its line is code.
_WORD = r"(?:[^\W_]|[{}])"
# As str.splitlines has them.
_LINE_BREAK = "[\n\x0b\x0c\r\x1c-\x1e\x85\u2028\u2029]"


@dataclass(frozen=True)
class Lines:
    """The lines of texts, one after another.

    Attributes:
      lines: every line.
      first: int64 (texts + 1,): text i has the lines first[i] up to first[i + 1].
      has_word: bool (lines,), whether a line has a letter, a digit or a brace.
    """

    lines: TextBatch
    first: np.ndarray
    has_word: np.ndarray

    def text_of_line(self) -> np.ndarray:
        """Number of the text that each line belongs to: int64 (lines,)."""
        return np.repeat(np.arange(len(self.first) - 1), np.diff(self.first))


def tidy_line(line: str, symbols: bool) -> str:
    """The reference: one line, trimmed, with single spaces.

    Args:
      line: without line breaks.
      symbols: whether ornaments go and marks are repeated no more than writing does.
    """
    line = " ".join(line.split())
    if symbols:
        line = _ORNAMENTS.sub(" ", line)
        line = _REPEATED_MARK.sub(r"\1", line)
        line = _REPEATED_RULE.sub(r"\1" * _LONGEST_RULE, line)
        line = " ".join(line.split())
    return line


def says_something(line: str) -> bool:
    """Whether a line has a letter, a digit or a brace."""
    return re.search(_WORD, line) is not None


def tidy_lines(texts: TextBatch, symbols: bool) -> Lines:
    """`tidy_line` of each line of each text that is not white space alone."""
    kinds = _kinds()
    most = _count_lines(texts.characters, texts.starts, kinds)
    characters = np.empty(len(texts.characters), np.uint32)
    starts = np.empty(most + 1, np.int64)
    has_word = np.empty(most, np.bool_)
    first = np.empty(len(texts.starts), np.int64)
    count = _tidy(
        texts.characters, texts.starts, kinds, symbols, characters, starts, has_word, first
    )
    lines = TextBatch(characters[: starts[count]], starts[: count + 1])
    return Lines(lines, first, has_word[:count])


def join_lines(lines: Lines, kept: np.ndarray) -> TextBatch:
    """Texts of the kept lines with a line feed between two.

    Args:
      lines: n lines.
      kept: bool (n,).
    """
    batch = lines.lines
    characters = np.empty(len(batch.characters) + len(batch), np.uint32)
    starts = np.empty(len(lines.first), np.int64)
    size = _join(batch.characters, batch.starts, lines.first, kept, characters, starts)
    return TextBatch(characters[:size], starts)


# Kinds of characters, as bits.
_IS_SPACE, _IS_BREAK, _IS_ORNAMENT, _IS_MARK, _IS_RULE, _IS_WORD = 1, 2, 4, 8, 16, 32
_SPACE, _LINE_FEED = np.uint32(0x20), np.uint32(0x0A)


@cache
def _kinds() -> np.ndarray:
    """Kinds of each code point: uint8 (0x110000,)."""
    kinds = np.zeros(code_points.COUNT, np.uint8)
    for kind, pattern in (
        (_IS_SPACE, r"\s"),
        (_IS_BREAK, _LINE_BREAK),
        (_IS_ORNAMENT, f"[{_ORNAMENT}]"),
        (_IS_MARK, _MARK),
        (_IS_RULE, _RULE),
        (_IS_WORD, _WORD),
    ):
        kinds[code_points.matching(pattern)] |= kind
    return kinds


@kernel
def _count_lines(characters, starts, kinds):  # type: ignore[no-untyped-def]
    """No text has more lines than line breaks and one."""
    count = starts.shape[0] - 1
    for place in range(characters.shape[0]):
        if kinds[characters[place]] & _IS_BREAK:
            count += 1
    return count


@kernel
def _tidy(given, starts, kinds, symbols, characters, line_starts, has_word, first):  # type: ignore[no-untyped-def]
    """Writes the lines, where each begins, and which lines each text has; returns how many."""
    count = 0
    size = 0
    line_starts[0] = 0
    first[0] = 0
    for text in range(starts.shape[0] - 1):
        whole = given[starts[text] : starts[text + 1]]
        place = 0
        while place < whole.shape[0]:
            begin = size
            all_kinds = 0
            repeated = False
            after_space = False
            previous = np.uint32(0)
            while place < whole.shape[0]:
                character = whole[place]
                kind = kinds[character]
                place += 1
                if kind & _IS_SPACE:
                    if kind & _IS_BREAK:
                        break
                    after_space = True
                    continue
                if after_space and size > begin:
                    characters[size] = _SPACE
                    size += 1
                after_space = False
                all_kinds |= kind
                repeated |= character == previous and kind & (_IS_MARK | _IS_RULE) != 0
                previous = character
                characters[size] = character
                size += 1
            if size == begin:
                continue
            if symbols and (all_kinds & _IS_ORNAMENT or repeated):
                size = _drop_ornaments(characters, begin, size, kinds)
                size = _shorten_marks(characters, begin, size, kinds)
                size = _shorten_rules(characters, begin, size, kinds)
            has_word[count] = all_kinds & _IS_WORD != 0
            count += 1
            line_starts[count] = size
        first[text + 1] = count
    return count


@kernel
def _drop_ornaments(characters, begin, end, kinds):  # type: ignore[no-untyped-def]
    """Rewrites a line where it stands; returns its new end."""
    size = begin
    place = begin
    while place < end:
        ornaments = 0
        stop = place
        while stop < end and kinds[characters[stop]] & (_IS_ORNAMENT | _IS_SPACE):
            ornaments += kinds[characters[stop]] & _IS_ORNAMENT != 0
            stop += 1
        if ornaments and (place == begin or stop == end):
            place = stop
        elif ornaments > 1:
            characters[size] = _SPACE
            size += 1
            place = stop
        else:
            stop = max(stop, place + 1)
            while place < stop:
                characters[size] = characters[place]
                size += 1
                place += 1
    return size


@kernel
def _shorten_marks(characters, begin, end, kinds):  # type: ignore[no-untyped-def]
    """Rewrites a line where it stands; returns its new end."""
    size = begin
    place = begin
    while place < end:
        mark = characters[place]
        characters[size] = mark
        size += 1
        place += 1
        if kinds[mark] & _IS_MARK:
            times = 1
            stop = place
            after = place
            while after < end and (characters[after] == mark or characters[after] == _SPACE):
                if characters[after] == mark:
                    times += 1
                    stop = after + 1
                after += 1
            if times > 2:
                place = stop
    return size


@kernel
def _shorten_rules(characters, begin, end, kinds):  # type: ignore[no-untyped-def]
    """Rewrites a line where it stands; returns its new end."""
    size = begin
    place = begin
    while place < end:
        character = characters[place]
        stop = place + 1
        if kinds[character] & _IS_RULE:
            while stop < end and characters[stop] == character:
                stop += 1
        length = stop - place
        kept = length if length <= _LONGEST_RULE else _LONGEST_RULE
        for _ in range(kept):
            characters[size] = character
            size += 1
        place = stop
    return size


@kernel
def _join(lines, line_starts, first, kept, characters, starts):  # type: ignore[no-untyped-def]
    """Writes the kept lines of each text and where each text begins; returns the size."""
    size = 0
    starts[0] = 0
    for text in range(first.shape[0] - 1):
        begin = size
        for line in range(first[text], first[text + 1]):
            if not kept[line]:
                continue
            if size > begin:
                characters[size] = _LINE_FEED
                size += 1
            for place in range(line_starts[line], line_starts[line + 1]):
                characters[size] = lines[place]
                size += 1
        starts[text + 1] = size
    return size
