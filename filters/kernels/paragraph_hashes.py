"""A key for each paragraph of a text, by which paragraphs that many pages share are found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from filters.kernels.compiling import kernel
from filters.kernels.folding import FoldedBatch
from filters.kernels.hashing import absorb, mix64

# Lines with fewer letters and digits come back by chance: dates, headings, 「是的。」.
LEAST_CHARACTERS = 10

_WORD = (1 << 64) - 1


def paragraph_hashes(lines: Sequence[str]) -> list[int]:
    """The reference: a 64-bit hash for each line of at least LEAST_CHARACTERS.

    Args:
      lines: folded lines, letters and digits only.
    """
    return [_hash(line) for line in lines if len(line) >= LEAST_CHARACTERS]


def _hash(line: str) -> int:
    state = 0
    for character in line:
        state = ((state ^ ord(character)) * 0xD6E8_FEB8_6659_FD93) & _WORD
    # SplitMix64's finalizer.
    state = (state + 0x9E37_79B9_7F4A_7C15) & _WORD
    state = ((state ^ (state >> 30)) * 0xBF58_476D_1CE4_E5B9) & _WORD
    state = ((state ^ (state >> 27)) * 0x94D0_49BB_1331_11EB) & _WORD
    return state ^ (state >> 31)


@dataclass(frozen=True)
class Paragraphs:
    """Lines of at least LEAST_CHARACTERS, of all texts of a batch.

    Attributes:
      hashes: uint64 (n,).
      letters: uint32 (n,), letters and digits in each.
      places: int32 (n, 2), where each begins and ends in its text.
      starts: int64 (texts + 1,): text i has the paragraphs starts[i] to starts[i + 1].
    """

    hashes: np.ndarray
    letters: np.ndarray
    places: np.ndarray
    starts: np.ndarray


def paragraphs_of(texts: FoldedBatch) -> Paragraphs:
    """The kernel."""
    letters = np.diff(texts.line_starts)
    numbers = np.flatnonzero(letters >= LEAST_CHARACTERS)
    hashes = np.empty(len(numbers), np.uint64)
    _hash_lines(texts.comparable.characters, texts.line_starts, numbers, hashes)
    return Paragraphs(
        hashes,
        letters[numbers].astype(np.uint32),
        texts.line_places[numbers],
        np.searchsorted(numbers, texts.first_lines).astype(np.int64),
    )


@kernel
def _hash_lines(characters, line_starts, numbers, hashes):  # type: ignore[no-untyped-def]
    for place in range(numbers.shape[0]):
        line = numbers[place]
        state = np.uint64(0)
        for character in characters[line_starts[line] : line_starts[line + 1]]:
            state = absorb(state, np.uint64(character))
        hashes[place] = mix64(state)
