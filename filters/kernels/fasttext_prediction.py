"""What fastText's softmax of two labels gives a text, as a sum of one number for each feature.

fastText averages the embeddings of a line's words and n-grams, multiplies the average by the rows
of the two labels, and takes the softmax. All of that is linear up to the last step, so the
products are taken once for each row of the model (`fold_rows`), and a text costs one number read
for each feature, whatever the dimension. `reference_score` is the specification; the kernels that
equal it are those of `fasttext_characters` and `fasttext_words`, and what both need is here.

The details are those of fastText's dictionary.cc and fasttext.cc (release 0.9.2):

- a word's hash is FNV-1a over its UTF-8 bytes, each sign-extended, in 32 bits;
- `</s>` ends a line and is a word like any other;
- an n-gram's hash starts as that of its first word, sign-extended to 64 bits, and takes in each
  further one by `hash * 116049371 + next`; its row is the hash modulo the number of buckets;
- n-grams of 2 to `ngrams` words, in which unknown words count too;
- the average is over all features that have a row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from filters.kernels.compiling import inlined, kernel

_END_OF_LINE = "</s>"
CODE_POINTS = 0x110000
HASH_OF_NOTHING, _HASH_FACTOR = 2_166_136_261, 16_777_619
_NGRAM_FACTOR = 116_049_371


@dataclass(frozen=True)
class FoldedModel:
    """A model of two labels, folded.

    Attributes:
      words: the vocabulary, in order of its rows.
      word_weights: float32 (words,).
      ngram_weights: float32 (buckets,); n-grams share them by hash.
      ngrams: words in the longest n-gram.
    """

    words: tuple[str, ...]
    word_weights: np.ndarray
    ngram_weights: np.ndarray
    ngrams: int

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row of each word."""
        return {word: row for row, word in enumerate(self.words)}

    @property
    def end_of_line(self) -> tuple[int, float, bool]:
        """Hash and weight of the word that ends a line, and whether it has a row."""
        row = self.rows.get(_END_OF_LINE)
        weight = 0.0 if row is None else float(self.word_weights[row])
        return word_hash(_END_OF_LINE), weight, row is not None


def reference_score(words: Sequence[str], model: FoldedModel) -> float:
    """The probability of the folded label for a line of words.

    Returns:
      0 to 1; 0.5 where no feature has a row.
    """
    line = [*words, _END_OF_LINE]
    weights = [float(model.word_weights[model.rows[word]]) for word in line if word in model.rows]
    hashes = [word_hash(word) for word in line]
    for start in range(len(hashes)):
        state = _sign_extended(hashes[start])
        for following in hashes[start + 1 : start + model.ngrams]:
            state = (state * _NGRAM_FACTOR + _sign_extended(following)) % 2**64
            weights.append(float(model.ngram_weights[state % len(model.ngram_weights)]))
    if not weights:
        return 0.5
    return 1 / (1 + math.exp(-max(-700.0, sum(weights) / len(weights))))


def word_hash(word: str) -> int:
    """FNV-1a in 32 bits over the sign-extended bytes of a word."""
    state = HASH_OF_NOTHING
    for byte in word.encode():
        extended = byte if byte < 0x80 else byte | 0xFFFF_FF00
        state = (state ^ extended) * _HASH_FACTOR % 2**32
    return state


def _sign_extended(value: int) -> int:
    """A signed 32-bit number as an unsigned one of 64 bits."""
    return value if value < 2**31 else value + 2**64 - 2**32


def fold_rows(rows: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """The product of each row with one vector, summed in the same order on every machine.

    Args:
      rows: float32 (n, dimension).
      direction: float32 (dimension,): the label's row less that of the other label.

    Returns:
      float32 (n,).
    """
    rows = np.ascontiguousarray(rows, np.float32).view()
    rows.flags.writeable = False  # as in a file's content: one type, compiled once
    folded = np.empty(len(rows), np.float32)
    _fold_rows(rows, np.array(direction, np.float64), folded)
    return folded


@cache
def white_space() -> np.ndarray:
    """Which characters part words: those of `str.isspace`, and NUL, which does so for fastText.

    Returns:
      bool (0x110000,), by code point, read-only.
    """
    spaces = np.zeros(CODE_POINTS, bool)
    # None lies above U+3000.
    spaces[:0x3001] = [chr(point).isspace() or point == 0 for point in range(0x3001)]
    spaces.flags.writeable = False
    return spaces


@inlined
def sum_ngrams(line, length, weights, ngrams):  # type: ignore[no-untyped-def]
    """(sum of the weights of all n-grams of 2 words and more, their number)."""
    factor = np.uint64(_NGRAM_FACTOR)
    buckets = np.uint64(weights.shape[0])
    total = 0.0
    count = 0
    if buckets == 0:
        return total, count
    # A power of two needs no division, which would take most of the time.
    mask = buckets - np.uint64(1)
    by_mask = buckets & mask == 0
    # One length after the other: loops of one step, which a processor overlaps.
    states = line[:length].copy()
    for further in range(1, min(ngrams, length)):
        for first in range(length - further):
            state = states[first] * factor + line[first + further]
            states[first] = state
            total += weights[state & mask if by_mask else state % buckets]
        count += length - further
    return total, count


@inlined
def extend_sign(value):  # type: ignore[no-untyped-def]
    """A uint32 read as a signed number, as uint64."""
    return np.uint64(np.int64(np.int32(value)))


@inlined
def probability(total, count):  # type: ignore[no-untyped-def]
    """The softmax of two labels from the sum of a text's weights."""
    return 1.0 / (1.0 + np.exp(-total / count)) if count else 0.5


@kernel
def _fold_rows(rows, direction, folded):  # type: ignore[no-untyped-def]
    for row in range(rows.shape[0]):
        total = 0.0
        for column in range(rows.shape[1]):
            total += rows[row, column] * direction[column]
        folded[row] = total


@inlined
def hash_stretch(characters, start, end):  # type: ignore[no-untyped-def]
    """`word_hash` of a stretch of characters."""
    state = np.uint32(HASH_OF_NOTHING)
    for place in range(start, end):
        state = take_character(state, characters[place])
    return state


@inlined
def take_character(state, point):  # type: ignore[no-untyped-def]
    """The hash after the UTF-8 bytes of one more character."""
    tail = np.uint32(0x3F)
    if point < 0x80:
        return _take_byte(state, point)
    if point < 0x800:
        state = _take_byte(state, 0xC0 | point >> np.uint32(6))
    elif point < 0x10000:
        state = _take_byte(state, 0xE0 | point >> np.uint32(12))
        state = _take_byte(state, 0x80 | point >> np.uint32(6) & tail)
    else:
        state = _take_byte(state, 0xF0 | point >> np.uint32(18))
        state = _take_byte(state, 0x80 | point >> np.uint32(12) & tail)
        state = _take_byte(state, 0x80 | point >> np.uint32(6) & tail)
    return _take_byte(state, 0x80 | point & tail)


@inlined
def _take_byte(state, byte):  # type: ignore[no-untyped-def]
    extended = np.uint32(byte) if byte < 0x80 else np.uint32(byte) | np.uint32(0xFFFF_FF00)
    return np.uint32((state ^ extended) * np.uint32(_HASH_FACTOR))
