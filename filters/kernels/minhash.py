"""MinHash signatures of texts over runs of characters, and the keys of their bands.

Given the same hashes of shingles, signatures are those of datasketch's scheme affine32, bit for
bit: the smallest of factor × mix32(hash) + offset, modulo 2^32, for each permutation.
"""

from __future__ import annotations

import numpy as np

from filters.kernels.compiling import kernel
from filters.kernels.hashing import absorb, mix32, mix64
from filters.kernels.text_batch import TextBatch

# Shingles permuted at a time: they stay in the processor's nearest cache.
_BLOCK = 2048
# Of a signature of a text without a shingle, since there is nothing to take the smallest of.
EMPTY = 0xFFFF_FFFF
_WORD = (1 << 64) - 1


def shingle_hashes(text: str, shingle: int) -> list[int]:
    """The reference: a 32-bit hash of each run of `shingle` characters, in their order."""
    hashes = []
    for place in range(len(text) - shingle + 1):
        state = 0
        for character in text[place : place + shingle]:
            state = ((state ^ ord(character)) * 0xD6E8_FEB8_6659_FD93) & _WORD
        hashes.append(state >> 32)
    return hashes


def signature(hashes: list[int], factors: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The reference: the smallest value of each permutation over all hashes.

    Args:
      hashes: of shingles, 32 bits.
      factors, offsets: uint32 (permutations,).

    Returns:
      uint32 (permutations,); EMPTY where there is no hash.
    """
    values = np.array(hashes, np.uint32).reshape(-1, 1)
    values ^= values >> np.uint32(16)
    values *= np.uint32(0x85EB_CA6B)
    values ^= values >> np.uint32(13)
    values *= np.uint32(0xC2B2_AE35)
    values ^= values >> np.uint32(16)
    lowest: np.ndarray = (values * factors + offsets).min(axis=0, initial=EMPTY)
    return lowest


def band_keys(values: np.ndarray, rows: int) -> list[int]:
    """The reference: a 64-bit key for each run of `rows` values of a signature."""
    keys = []
    for band in values.reshape(-1, rows).tolist():
        key = 0
        for value in band:
            key = ((key ^ value) + 0x9E37_79B9_7F4A_7C15) & _WORD
            key = ((key ^ (key >> 30)) * 0xBF58_476D_1CE4_E5B9) & _WORD
            key = ((key ^ (key >> 27)) * 0x94D0_49BB_1331_11EB) & _WORD
            key ^= key >> 31
        keys.append(key)
    return keys


def shingle_hashes_of(texts: TextBatch, shingle: int) -> tuple[np.ndarray, np.ndarray]:
    """The kernel of `shingle_hashes`.

    Returns:
      uint32 (n,), and starts int64 (texts + 1,): text i has hashes[starts[i]:starts[i + 1]].
    """
    hashes = np.empty(len(texts.characters), np.uint32)
    starts = np.zeros(len(texts) + 1, np.int64)
    count = _hash_shingles(texts.characters, texts.starts, shingle, hashes, starts)
    return hashes[:count], starts


def signatures_of(
    hashes: np.ndarray, starts: np.ndarray, factors: np.ndarray, offsets: np.ndarray
) -> np.ndarray:
    """The kernel of `signature`: uint32 (texts, permutations).

    Args:
      hashes, starts: what `shingle_hashes_of` returns.
      factors, offsets: uint32 (permutations,).
    """
    values = np.full((len(starts) - 1, len(factors)), EMPTY, np.uint32)
    _lowest(hashes, starts, factors, offsets, np.empty(_BLOCK, np.uint32), values)
    return values


def band_keys_of(values: np.ndarray, rows: int) -> np.ndarray:
    """The kernel of `band_keys`: uint64 (texts, permutations ÷ rows).

    Args:
      values: signatures, uint32 (texts, permutations).
      rows: values in a band.
    """
    keys = np.empty((len(values), values.shape[1] // rows), np.uint64)
    _join(values, rows, keys)
    return keys


@kernel
def _hash_shingles(characters, starts, shingle, hashes, hash_starts):  # type: ignore[no-untyped-def]
    count = 0
    for text in range(starts.shape[0] - 1):
        for place in range(starts[text], starts[text + 1] - shingle + 1):
            state = np.uint64(0)
            for index in range(place, place + shingle):
                state = absorb(state, np.uint64(characters[index]))
            hashes[count] = np.uint32(state >> np.uint64(32))
            count += 1
        hash_starts[text + 1] = count
    return count


@kernel
def _lowest(hashes, starts, factors, offsets, mixed, values):  # type: ignore[no-untyped-def]
    permutations = factors.shape[0]
    for text in range(starts.shape[0] - 1):
        row = values[text]
        for block in range(starts[text], starts[text + 1], _BLOCK):
            size = min(_BLOCK, starts[text + 1] - block)
            for index in range(size):
                mixed[index] = mix32(hashes[block + index])
            for permutation in range(permutations):
                factor = factors[permutation]
                offset = offsets[permutation]
                lowest = np.uint32(EMPTY)
                for index in range(size):
                    lowest = min(lowest, np.uint32(np.uint32(factor * mixed[index]) + offset))
                row[permutation] = min(row[permutation], lowest)


@kernel
def _join(values, rows, keys):  # type: ignore[no-untyped-def]
    for text in range(keys.shape[0]):
        row = keys[text]
        row[:] = 0
        # Bands in the inner loop: their chains of operations overlap.
        for index in range(rows):
            for band in range(keys.shape[1]):
                row[band] = mix64(row[band] ^ np.uint64(values[text, band * rows + index]))
