"""Occurrences of the words of several lists in texts, overlapping ones too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np

from filters.kernels.compiling import inlined, kernel
from filters.kernels.text_batch import TextBatch

# Bits of the filter that says where no word begins; 8 KiB stay in the nearest cache.
_FILTER_BITS = 16


def search_words(text: str, words: Sequence[str]) -> tuple[int, int]:
    """The reference.

    Returns:
      how often a word of the list begins in a text, and how many different words do.
    """
    different = [word for word in dict.fromkeys(words) if word]
    hits = [_occurrences(text, word) for word in different]
    return sum(hits), sum(hit > 0 for hit in hits)


def _occurrences(text: str, word: str) -> int:
    return sum(text.startswith(word, place) for place in range(len(text) - len(word) + 1))


class WordIndex:
    """The kernel's form of some lists of words.

    Longer words are found by their first two characters: a filter of bits says for nearly all
    places that no word begins there, a hash table leads to the words that could, and these are
    compared character by character. Words of one character have a table of their own.

    Args:
      lists: name of each list -> its words, as they stand in the texts that are searched.
    """

    def __init__(self, lists: Mapping[str, Sequence[str]]) -> None:
        self.names = tuple(lists)
        entries = sorted(
            (_beginning(word), word, number)
            for number, words in enumerate(lists.values())
            for word in dict.fromkeys(words)
            if word
        )
        longer = [(word, number) for _, word, number in entries if len(word) > 1]
        single = [(word, number) for _, word, number in entries if len(word) == 1]
        self._longer = _longer_words(longer)
        self._single = _single_words(single)

    def search(self, titles: TextBatch, texts: TextBatch) -> tuple[np.ndarray, np.ndarray]:
        """Searches each title and its text as one document.

        Returns:
          int32 (lists, documents): how often words of each list begin; and how many different
          words do.
        """
        hits = np.zeros((len(self.names), len(texts)), np.int32)
        distinct = np.zeros((len(self.names), len(texts)), np.int32)
        batches = ((titles.characters, titles.starts), (texts.characters, texts.starts))
        if len(self._longer[-1]):
            _search_longer(*batches, *self._longer, hits, distinct)
        if len(self._single[-1]):
            _search_single(*batches, *self._single, hits, distinct)
        return hits, distinct


def _beginning(word: str) -> int:
    """The first two characters of a word as one number."""
    return ord(word[0]) << 32 | (ord(word[1]) if len(word) > 1 else 0)


def _single_words(words: Sequence[tuple[str, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tables for words of one character, sorted, each with the number of its list.

    Returns:
      int32 (0x110000,), the row of a character in the next table, 0 where it is no word; int32
      (rows, 2), its words; int32 (words,), the list of each.
    """
    rows = np.zeros(0x110000 if words else 0, np.int32)
    ranges = np.zeros((len(words) + 1, 2), np.int32)
    for number, (word, _) in enumerate(words):
        row = rows[ord(word)] or number + 1
        ranges[row, 0] = row - 1
        ranges[row, 1] = number + 1
        rows[ord(word)] = row
    return rows, ranges, np.array([number for _, number in words], np.int32)


def _longer_words(words: Sequence[tuple[str, int]]) -> tuple[np.ndarray, ...]:
    """Tables for longer words, sorted, each with the number of its list.

    Returns:
      the filter, uint8 (bytes,); beginnings by slot, uint64 (slots,), and the words with each,
      int32 (slots, 2), equal where the slot is empty; the characters of all words, uint32, and
      where each begins, int64 (words + 1,); int32 (words,), the list of each.
    """
    bits = np.zeros(1 << (_FILTER_BITS - 3), np.uint8)
    size = 1 << (4 * len(words) + 4).bit_length()
    keys = np.zeros(size, np.uint64)
    ranges = np.zeros((size, 2), np.int32)
    start = 0
    for beginning, group in groupby(words, lambda entry: _beginning(entry[0])):
        stop = start + sum(1 for _ in group)
        _enter(bits, keys, ranges, np.uint64(beginning), start, stop)
        start = stop
    points = np.array([ord(character) for word, _ in words for character in word], np.uint32)
    starts = np.cumsum([0, *(len(word) for word, _ in words)], dtype=np.int64)
    return bits, keys, ranges, points, starts, np.array([number for _, number in words], np.int32)


@inlined
def _spread(beginning):  # type: ignore[no-untyped-def]
    return beginning * np.uint64(0x9E37_79B9_7F4A_7C15)


@inlined
def _passes(bits, spread):  # type: ignore[no-untyped-def]
    """Whether the filter has the bit of a beginning."""
    bit = spread >> np.uint64(64 - _FILTER_BITS)
    return (bits[bit >> np.uint64(3)] >> np.uint8(bit & np.uint64(7))) & np.uint8(1)


@inlined
def _slot_of(keys, ranges, beginning, spread):  # type: ignore[no-untyped-def]
    """The table's slot of a beginning, or the empty one where it would be."""
    mask = np.uint64(keys.shape[0] - 1)
    slot = (spread >> np.uint64(20)) & mask
    while ranges[slot, 1] > 0 and keys[slot] != beginning:
        slot = (slot + np.uint64(1)) & mask
    return slot


@kernel
def _enter(bits, keys, ranges, beginning, start, stop):  # type: ignore[no-untyped-def]
    spread = _spread(beginning)
    bit = spread >> np.uint64(64 - _FILTER_BITS)
    bits[bit >> np.uint64(3)] |= np.uint8(1) << np.uint8(bit & np.uint64(7))
    slot = _slot_of(keys, ranges, beginning, spread)
    keys[slot] = beginning
    ranges[slot, 0] = start
    ranges[slot, 1] = stop


@kernel
def _search_longer(  # type: ignore[no-untyped-def]
    titles, texts, bits, keys, ranges, points, starts, lists, hits, distinct
):
    last_met = np.zeros(lists.shape[0], np.int64)  # 1 + the last document that has each word
    for document in range(texts[1].shape[0] - 1):
        for characters, bounds in (titles, texts):
            end = bounds[document + 1]
            for place in range(bounds[document], end - 1):
                beginning = np.uint64(characters[place]) << np.uint64(32)
                beginning |= np.uint64(characters[place + 1])
                spread = _spread(beginning)
                if not _passes(bits, spread):
                    continue
                slot = _slot_of(keys, ranges, beginning, spread)
                for word in range(ranges[slot, 0], ranges[slot, 1]):
                    length = starts[word + 1] - starts[word]
                    if place + length > end:
                        continue
                    index = np.int64(2)
                    while (
                        index < length and characters[place + index] == points[starts[word] + index]
                    ):
                        index += 1
                    if index == length:
                        hits[lists[word], document] += 1
                        if last_met[word] != document + 1:
                            last_met[word] = document + 1
                            distinct[lists[word], document] += 1


@kernel
def _search_single(titles, texts, rows, ranges, lists, hits, distinct):  # type: ignore[no-untyped-def]
    last_met = np.zeros(lists.shape[0], np.int64)
    for document in range(texts[1].shape[0] - 1):
        for characters, bounds in (titles, texts):
            for place in range(bounds[document], bounds[document + 1]):
                row = rows[characters[place]]
                if row == 0:
                    continue
                for word in range(ranges[row, 0], ranges[row, 1]):
                    hits[lists[word], document] += 1
                    if last_met[word] != document + 1:
                        last_met[word] = document + 1
                        distinct[lists[word], document] += 1
