"""Words as jieba finds them without its hidden Markov model: a likeliest way through a dictionary.

A stretch of Chinese characters, letters and digits is cut into words of the dictionary so that the
product of their frequencies is largest; a character that begins no word is a word of frequency one.
Neighbouring letters and digits that come out single are one word; every other character outside
such a stretch is a word of its own. `reference_words` is the specification, and equal to jieba
0.42.1, down to which of two equally likely ways is taken.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from filters.kernels.compiling import inlined, kernel
from filters.kernels.text_batch import TextBatch

_STRETCH = re.compile(r"([\u4E00-\u9FD5a-zA-Z0-9+#&._%-]+)")
_OTHER = re.compile(r"\r\n|.", re.DOTALL)

# What a character is: outside stretches, in them, or a letter or digit in them.
_APART, _IN_STRETCH, _ALPHANUMERIC = 0, 1, 2
_CODE_POINTS = 0x110000
_CODE_POINT_BITS = 21
_HASH_FACTOR = 0x9E37_79B9_7F4A_7C15


@dataclass(frozen=True)
class Dictionary:
    """Words and how often they were counted, at least once each."""

    frequencies: Mapping[str, int]

    @cached_property
    def total(self) -> float:
        """The logarithm of all counts together."""
        return math.log(sum(self.frequencies.values()))

    @cached_property
    def longest(self) -> int:
        """Characters of the longest word."""
        return max(map(len, self.frequencies))

    def logarithm(self, word: str) -> float:
        """That of a word's share of all counts; what is not in the dictionary counts once."""
        # By Python's own logarithm, as jieba takes it: numpy's may differ in the last bit.
        return math.log(self.frequencies.get(word, 1)) - self.total


def reference_words(text: str, dictionary: Dictionary) -> list[str]:
    """The words of a text; joined they are the text."""
    words: list[str] = []
    for index, piece in enumerate(_STRETCH.split(text)):
        if index % 2:
            words.extend(_likeliest_words(piece, dictionary))
        else:
            words.extend(_OTHER.findall(piece))
    return words


def _likeliest_words(stretch: str, dictionary: Dictionary) -> Iterator[str]:
    # From each place: the logarithm of the likeliest way to the end, and where its first word ends.
    best = [(0.0, 0)] * (len(stretch) + 1)
    for start in reversed(range(len(stretch))):
        ends = [
            end
            for end in range(start + 1, min(start + dictionary.longest, len(stretch)) + 1)
            if stretch[start:end] in dictionary.frequencies
        ]
        # Of equally likely ways the longer word.
        best[start] = max(
            (dictionary.logarithm(stretch[start:end]) + best[end][0], end)
            for end in ends or [start + 1]
        )
    start, joined = 0, ""
    while start < len(stretch):
        word = stretch[start : best[start][1]]
        start += len(word)
        if len(word) == 1 and word.isascii() and word.isalnum():
            joined += word
            continue
        if joined:
            yield joined
            joined = ""
        yield word
    if joined:
        yield joined


class Segmenter:
    """The kernel's form of a dictionary: a trie in a hash table.

    A node's number is one more than the slot of its key, which is made of its parent's number and
    its character; the root is 0.
    """

    def __init__(self, dictionary: Dictionary) -> None:
        words = TextBatch.from_strings(list(dictionary.frequencies))
        logarithms = [dictionary.logarithm(word) for word in dictionary.frequencies]
        # At most half full, so that a search ends soon; there are fewer nodes than characters.
        bits = max(4, (2 * len(words.characters)).bit_length())
        self._keys = np.zeros(1 << bits, np.uint64)
        self._logarithms = np.full(1 << bits, np.nan)
        _fill_trie(
            words.characters, words.starts, np.array(logarithms), self._keys, self._logarithms
        )
        self._of_unknown = -dictionary.total
        self._kinds = np.full(_CODE_POINTS, _APART, np.uint8)
        self._kinds[0x4E00:0x9FD6] = _IN_STRETCH
        self._kinds[[ord(character) for character in "+#&._%-"]] = _IN_STRETCH
        alphanumeric = [point for point in range(128) if chr(point).isalnum()]
        self._kinds[alphanumeric] = _ALPHANUMERIC

    def words(self, texts: TextBatch) -> tuple[TextBatch, np.ndarray]:
        """The words of texts, in order; joined they are the texts.

        Returns:
          A `TextBatch` of all words, and int64 (texts + 1,): the number of each text's first word.
        """
        starts = np.empty(len(texts.characters) + 1, np.int64)
        first_words = np.empty(len(texts) + 1, np.int64)
        longest = int(texts.lengths().max(initial=0))
        count = _cut(
            texts.characters,
            texts.starts,
            self._kinds,
            self._keys,
            self._logarithms,
            self._of_unknown,
            np.empty(longest + 1, np.float64),
            np.empty(longest + 1, np.int64),
            starts,
            first_words,
        )
        return TextBatch(texts.characters, starts[: count + 1]), first_words


