"""Texts in the form in which they are compared, and what of them counts in comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from filters.kernels.compiling import kernel
from filters.kernels.text_batch import TextBatch

# A character becomes at most so many: the memory that a page can claim is bounded.
MOST_CHARACTERS = 4

# Flags of a table's entry beside the code point that a character becomes.
_COMPARABLE = 1 << 31  # what it becomes is a letter or a digit
_SEVERAL = 1 << 30  # it becomes several characters, found at this row of `expansions`
_POINT = np.uint32(_SEVERAL - 1)


@dataclass(frozen=True)
class Folding:
    """What each character becomes: a few others, whatever stands beside it.

    Attributes:
      replacements: character -> its 1 to MOST_CHARACTERS replacements; all others stay.
    """

    replacements: Mapping[str, str]

    @cached_property
    def translation(self) -> dict[int, str]:
        """The same for `str.translate`."""
        return {ord(old): new for old, new in self.replacements.items()}

    @cached_property
    def tables(self) -> tuple[np.ndarray, np.ndarray]:
        """What the kernel reads: uint32 (0x110000,), and uint32 (n, MOST_CHARACTERS), 0-padded."""
        points = np.arange(0x110000, dtype="<u4")
        every = points.tobytes().decode("utf-32-le", "surrogatepass")
        is_comparable = np.fromiter(map(str.isalnum, every), bool, len(every))
        table = points.astype(np.uint32)
        longer = sorted(old for old, new in self.replacements.items() if len(new) > 1)
        expansions = np.zeros((len(longer) + 1, MOST_CHARACTERS), np.uint32)
        for old, new in self.replacements.items():
            if len(new) == 1:
                table[ord(old)] = ord(new)
        table[is_comparable[table]] |= np.uint32(_COMPARABLE)
        for row, old in enumerate(longer):
            new = self.replacements[old]
            expansions[row, : len(new)] = [
                ord(c) | (_COMPARABLE if c.isalnum() else 0) for c in new
            ]
            table[ord(old)] = _SEVERAL | row
        return table, expansions


@dataclass(frozen=True)
class FoldedBatch:
    """Folded texts, and their letters and digits alone.

    Attributes:
      texts: the folded texts, with everything that they hold.
      comparable: their letters and digits.
      line_starts: int64 (lines + 1,): where each line begins among the comparable characters;
        lines without any are left out.
      first_lines: int64 (texts + 1,): lines first_lines[i] to first_lines[i + 1] are text i's.
      line_places: int32 (lines, 2): where each of these lines begins and ends in its text as given.
    """

    texts: TextBatch
    comparable: TextBatch
    line_starts: np.ndarray
    first_lines: np.ndarray
    line_places: np.ndarray


def fold_text(text: str, folding: Folding) -> str:
    """The reference of `FoldedBatch.texts`."""
    return text.translate(folding.translation)


def comparable_lines(text: str, folding: Folding) -> list[str]:
    """The reference of the lines: letters and digits of each line that has any, folded."""
    return [line for line, _ in lines_with_places(text, folding)]


def lines_with_places(text: str, folding: Folding) -> list[tuple[str, tuple[int, int]]]:
    """The same lines, and where each begins and ends in the text."""
    found = []
    begin = 0
    for line in text.split("\n"):
        comparable = "".join(filter(str.isalnum, fold_text(line, folding)))
        if comparable:
            found.append((comparable, (begin, begin + len(line))))
        begin += len(line) + 1
    return found


def fold_batch(texts: TextBatch, folding: Folding) -> FoldedBatch:
    """The kernel."""
    table, expansions = folding.tables
    total = len(texts.characters)
    # Few characters become several: there is room for them, or else for all of them.
    for room in (total + total // 8 + 64, total * MOST_CHARACTERS):
        folded = np.empty(room, np.uint32)
        comparable = np.empty(room, np.uint32)
        most_lines = total // 2 + len(texts) + 1
        line_starts = np.empty(most_lines + 1, np.int64)
        line_places = np.empty((most_lines, 2), np.int32)
        starts, comparable_starts, first_lines = np.empty((3, len(texts) + 1), np.int64)
        size, count, lines = _fold(
            texts.characters,
            texts.starts,
            table,
            expansions,
            folded,
            starts,
            comparable,
            comparable_starts,
            line_starts,
            first_lines,
            line_places,
        )
        if size >= 0:
            break
    return FoldedBatch(
        TextBatch(folded[:size], starts),
        TextBatch(comparable[:count], comparable_starts),
        line_starts[: lines + 1],
        first_lines,
        line_places[:lines],
    )


def comparable_places(text: str, folding: Folding) -> list[int]:
    """The reference of `comparable_places_of`: where each letter or digit of a folded text was."""
    return [
        place
        for place, character in enumerate(text)
        for folded in fold_text(character, folding)
        if folded.isalnum()
    ]


def comparable_places_of(characters: np.ndarray, folding: Folding) -> np.ndarray:
    """Where in a text each of its comparable characters was.

    Args:
      characters: uint32 (n,), code points of the text.
      folding: what each becomes.

    Returns:
      int64 (comparable characters,).
    """
    places = np.empty(len(characters) * MOST_CHARACTERS, np.int64)
    return places[: _comparable_places(characters, *folding.tables, places)].copy()


@kernel
def _fold(  # type: ignore[no-untyped-def]
    characters,
    starts,
    table,
    expansions,
    folded,
    folded_starts,
    comparable,
    comparable_starts,
    line_starts,
    first_lines,
    line_places,
):
    """Returns how many characters, comparable ones and lines there are; -1 without the room."""
    room = folded.shape[0]
    total = characters.shape[0]
    size = 0
    count = 0
    lines = 0
    line_start = 0
    folded_starts[0] = 0
    comparable_starts[0] = 0
    line_starts[0] = 0
    first_lines[0] = 0
    for text in range(starts.shape[0] - 1):
        begin = starts[text]
        for place in range(starts[text], starts[text + 1]):
            character = characters[place]
            entry = table[character]
            if entry & np.uint32(_SEVERAL):
                # The others need a place each.
                if size + MOST_CHARACTERS + total - place - 1 > room:
                    return -1, 0, 0
                for point in expansions[entry & _POINT]:
                    if point != 0:
                        folded[size] = point & _POINT
                        size += 1
                        if point & np.uint32(_COMPARABLE):
                            comparable[count] = point & _POINT
                            count += 1
                continue
            point = entry & _POINT
            folded[size] = point
            # Written every time, kept where it counts: no branch to mispredict. There is room,
            # since count <= size.
            comparable[count] = point
            size += 1
            count += np.int64(entry >> np.uint32(31))
            if character == 10:
                if count > line_start:
                    line_places[lines] = (begin - starts[text], place - starts[text])
                    lines += 1
                    line_starts[lines] = count
                    line_start = count
                begin = place + 1
        if count > line_start:
            line_places[lines] = (begin - starts[text], starts[text + 1] - starts[text])
            lines += 1
            line_starts[lines] = count
            line_start = count
        folded_starts[text + 1] = size
        comparable_starts[text + 1] = count
        first_lines[text + 1] = lines
    return size, count, lines


@kernel
def _comparable_places(characters, table, expansions, places):  # type: ignore[no-untyped-def]
    count = 0
    for place in range(characters.shape[0]):
        entry = table[characters[place]]
        if entry & np.uint32(_SEVERAL):
            for point in expansions[entry & _POINT]:
                places[count] = place
                count += np.int64(point >> np.uint32(31))
        else:
            places[count] = place
            count += np.int64(entry >> np.uint32(31))
    return count
