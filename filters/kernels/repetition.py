"""Runs of characters that repeat: Gopher's n-gram shares, on visible characters.

Gopher (Rae et al. 2021, appendix A1.1) measures words; Chinese has no spaces between them, and a
word is one or two characters, so n characters are counted as n. White space is left out first.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from filters.kernels.character_classes import LINE_BREAK, class_table
from filters.kernels.compiling import kernel
from filters.kernels.hashing import absorb
from filters.kernels.text_batch import TextBatch

TOP_LENGTHS = (2, 3, 4)
DUPLICATE_LENGTHS = (5, 6, 7, 8, 9, 10, 13)
LENGTHS = TOP_LENGTHS + DUPLICATE_LENGTHS
# Of a longer text only so many visible characters are looked at, its first ones: a book would
# otherwise look repetitive only because it is long, and the tables would leave the caches.
MOST_CHARACTERS = 1 << 18

# An entry of the table: 41 bits of an n-gram's hash, whether it was passed, how often it occurs.
_COUNT_BITS = 22
_COUNT = np.uint64((1 << _COUNT_BITS) - 1)
_PASSED = np.uint64(1 << _COUNT_BITS)
_ONE = np.uint64(1)
_KEY = ~(_COUNT | _PASSED)


def repetition(text: str) -> list[float]:
    """The reference: a share for each of LENGTHS, 0 where the text is shorter than that.

    For TOP_LENGTHS, the share of characters in the most frequent n-gram: n × its occurrences ÷
    characters, at most 1 (occurrences may overlap). For DUPLICATE_LENGTHS, the share of characters
    in n-grams that occurred before, going through the text from its start and jumping over each
    one that did, so that no character counts twice.
    """
    visible = "".join(text.split())[:MOST_CHARACTERS]
    return [
        _top_share(visible, n) if n in TOP_LENGTHS else _duplicate_share(visible, n)
        for n in LENGTHS
    ]


def _top_share(visible: str, n: int) -> float:
    if len(visible) < n:
        return 0.0
    counts = Counter(visible[place : place + n] for place in range(len(visible) - n + 1))
    return min(1.0, n * max(counts.values()) / len(visible))


def _duplicate_share(visible: str, n: int) -> float:
    seen: set[str] = set()
    duplicate = 0
    place = 0
    while place <= len(visible) - n:
        piece = visible[place : place + n]
        if piece in seen:
            duplicate += n
            place += n
        else:
            seen.add(piece)
            place += 1
    return duplicate / len(visible) if duplicate else 0.0


class Repetition:
    """The kernel, with the scratch memory that it keeps between batches; for one thread.

    An n-gram can repeat only where both of its (n−1)-grams do, so each length looks only at the
    places that the one before left over; in ordinary text few remain after three or four.
    """

    def __init__(self) -> None:
        self._most = 0

    def measure(self, texts: TextBatch) -> np.ndarray:
        """A share for each of LENGTHS: float64 (texts, len(LENGTHS))."""
        self._grow(min(MOST_CHARACTERS, int(texts.lengths().max(initial=0))))
        shares = np.zeros((len(texts), len(LENGTHS)), np.float64)
        _measure(
            texts.characters,
            texts.starts,
            class_table(),
            self._visible,
            self._places,
            self._hashes,
            self._slots,
            self._table,
            shares,
        )
        return shares

    def _grow(self, characters: int) -> None:
        if characters <= self._most and self._most:
            return
        self._most = max(characters, 4096)
        self._visible = np.empty(self._most, np.uint32)
        self._places = np.empty(self._most, np.uint32)
        self._hashes = np.empty(self._most, np.uint64)
        self._slots = np.empty(self._most, np.uint32)
        self._table = np.empty(1 << (4 * self._most).bit_length(), np.uint64)


@kernel
def _measure(  # type: ignore[no-untyped-def]
    characters, starts, classes, visible, places, hashes, slots, table, shares
):
    for text in range(starts.shape[0] - 1):
        length = 0
        for place in range(starts[text], starts[text + 1]):
            if length == MOST_CHARACTERS:
                break
            visible[length] = characters[place]
            length += np.int64(classes[characters[place]] > LINE_BREAK)
        if length < 2:
            continue
        for place in range(length - 1):
            places[place] = place
            hashes[place] = absorb(np.uint64(0), np.uint64(visible[place]))
        left = length - 1
        row = shares[text]
        for n in range(2, 14):
            most = _count_ngrams(visible, n, left, places, hashes, slots, table)
            if n <= 4:
                row[n - 2] = min(1.0, n * np.int64(most) / length) if length >= n else 0.0
            elif n <= 10:
                row[n - 2] = _duplicates(n, left, places, slots, table) / length
            elif n == 13:
                row[9] = _duplicates(n, left, places, slots, table) / length
            left = _still_repeating(left, length - n - 1, places, hashes, slots, table)
            if left == 0 and n >= 4:
                break


@kernel
def _count_ngrams(visible, n, left, places, hashes, slots, table):  # type: ignore[no-untyped-def]
    """Counts the n-grams at the places that are left; notes where in the table each one is.

    Returns:
      the count of the most frequent one, 1 where no place is left.
    """
    bits = 4
    while (1 << bits) < 4 * left:
        bits += 1
    table[: 1 << bits] = 0
    # Unsigned indices: numba need not ask whether they count from the end.
    mask = np.uint64((1 << bits) - 1)
    shift = np.uint64(64 - bits)
    most = _ONE
    for index in range(left):
        state = absorb(hashes[index], np.uint64(visible[places[index] + np.uint32(n - 1)]))
        hashes[index] = state
        slot = (state * np.uint64(0x9E37_79B9_7F4A_7C15)) >> shift
        key = state & _KEY
        entry = table[slot]
        while entry != 0 and entry & _KEY != key:
            slot = (slot + np.uint64(1)) & mask
            entry = table[slot]
        count = (entry & _COUNT) + _ONE
        table[slot] = key | count
        slots[index] = slot
        most = max(most, count)
    return most


@kernel
def _duplicates(n, left, places, slots, table):  # type: ignore[no-untyped-def]
    """Characters in n-grams that occurred before, none counted twice."""
    duplicate = 0
    free = 0
    for index in range(left):
        entry = table[slots[index]]
        if entry & _COUNT > _ONE and places[index] >= free:
            if entry & _PASSED:
                duplicate += n
                free = places[index] + n
            else:
                table[slots[index]] = entry | _PASSED
    return duplicate


@kernel
def _still_repeating(left, last, places, hashes, slots, table):  # type: ignore[no-untyped-def]
    """Keeps the places where an n-gram one longer could repeat; returns how many.

    Args:
      last: last place with room for it.
    """
    kept = 0
    for index in range(left):
        place = places[index]
        following = min(index + 1, left - 1)
        repeats = (
            (table[slots[index]] & _COUNT > _ONE)
            & (place <= last)
            & (places[following] == place + np.uint32(1))
            & (table[slots[following]] & _COUNT > _ONE)
        )
        places[kept] = place
        hashes[kept] = hashes[index]
        kept += np.int64(repeats)
    return kept