@kernel
def _fill_trie(characters, starts, word_logarithms, keys, logarithms):  # type: ignore[no-untyped-def]
    """Adds words to an empty trie: `Segmenter` says what keys and logarithms are."""
    for word in range(starts.shape[0] - 1):
        node = 0
        for place in range(starts[word], starts[word + 1]):
            key = _key(node, characters[place])
            slot = _find(keys, key)
            keys[slot] = key
            node = slot + 1
        if node:
            logarithms[node - 1] = word_logarithms[word]


@kernel
def _cut(  # type: ignore[no-untyped-def]
    characters,
    starts,
    kinds,
    keys,
    logarithms,
    of_unknown,
    best,
    best_ends,
    word_starts,
    first_words,
):
    """`reference_words` of each text; returns the number of words.

    Args:
      characters, starts: of a `TextBatch`.
      kinds: uint8 (0x110000,) of each code point.
      keys: uint64, logarithms: float64, of a `Segmenter`.
      best, best_ends: float64 and int64, room for the longest text and one more.
      word_starts: int64 (characters + 1,); receives where words begin, and where the last ends.
      first_words: int64 (texts + 1,); receives the number of each text's first word.
    """
    count = 0
    first_words[0] = 0
    for text in range(starts.shape[0] - 1):
        place = starts[text]
        end = starts[text + 1]
        while place < end:
            if kinds[characters[place]] == _APART:
                word_starts[count] = place
                count += 1
                is_line_end = characters[place] == 13 and place + 1 < end  # \r, perhaps \n
                place += 2 if is_line_end and characters[place + 1] == 10 else 1
                continue
            start = place
            while place < end and kinds[characters[place]] != _APART:
                place += 1
            _find_best(characters, start, place, keys, logarithms, of_unknown, best, best_ends)
            count = _write_words(characters, start, place, kinds, best_ends, word_starts, count)
        first_words[text + 1] = count
    word_starts[count] = characters.shape[0]
    return count


@inlined
def _find_best(characters, start, end, keys, logarithms, of_unknown, best, best_ends):  # type: ignore[no-untyped-def]
    """From each place of a stretch: the likeliest way on, and where its first word ends."""
    best[end - start] = 0.0
    for place in range(end - 1, start - 1, -1):
        offset = place - start
        found = False
        node = 0
        for last in range(place, end):
            key = _key(node, characters[last])
            slot = _find(keys, key)
            if keys[slot] == 0:
                break
            node = slot + 1
            # No number where no word ends, only the beginning of one.
            logarithm = logarithms[slot]
            if logarithm == logarithm:
                value = logarithm + best[last + 1 - start]
                if not found or value >= best[offset]:
                    best[offset] = value
                    best_ends[offset] = last + 1
                    found = True
        if not found:
            best[offset] = of_unknown + best[offset + 1]
            best_ends[offset] = place + 1


@inlined
def _write_words(characters, start, end, kinds, best_ends, word_starts, count):  # type: ignore[no-untyped-def]
    """Writes where the words of a stretch begin; returns the number of words so far."""
    place = start
    joining = False
    while place < end:
        after = best_ends[place - start]
        is_single = after == place + 1 and kinds[characters[place]] == _ALPHANUMERIC
        if not (is_single and joining):
            word_starts[count] = place
            count += 1
        joining = is_single
        place = after
    return count


@inlined
def _key(node, character):  # type: ignore[no-untyped-def]
    """Of the child of a node by a character; never 0."""
    return np.uint64(node + 1) << np.uint64(_CODE_POINT_BITS) | np.uint64(character)


@inlined
def _find(keys, key):  # type: ignore[no-untyped-def]
    """The slot of a key, or the empty one where it belongs."""
    mask = keys.shape[0] - 1
    mixed = key * np.uint64(_HASH_FACTOR)
    slot = np.int64(mixed >> np.uint64(32)) & mask
    while keys[slot] != 0 and keys[slot] != key:
        slot = (slot + 1) & mask
    return slot
