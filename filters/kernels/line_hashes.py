"""A hash of each line, by which a sample is drawn that no order or batch changes."""

from __future__ import annotations

import numpy as np

from filters.kernels.compiling import kernel
from filters.kernels.hashing import absorb, mix64
from filters.kernels.text_batch import TextBatch

_WORD = (1 << 64) - 1


def line_hash(line: str) -> int:
    """The reference: a running product over the code points, then SplitMix64's finalizer."""
    state = 0
    for character in line:
        state = ((state ^ ord(character)) * 0xD6E8_FEB8_6659_FD93) & _WORD
    state = (state + 0x9E37_79B9_7F4A_7C15) & _WORD
    state = ((state ^ (state >> 30)) * 0xBF58_476D_1CE4_E5B9) & _WORD
    state = ((state ^ (state >> 27)) * 0x94D0_49BB_1331_11EB) & _WORD
    return state ^ (state >> 31)


def line_hashes(lines: TextBatch, numbers: np.ndarray) -> np.ndarray:
    """`line_hash` of some lines: uint64 (m,).

    Args:
      lines: n lines.
      numbers: int64 (m,), which of them.
    """
    hashes = np.empty(len(numbers), np.uint64)
    _hash(lines.characters, lines.starts, numbers, hashes)
    return hashes


@kernel
def _hash(characters, starts, numbers, hashes):  # type: ignore[no-untyped-def]
    """Writes the hash of each line that is named."""
    for place in range(numbers.shape[0]):
        line = numbers[place]
        state = np.uint64(0)
        for character in characters[starts[line] : starts[line + 1]]:
            state = absorb(state, np.uint64(character))
        hashes[place] = mix64(state)
