"""How similar two texts are: the Jaccard similarity of their sets of shingles, |A ∩ B| ÷ |A ∪ B|.

A set is a sorted run of distinct 32-bit hashes. Two different shingles have the same hash once in
2^32 times, so that between two texts of 100,000 shingles about two are mistaken for common ones:
0.00002 of the similarity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from filters.kernels.compiling import kernel


@dataclass(frozen=True)
class PackedSets:
    """Sets one after another.

    Attributes:
      hashes: uint32 (total,), ascending within a set.
      starts: int64 (sets + 1,): set i is hashes[starts[i]:starts[i + 1]].
    """

    hashes: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1


def jaccard(first: set[int], second: set[int]) -> float:
    """The reference; 0 where both sets are empty, since nothing says that they are alike."""
    return len(first & second) / max(1, len(first | second))


def distinct(hashes: np.ndarray, starts: np.ndarray) -> PackedSets:
    """Sets of the hashes of each text.

    Args:
      hashes: uint32 (n,), with repetitions, in any order.
      starts: int64 (texts + 1,): text i has hashes[starts[i]:starts[i + 1]].
    """
    kept = np.empty(len(hashes), np.uint32)
    kept_starts = np.zeros(len(starts), np.int64)
    longest = int(np.diff(starts).max(initial=0))
    count = _distinct(hashes, starts, np.empty((2, longest), np.uint32), kept, kept_starts)
    return PackedSets(kept[:count], kept_starts)


def jaccard_of(sets: PackedSets, pairs: np.ndarray, least: float) -> np.ndarray:
    """The kernel of `jaccard`.

    Args:
      sets: of the texts.
      pairs: integers (pairs, 2), numbers of sets.
      least: similarity below which the exact value is of no interest.

    Returns:
      float64 (pairs,); 0 where a look at the sizes of the sets says that it is below `least`.
    """
    result = np.empty(len(pairs), np.float64)
    _jaccard(sets.hashes, sets.starts, np.ascontiguousarray(pairs, np.int64), least, result)
    return result


def agreement_of(signatures: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """The share of equal values of two MinHash signatures, an estimate of the similarity.

    Args:
      signatures: uint32 (texts, permutations).
      pairs: integers (pairs, 2), numbers of texts.

    Returns:
      float64 (pairs,).
    """
    result = np.empty(len(pairs), np.float64)
    _agreement(
        np.ascontiguousarray(signatures, np.uint32), np.ascontiguousarray(pairs, np.int64), result
    )
    return result


@kernel
def _distinct(hashes, starts, scratch, kept, kept_starts):  # type: ignore[no-untyped-def]
    """Sorts the hashes of each text byte by byte, from the lowest, and keeps each value once."""
    counts = np.empty(256, np.int64)
    total = 0
    for text in range(starts.shape[0] - 1):
        size = starts[text + 1] - starts[text]
        for index in range(size):
            scratch[0, index] = hashes[starts[text] + index]
        for turn in range(4):
            source = scratch[turn % 2]
            target = scratch[1 - turn % 2]
            shift = np.uint32(8 * turn)
            counts[:] = 0
            for index in range(size):
                counts[(source[index] >> shift) & np.uint32(255)] += 1
            place = 0
            for byte in range(256):
                count = counts[byte]
                counts[byte] = place
                place += count
            for index in range(size):
                byte = (source[index] >> shift) & np.uint32(255)
                target[counts[byte]] = source[index]
                counts[byte] += 1
        for index in range(size):
            if index == 0 or scratch[0, index] != scratch[0, index - 1]:
                kept[total] = scratch[0, index]
                total += 1
        kept_starts[text + 1] = total
    return total


@kernel
def _jaccard(hashes, starts, pairs, least, result):  # type: ignore[no-untyped-def]
    for pair in range(pairs.shape[0]):
        a = starts[pairs[pair, 0]]
        b = starts[pairs[pair, 1]]
        a_end = starts[pairs[pair, 0] + 1]
        b_end = starts[pairs[pair, 1] + 1]
        sizes = (a_end - a) + (b_end - b)
        result[pair] = 0.0
        if sizes == 0 or min(a_end - a, b_end - b) < least * max(a_end - a, b_end - b):
            continue
        common = 0
        while a < a_end and b < b_end:
            of_a = hashes[a]
            of_b = hashes[b]
            # Without branches, which would be guessed wrong every other time.
            common += of_a == of_b
            a += of_a <= of_b
            b += of_b <= of_a
        result[pair] = common / (sizes - common)


@kernel
def _agreement(signatures, pairs, result):  # type: ignore[no-untyped-def]
    permutations = signatures.shape[1]
    for pair in range(pairs.shape[0]):
        equal = 0
        for place in range(permutations):
            equal += signatures[pairs[pair, 0], place] == signatures[pairs[pair, 1], place]
        result[pair] = equal / max(1, permutations)
