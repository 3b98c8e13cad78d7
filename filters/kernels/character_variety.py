"""How many different characters a text uses, and how evenly: distinct characters and entropy."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from filters.kernels.character_classes import LINE_BREAK, class_table
from filters.kernels.compiling import kernel
from filters.kernels.text_batch import TextBatch

# n · log2 n of the counts that occur, looked up instead of computed.
_WEIGHTS = np.array([0.0, *(n * math.log2(n) for n in range(1, 4096))])


def character_variety(text: str) -> tuple[int, float]:
    """The reference.

    Returns:
      how many different visible characters a text has, and the entropy of their frequencies in
      bits: −Σ p log2 p, 0 for a text without any.
    """
    counts = Counter(character for character in text if not character.isspace())
    visible = sum(counts.values())
    if visible == 0:
        return 0, 0.0
    entropy = math.log2(visible) - sum(n * math.log2(n) for n in counts.values()) / visible
    return len(counts), max(0.0, entropy)


class CharacterVariety:
    """The kernel, with the scratch memory that it keeps between batches; for one thread."""

    def __init__(self) -> None:
        self._counts = np.zeros(0x110000, np.int32)

    def measure(self, texts: TextBatch) -> tuple[np.ndarray, np.ndarray]:
        """Distinct visible characters int64 (texts,), and entropy in bits float64 (texts,)."""
        distinct = np.zeros(len(texts), np.int64)
        entropy = np.zeros(len(texts), np.float64)
        # One more than can be different: the next place is always written to.
        met = np.empty(min(0x110000, int(texts.lengths().max(initial=0))) + 1, np.uint32)
        _measure(
            texts.characters,
            texts.starts,
            class_table(),
            _WEIGHTS,
            self._counts,
            met,
            distinct,
            entropy,
        )
        return distinct, entropy


@kernel
def _measure(  # type: ignore[no-untyped-def]
    characters, starts, classes, weights, counts, met, distinct, entropy
):
    for text in range(starts.shape[0] - 1):
        different = 0
        visible = 0
        for place in range(starts[text], starts[text + 1]):
            character = characters[place]
            shown = np.int32(classes[character] > LINE_BREAK)
            # Written every time, kept where the character is new: no branch to mispredict.
            met[different] = character
            different += shown & np.int32(counts[character] == 0)
            counts[character] += shown
            visible += shown
        weighted = 0.0
        for index in range(different):
            count = counts[met[index]]
            counts[met[index]] = 0
            if count < weights.shape[0]:
                weighted += weights[count]
            else:
                weighted += count * np.log2(np.float64(count))
        distinct[text] = different
        if visible > 0:
            entropy[text] = max(0.0, np.log2(np.float64(visible)) - weighted / visible)
