"""Where texts hold runs of n characters (n-grams) that known texts hold too.

The hash of a run rolls from place to place; what it leads to is compared character by character,
so nothing is ever found by a coincidence of hashes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from filters.kernels.compiling import inlined, kernel
from filters.kernels.text_batch import TextBatch

# Bits of the filter for each n-gram: one place in about so many passes it by chance.
_FILTER_BITS = 16
_BLOCK = 1024
# The hash is a polynomial in this, modulo 2^64; its upper bits are spread once more before use.
_BASE = 0x9E37_79B9_7F4A_7C15


def number_ngrams(texts: Sequence[str], length: int) -> dict[str, int]:
    """The reference of `NgramIndex`: distinct n-grams, numbered in the order of appearance."""
    every = (
        text[place : place + length] for text in texts for place in range(len(text) - length + 1)
    )
    return {ngram: number for number, ngram in enumerate(dict.fromkeys(every))}


def find_ngrams(text: str, numbers: Mapping[str, int], length: int) -> list[tuple[int, int]]:
    """The reference of `NgramIndex.search`: (place, number) of each known n-gram of a text."""
    found = ((place, numbers.get(text[place : place + length])) for place in range(len(text)))
    return [(place, number) for place, number in found if number is not None]


class NgramIndex:
    """The n-grams of known texts.

    Args:
      texts: that are known; numbers of their n-grams follow the order of appearance.
      length: characters of an n-gram, at least 1.

    Attributes:
      numbers: int32 (characters,), the number of the n-gram that begins at each place of the
        known texts, -1 where none does.
      count: of different n-grams.
    """

    def __init__(self, texts: TextBatch, length: int) -> None:
        self.length = length
        self._known = texts.characters
        most = int(np.maximum(texts.lengths() - (length - 1), 0).sum())
        self._slots = np.zeros(1 << max(4, (2 * most).bit_length()), np.int32)
        self._firsts = np.empty(most, np.int32)
        self._filter = np.zeros(1 << max(4, (most * _FILTER_BITS // 8).bit_length()), np.uint8)
        self.numbers = np.full(len(texts.characters), -1, np.int32)
        self.count = int(
            _enter_all(
                texts.characters,
                texts.starts,
                length,
                self._slots,
                self._firsts,
                self._filter,
                self.numbers,
            )
        )

    def search(self, texts: TextBatch) -> tuple[np.ndarray, np.ndarray]:
        """Finds the known n-grams of some texts.

        Returns:
          int64 (hits,), ascending places among the texts' characters at which one begins; int32
          (hits,), its number.
        """
        places = np.empty(len(texts.characters), np.int64)
        numbers = np.empty(len(texts.characters), np.int32)
        hits = _search(
            texts.characters,
            texts.starts,
            self.length,
            self._known,
            self._slots,
            self._firsts,
            self._filter,
            places,
            numbers,
        )
        return places[:hits].copy(), numbers[:hits].copy()


@inlined
def _power(length):  # type: ignore[no-untyped-def]
    """What the hash multiplies the character with that leaves it: the base to the length."""
    power = np.uint64(1)
    for _ in range(length):
        power *= np.uint64(_BASE)
    return power


@inlined
def _spread(state):  # type: ignore[no-untyped-def]
    """A hash whose upper bits are good ones."""
    state ^= state >> np.uint64(32)
    return state * np.uint64(0xD6E8_FEB8_6659_FD93)


@inlined
def _upper(spread, size):  # type: ignore[no-untyped-def]
    """A place in a table whose size is a power of two."""
    return np.int64((spread >> np.uint64(24)) & np.uint64(size - 1))


@inlined
def _is_equal(characters, place, known, first, length):  # type: ignore[no-untyped-def]
    index = 0
    while index < length and characters[place + index] == known[first + index]:
        index += 1
    return index == length


@inlined
def _slot_of(characters, place, length, known, slots, firsts, spread):  # type: ignore[no-untyped-def]
    """The slot of the n-gram at a place, or the empty one where it would be."""
    slot = _upper(spread, slots.shape[0])
    while slots[slot] > 0 and not _is_equal(
        characters, place, known, firsts[slots[slot] - 1], length
    ):
        slot = (slot + 1) & (slots.shape[0] - 1)
    return slot


@kernel
def _enter_all(characters, starts, length, slots, firsts, bits, numbers):  # type: ignore[no-untyped-def]
    """Numbers every n-gram; returns how many different ones there are."""
    power = _power(length)
    count = 0
    for text in range(starts.shape[0] - 1):
        state = np.uint64(0)
        for end in range(starts[text], starts[text + 1]):
            state = state * np.uint64(_BASE) + np.uint64(characters[end])
            place = end - length + 1
            if place < starts[text]:
                continue
            if place > starts[text]:
                state -= power * np.uint64(characters[place - 1])
            spread = _spread(state)
            slot = _slot_of(characters, place, length, characters, slots, firsts, spread)
            if slots[slot] == 0:
                firsts[count] = place
                count += 1
                slots[slot] = count
                bit = spread >> np.uint64(61)
                bits[_upper(spread, bits.shape[0])] |= np.uint8(1) << np.uint8(bit)
            numbers[place] = slots[slot] - 1
    return count


@kernel
def _search(  # type: ignore[no-untyped-def]
    characters, starts, length, known, slots, firsts, bits, places, numbers
):
    power = _power(length - 1)
    hits = 0
    passed = np.empty(_BLOCK, np.int64)
    spreads = np.empty(_BLOCK, np.uint64)
    for text in range(starts.shape[0] - 1):
        state = np.uint64(0)
        for end in range(starts[text], min(starts[text] + length - 1, starts[text + 1])):
            state = state * np.uint64(_BASE) + np.uint64(characters[end])
        block = starts[text]
        stop = starts[text + 1] - length + 1
        while block < stop:
            count = 0
            for place in range(block, min(block + _BLOCK, stop)):
                state = state * np.uint64(_BASE) + np.uint64(characters[place + length - 1])
                spread = _spread(state)
                state -= power * np.uint64(characters[place])
                passed[count] = place
                spreads[count] = spread
                bit = np.uint8(spread >> np.uint64(61))
                count += np.int64((bits[_upper(spread, bits.shape[0])] >> bit) & np.uint8(1))
            for candidate in range(count):
                place = passed[candidate]
                spread = spreads[candidate]
                slot = _slot_of(characters, place, length, known, slots, firsts, spread)
                if slots[slot] > 0:
                    places[hits] = place
                    numbers[hits] = slots[slot] - 1
                    hits += 1
            block += _BLOCK
    return hits
