"""A key for each paragraph of a text, by which paragraphs that many pages share are found."""

from __future__ import annotations

from collections.abc import Sequence

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


def paragraph_hashes_of(texts: FoldedBatch) -> tuple[np.ndarray, np.ndarray]:
    """The kernel.

    Returns:
      hashes uint64 (n,), and starts int64 (texts + 1,): text i has hashes[starts[i]:starts[i + 1]].
    """
    hashes = np.empty(len(texts.line_starts) - 1, np.uint64)
    starts = np.zeros(len(texts.first_lines), np.int64)
    count = _hash_lines(
        texts.comparable.characters, texts.line_starts, texts.first_lines, hashes, starts
    )
    return hashes[:count], starts


@kernel
def _hash_lines(characters, line_starts, first_lines, hashes, starts):  # type: ignore[no-untyped-def]
    count = 0
    for text in range(first_lines.shape[0] - 1):
        for line in range(first_lines[text], first_lines[text + 1]):
            if line_starts[line + 1] - line_starts[line] < LEAST_CHARACTERS:
                continue
            state = np.uint64(0)
            for place in range(line_starts[line], line_starts[line + 1]):
                state = absorb(state, np.uint64(characters[place]))
            hashes[count] = mix64(state)
            count += 1
        starts[text + 1] = count
    return count
