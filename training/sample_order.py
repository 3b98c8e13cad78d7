"""The order in which samples are seen, as arithmetic: nothing is shuffled, indexed or remembered.

`Mixture` deals sample numbers out to sources; `permute` gives each epoch of a source an order of
its own. Both are pure functions of their arguments, so a run's place in the data is one number,
whatever the number of processes that read.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from fractions import Fraction


class Mixture:
    """Deals sample numbers out to sources in exact proportion to their weights.

    The first source takes its share of all numbers at even distances, the second its share of
    those left over, and so on; the last takes what remains. After n samples a source that weighs
    w has been dealt w·n of them, give or take less than the number of sources.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        """Takes non-negative weights of any sum; sources that weigh nothing get no samples."""
        # Weights are read as the decimal numbers that people wrote: 0.1 is a tenth.
        exact = {name: Fraction(str(weight)) for name, weight in sorted(weights.items())}
        left = sum(exact.values())
        self._shares: list[tuple[str, int, int]] = []
        for name, weight in exact.items():
            if weight > 0:
                share = weight / left
                self._shares.append((name, share.numerator, share.denominator))
                left -= weight

    @property
    def sources(self) -> list[str]:
        """Names of the sources that get samples."""
        return [name for name, _, _ in self._shares]

    def place(self, sample: int) -> tuple[str, int]:
        """Returns the source of a sample and how many earlier samples that source had."""
        left = sample
        for name, numerator, denominator in self._shares:
            taken = left * numerator // denominator
            if (left + 1) * numerator // denominator > taken:
                return name, taken
            left -= taken
        raise ValueError("a mixture without sources has no samples")


def permute(index: int, size: int, key: bytes) -> int:
    """Returns the place of `index` in a permutation of range(size) chosen by `key`.

    A Feistel network over pairs of digits to the base ⌈√size⌉ permutes range(base²); values that
    fall outside range(size) are permuted again until they fall inside (cycle walking), which
    takes hardly more than one turn because base² is hardly larger than size.
    """
    base = math.isqrt(size - 1) + 1
    while True:
        left, right = divmod(index, base)
        for turn in range(6):
            message = b"%d/%d" % (turn, right)
            mixed = hashlib.blake2b(message, digest_size=8, key=key).digest()
            left, right = right, (left + int.from_bytes(mixed, "little")) % base
        index = left * base + right
        if index < size:
            return index
