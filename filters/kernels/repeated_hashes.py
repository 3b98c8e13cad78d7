"""Which of very many hashes may come more than once: most do not and need not be sorted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from filters.kernels.compiling import kernel

# Places for each hash: of those that come once, one in SLOTS to one in 2 × SLOTS share a place.
SLOTS = 8


def repeated_hashes(hashes: Sequence[int]) -> list[bool]:
    """The reference: whether each hash comes more than once.

    The kernel may also say so of a hash that does not, never the other way round.
    """
    counts = Counter(hashes)
    return [counts[value] > 1 for value in hashes]


def may_be_repeated(hashes: np.ndarray) -> np.ndarray:
    """The kernel.

    Args:
      hashes: uint64 (n,), each bit as good as any other.

    Returns:
      bool (n,).
    """
    bits = max(3, (SLOTS * len(hashes)).bit_length())
    seen = np.zeros(1 << bits, np.uint8)
    found = np.empty(len(hashes), np.bool_)
    _look_up(hashes, seen, np.uint64(64 - bits), found)
    return found


@kernel
def _look_up(hashes, seen, shift, found):  # type: ignore[no-untyped-def]
    for value in hashes:
        place = value >> shift
        seen[place] = np.uint8(1) if seen[place] == 0 else np.uint8(2)
    for index in range(hashes.shape[0]):
        found[index] = seen[hashes[index] >> shift] == 2
