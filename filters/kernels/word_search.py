"""Occurrences of the words of several lists in texts, overlapping ones too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np

from filters.kernels.compiling import inlined, kernel
from filters.kernels.text_batch import TextBatch

# Stands for the second character of a word that has only one.
_NONE = 0xFFFF_FFFF
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

    Words are found by their first two characters (by the only one of shorter words): a filter of
    bits says for nearly all places that no word begins there, a hash table leads to those that
    could, and these are compared character by character.

    Args:
      lists: name of each list -> its words, as they stand in the texts that are searched.
    """

    def __init__(self, lists: Mapping[str, Sequence[str]]) -> None:
        self.names = tuple(lists)
        entries = [
            (word, number)
            for number, words in enumerate(lists.values())
            for word in dict.fromkeys(words)
            if word
        ]
        entries.sort(key=lambda entry: (_beginning(entry[0]), entry))
        self._lists = np.array([number for _, number in entries], np.int32)
        self._ends = np.cumsum([0, *(len(word) for word, _ in entries)], dtype=np.int64)
        self._points = np.array([ord(c) for word, _ in entries for c in word], np.uint32)
        self._has_single = any(len(word) == 1 for word, _ in entries)
        size = 1 << (4 * len(entries) + 4).bit_length()
        self._filter = np.zeros(1 << (_FILTER_BITS - 3), np.uint8)
        self._keys = np.zeros(size, np.uint64)
        # The first word with this beginning, and the one behind the last; equal where empty.
        self._ranges = np.zeros((size, 2), np.int32)
        start = 0
        for beginning, group in groupby(entries, lambda entry: _beginning(entry[0])):
            stop = start + sum(1 for _ in group)
            _enter(self._filter, self._keys, self._ranges, np.uint64(beginning), start, stop)
            start = stop

    def search(self, titles: TextBatch, texts: TextBatch) -> tuple[np.ndarray, np.ndarray]:
        """Searches each title and its text as one document.

        Returns:
          int32 (lists, documents): how often words of each list begin; and how many different
          words do.
        """
        hits = np.zeros((len(self.names), len(texts)), np.int32)
        distinct = np.zeros((len(self.names), len(texts)), np.int32)
        if len(self._lists):
            _search(
                (titles.characters, titles.starts),
                (texts.characters, texts.starts),
                self._filter,
                self._keys,
                self._ranges,
                self._lists,
                self._ends,
                self._points,
                self._has_single,
                hits,
                distinct,
            )
        return hits, distinct


def _beginning(word: str) -> int:
    """The first two characters of a word as one number."""
    return ord(word[0]) << 32 | (ord(word[1]) if len(word) > 1 else _NONE)


@inlined
def _spread(beginning):  # type: ignore[no-untyped-def]
    return beginning * np.uint64(0x9E37_79B9_7F4A_7C15)


@inlined
def _filter_bit(spread):  # type: ignore[no-untyped-def]
    return np.int64(spread >> np.uint64(64 - _FILTER_BITS))


@inlined
def _slot_of(keys, ranges, beginning, spread):  # type: ignore[no-untyped-def]
    """The table's slot of a beginning, or the empty one where it would be."""
    mask = np.int64(keys.shape[0] - 1)
    slot = np.int64(spread >> np.uint64(20)) & mask
    while ranges[slot, 1] > 0 and keys[slot] != beginning:
        slot = (slot + 1) & mask
    return slot


@kernel
def _enter(bits, keys, ranges, beginning, start, stop):  # type: ignore[no-untyped-def]
    spread = _spread(beginning)
    bit = _filter_bit(spread)
    bits[bit >> 3] |= np.uint8(1 << (bit & 7))
    slot = _slot_of(keys, ranges, beginning, spread)
    keys[slot] = beginning
    ranges[slot, 0] = start
    ranges[slot, 1] = stop


@kernel
def _search(  # type: ignore[no-untyped-def]
    titles, texts, bits, keys, ranges, lists, ends, points, has_single, hits, distinct
):
    last_met = np.zeros(lists.shape[0], np.int64)  # 1 + the last document that has each word
    for document in range(texts[1].shape[0] - 1):
        for batch in (titles, texts):
            characters, starts = batch
            end = starts[document + 1]
            for place in range(starts[document], end):
                first = np.uint64(characters[place]) << np.uint64(32)
                # A pair at the end takes the character itself: no word has that beginning by
                # chance, since words are compared within the text.
                following = min(place + 1, end - 1)
                beginning = first | np.uint64(characters[following])
                spread = _spread(beginning)
                bit = _filter_bit(spread)
                if (bits[bit >> 3] >> (bit & 7)) & 1:
                    slot = _slot_of(keys, ranges, beginning, spread)
                    for word in range(ranges[slot, 0], ranges[slot, 1]):
                        start = ends[word]
                        length = ends[word + 1] - start
                        index = np.int64(2)
                        if place + length <= end:
                            while (
                                index < length
                                and characters[place + index] == points[start + index]
                            ):
                                index += 1
                            if index == length:
                                hits[lists[word], document] += 1
                                if last_met[word] != document + 1:
                                    last_met[word] = document + 1
                                    distinct[lists[word], document] += 1
                if has_single:
                    beginning = first | np.uint64(_NONE)
                    spread = _spread(beginning)
                    bit = _filter_bit(spread)
                    if (bits[bit >> 3] >> (bit & 7)) & 1:
                        slot = _slot_of(keys, ranges, beginning, spread)
                        for word in range(ranges[slot, 0], ranges[slot, 1]):
                            hits[lists[word], document] += 1
                            if last_met[word] != document + 1:
                                last_met[word] = document + 1
                                distinct[lists[word], document] += 1
