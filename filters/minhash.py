"""MinHash signatures over character shingles, and the band keys by which near-duplicates meet.

Shingles are runs of characters, not words: Chinese has no spaces, and a segmenter would cost more
than everything else. Only letters and digits count, folded, so that copies which differ in
punctuation, character width or traditional writing are found. Permutations are those of datasketch
(scheme affine32), so that its tools can read the signatures.
"""

from __future__ import annotations

import numpy as np

from filters.folding import folded_lines
from filters.kernels.minhash import (
    band_keys,
    band_keys_of,
    shingle_hashes,
    shingle_hashes_of,
    signature,
    signatures_of,
)
from filters.kernels.text_batch import TextBatch


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
        # As datasketch draws them; tests compare. Its import would cost every worker 0.3 s.
        generator = np.random.RandomState(seed)
        odd = generator.randint(0, 1 << 31, bands * rows, np.uint32) * np.uint32(2) + np.uint32(1)
        self._factors: np.ndarray = odd
        self._offsets: np.ndarray = generator.randint(0, 1 << 32, bands * rows, np.uint32)

    def shingle_hashes(self, text: str) -> list[int]:
        """A 32-bit hash of every shingle of a text, in their order; a repeated one comes again."""
        return shingle_hashes(comparable_characters(text), self.shingle)

    def signature(self, text: str) -> np.ndarray:
        """The signature of a text.

        Returns:
          uint32 (bands × rows,); all ones where the text has no shingle.
        """
        return signature(self.shingle_hashes(text), self._factors, self._offsets)

    def band_keys(self, text: str) -> np.ndarray:
        """One key for each band; two texts share a key where a whole band of values is equal.

        Returns:
          uint64 (bands,), or (0,) where the text is too short for one shingle: such a text is
          unique, not a duplicate of every other short text.
        """
        if not self.shingle_hashes(text):
            return np.empty(0, np.uint64)
        return np.array(band_keys(self.signature(text), self.rows), np.uint64)

    def shingle_hashes_of(self, comparable: TextBatch) -> tuple[np.ndarray, np.ndarray]:
        """`shingle_hashes` of a batch.

        Args:
          comparable: folded texts, letters and digits only, as `fold_texts` returns them.

        Returns:
          uint32 (n,), and starts int64 (texts + 1,): text i has hashes[starts[i]:starts[i + 1]].
        """
        return shingle_hashes_of(comparable, self.shingle)

    def signatures_of(self, comparable: TextBatch) -> np.ndarray:
        """`signature` of a batch, see `shingle_hashes_of`: uint32 (texts, bands × rows)."""
        return signatures_of(*self.shingle_hashes_of(comparable), self._factors, self._offsets)

    def band_keys_of(self, comparable: TextBatch) -> tuple[np.ndarray, np.ndarray]:
        """The band keys of a batch.

        Args:
          comparable: folded texts, letters and digits only, as `fold_texts` returns them.

        Returns:
          has_bands bool (texts,): whether a text has a shingle; and keys uint64 (texts, bands),
          without meaning where it has none.
        """
        hashes, starts = self.shingle_hashes_of(comparable)
        values = signatures_of(hashes, starts, self._factors, self._offsets)
        return np.diff(starts) > 0, band_keys_of(values, self.rows)


def comparable_characters(text: str) -> str:
    """What of a text takes part in comparisons: its letters and digits, folded."""
    return "".join(folded_lines(text))


def match_probability(similarity: float, bands: int, rows: int) -> float:
    """Chance that two texts of a Jaccard similarity share at least one band: the S-curve."""
    return float(1 - (1 - similarity**rows) ** bands)
