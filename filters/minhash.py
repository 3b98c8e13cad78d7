"""MinHash signatures over character shingles, and the band keys by which near-duplicates meet.

Shingles are runs of characters, not words: Chinese has no spaces, and a segmenter would cost more
than everything else. Only letters and digits count, folded, so that copies which differ in
punctuation, character width or traditional writing are found. Permutations are those of datasketch
(scheme affine32), so that its tools can read the signatures.
"""

from __future__ import annotations

import sys
from functools import cache

import datasketch
import numpy as np

from filters.folding import fold

# Shingles permuted at a time: the block of shingles × permutations stays in the processor's cache.
BLOCK = 2048


class MinHash:
    """Signatures of one parameter set.

    Args:
      shingle: characters in a shingle.
      bands: bands of a signature.
      rows: hash values in a band; a signature has bands × rows.
      seed: of the permutations, as datasketch uses it.
    """

    def __init__(self, shingle: int, bands: int, rows: int, seed: int) -> None:
        self.shingle = shingle
        self.bands = bands
        self.rows = rows
        reference = datasketch.MinHash(bands * rows, seed, scheme="affine32")
        self._factors, self._offsets = (
            np.asarray(row, np.uint32) for row in reference.permutations
        )

    def signature(self, text: str) -> np.ndarray:
        """The signature of a text.

        Returns:
          uint32 (bands × rows,); all ones where the text has no shingle.
        """
        return self._lowest(shingle_hashes(text, self.shingle))

    def _lowest(self, shingles: np.ndarray) -> np.ndarray:
        hashes = _mix(shingles)
        lowest = np.full(self.bands * self.rows, 0xFFFF_FFFF, np.uint32)
        for start in range(0, len(hashes), BLOCK):
            permuted = hashes[start : start + BLOCK, None] * self._factors + self._offsets
            np.minimum(lowest, permuted.min(axis=0), out=lowest)
        return lowest

    def band_keys(self, text: str) -> np.ndarray:
        """One key for each band; two texts share a key where a whole band of values is equal.

        Returns:
          uint64 (bands,), or (0,) where the text is too short for one shingle: such a text is
          unique, not a duplicate of every other short text.
        """
        shingles = shingle_hashes(text, self.shingle)
        if len(shingles) == 0:
            return np.empty(0, np.uint64)
        bands = self._lowest(shingles).reshape(self.bands, self.rows)
        keys = np.zeros(self.bands, np.uint64)
        for row in range(self.rows):
            keys = _mix64(keys ^ bands[:, row].astype(np.uint64))
        return keys


def comparable_characters(text: str) -> np.ndarray:
    """What of a text takes part in comparisons.

    Returns:
      uint32 (n,): code points of its letters and digits, folded.
    """
    points = np.frombuffer(fold(text).encode("utf-32-le"), np.uint32)
    return points[_letters_and_digits()[points]]


def shingle_hashes(text: str, shingle: int) -> np.ndarray:
    """The distinct shingles of a text.

    Returns:
      uint32 (n,), sorted: a 32-bit hash for each distinct run of `shingle` comparable characters.
    """
    points = comparable_characters(text).astype(np.uint64)
    count = len(points) - shingle + 1
    if count <= 0:
        return np.empty(0, np.uint32)
    state = np.zeros(count, np.uint64)
    for position in range(shingle):
        state = _mix64(state ^ points[position : position + count])
    return np.unique((state >> np.uint64(32)).astype(np.uint32))


def match_probability(similarity: float, bands: int, rows: int) -> float:
    """Chance that two texts of a Jaccard similarity share at least one band: the S-curve."""
    return float(1 - (1 - similarity**rows) ** bands)


def _mix(values: np.ndarray) -> np.ndarray:
    """The finalizer of MurmurHash3 (32 bits), with which scheme affine32 begins."""
    values = values ^ (values >> np.uint32(16))
    values = values * np.uint32(0x85EB_CA6B)
    values = values ^ (values >> np.uint32(13))
    values = values * np.uint32(0xC2B2_AE35)
    mixed: np.ndarray = values ^ (values >> np.uint32(16))
    return mixed


def _mix64(values: np.ndarray) -> np.ndarray:
    """The finalizer of SplitMix64: every input bit reaches every output bit."""
    values = values + np.uint64(0x9E37_79B9_7F4A_7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58_476D_1CE4_E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D0_49BB_1331_11EB)
    mixed: np.ndarray = values ^ (values >> np.uint64(31))
    return mixed


@cache
def _letters_and_digits() -> np.ndarray:
    """bool (0x110000,): which code points count."""
    return np.fromiter(
        (chr(point).isalnum() for point in range(sys.maxunicode + 1)), bool, sys.maxunicode + 1
    )
