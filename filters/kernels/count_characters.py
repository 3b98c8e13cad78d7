"""How many hanzi a text has, and how many characters of a chosen set."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import numpy as np

from filters.kernels import code_points
from filters.kernels.compiling import kernel
from filters.kernels.text_batch import TextBatch

# Of all planes, with 々〆〇.
HANZI = "[\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323ff]"


@dataclass(frozen=True)
class Counts:
    """Counts of one text."""

    hanzi: int
    chosen: int


@dataclass(frozen=True)
class BatchCounts:
    """Counts of n texts.

    Attributes:
      hanzi: int32 (n,).
      chosen: int32 (n,).
    """

    hanzi: np.ndarray
    chosen: np.ndarray


def count_in_text(text: str, chosen: frozenset[str]) -> Counts:
    """The reference: counts of one text."""
    return Counts(len(re.findall(HANZI, text)), sum(map(chosen.__contains__, text)))


def count_in_batch(texts: TextBatch, chosen: frozenset[str]) -> BatchCounts:
    """`count_in_text` of each text."""
    hanzi = np.empty(len(texts), np.int32)
    others = np.empty(len(texts), np.int32)
    _count(texts.characters, texts.starts, _kinds(chosen), hanzi, others)
    return BatchCounts(hanzi, others)


# Kinds of characters, as bits.
_IS_HANZI, _IS_CHOSEN = 1, 2


@cache
def _kinds(chosen: frozenset[str]) -> np.ndarray:
    """Kinds of each code point: uint8 (0x110000,)."""
    kinds = np.zeros(code_points.COUNT, np.uint8)
    kinds[code_points.matching(HANZI)] |= _IS_HANZI
    kinds[[ord(character) for character in chosen]] |= _IS_CHOSEN
    return kinds


@kernel
def _count(characters, starts, kinds, hanzi, chosen):  # type: ignore[no-untyped-def]
    """Writes the counts of each text."""
    for text in range(starts.shape[0] - 1):
        hanzi_here = 0
        chosen_here = 0
        for character in characters[starts[text] : starts[text + 1]]:
            kind = kinds[character]
            hanzi_here += kind & _IS_HANZI
            chosen_here += kind >> 1
        hanzi[text] = hanzi_here
        chosen[text] = chosen_here
