"""Lines that a document has said before. Code comes back at any length: lines without hanzi do not
count.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from filters.kernels import code_points
from filters.kernels.compiling import kernel
from filters.kernels.count_characters import HANZI
from filters.kernels.hashing import absorb, mix64
from filters.kernels.tidy_lines import Lines

# A shorter line may come back on purpose: 「是的。」 in dialogue, a refrain (those of the Book of
# Songs reach 31 characters).
MIN_PARAGRAPH_CHARACTERS = 32
# A short line that ends so introduces something new each time: 「道姑道：」.
_COLONS = ":："

FIRST, PARAGRAPH, SHORT = 0, 1, 2


@dataclass(frozen=True)
class Repeats:
    """How often a document may say a line.

    Attributes:
      paragraph: times for lines of at least MIN_PARAGRAPH_CHARACTERS; 0 for any number.
      short: times for shorter lines; 0 for any number.
    """

    paragraph: int
    short: int


def repeated_in_text(lines: Sequence[str | None], repeats: Repeats) -> list[int]:
    """The reference: which lines of one text have been said often enough.

    Args:
      lines: of one text; None for a line that does not count.
      repeats: how often lines may be said.

    Returns:
      for each line FIRST, PARAGRAPH or SHORT: a line that may stay, a long one or a short one
      that was said too often.
    """
    times: Counter[str] = Counter()
    found: list[int] = []
    for line in lines:
        kind = FIRST
        if line is not None and re.search(HANZI, line) and not _introduces(line):
            times[line] += 1
            is_paragraph = len(line) >= MIN_PARAGRAPH_CHARACTERS
            most = repeats.paragraph if is_paragraph else repeats.short
            if most and times[line] > most:
                kind = PARAGRAPH if is_paragraph else SHORT
        found.append(kind)
    return found


def _introduces(line: str) -> bool:
    return len(line) < MIN_PARAGRAPH_CHARACTERS and line.endswith(tuple(_COLONS))


def repeated_lines(lines: Lines, counted: np.ndarray, repeats: Repeats) -> np.ndarray:
    """`repeated_in_text` of each text.

    Args:
      lines: n lines.
      counted: bool (n,), which lines count.
      repeats: how often lines may be said.

    Returns:
      int8 (n,).
    """
    found = np.zeros(len(lines.lines), np.int8)
    most_lines = int(np.diff(lines.first).max(initial=0))
    slots = np.full(2 << most_lines.bit_length(), -1, np.int64)
    hashes = np.empty(len(found), np.uint64)
    times = np.zeros(len(found), np.int32)
    _find(
        lines.lines.characters,
        lines.lines.starts,
        lines.first,
        counted,
        _hanzi(),
        (MIN_PARAGRAPH_CHARACTERS, repeats.paragraph, repeats.short),
        tuple(map(ord, _COLONS)),
        slots,
        hashes,
        times,
        found,
    )
    return found


@cache
def _hanzi() -> np.ndarray:
    return code_points.matching(HANZI)


@kernel
def _find(  # type: ignore[no-untyped-def]
    characters, starts, first, counted, hanzi, limits, colons, slots, hashes, times, found
):
    """Writes which lines were said too often.

    Args:
      slots: int64, -1, a power of two and twice the lines of any text: a table of lines by hash.
      hashes: uint64 (lines,) and times: int32 (lines,), 0: room to work in.
    """
    long, most_paragraph, most_short = limits
    mask = np.uint64(slots.shape[0] - 1)
    for text in range(first.shape[0] - 1):
        for line in range(first[text], first[text + 1]):
            whole = characters[starts[line] : starts[line + 1]]
            length = whole.shape[0]
            most = most_paragraph if length >= long else most_short
            if not counted[line] or most == 0:
                continue
            has_hanzi = False
            hashed = np.uint64(length)
            for character in whole:
                has_hanzi |= hanzi[character]
                hashed = absorb(hashed, np.uint64(character))
            if not has_hanzi:
                continue
            if length < long and (whole[length - 1] == colons[0] or whole[length - 1] == colons[1]):
                continue
            hashed = mix64(hashed)
            hashes[line] = hashed
            slot = np.int64(hashed & mask)
            # What earlier texts left in the table counts as free.
            while slots[slot] >= first[text]:
                other = slots[slot]
                if hashes[other] == hashed and _same(characters, starts, line, other):
                    break
                slot = np.int64(np.uint64(slot + 1) & mask)
            else:
                slots[slot] = line
            other = slots[slot]
            times[other] += 1
            if times[other] > most:
                found[line] = PARAGRAPH if length >= long else SHORT


@kernel
def _same(characters, starts, line, other):  # type: ignore[no-untyped-def]
    """Whether two lines have the same characters."""
    length = starts[line + 1] - starts[line]
    if starts[other + 1] - starts[other] != length:
        return False
    for place in range(length):
        if characters[starts[line] + place] != characters[starts[other] + place]:
            return False
    return True
