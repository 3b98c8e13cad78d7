"""The language of a text by its scripts and its function words; no model needed."""

from __future__ import annotations

import numpy as np

from filters.kernels.character_classes import (
    CANTONESE,
    HANGUL,
    HANZI,
    KANA,
    LATIN,
    LETTER,
    MANDARIN,
)

OTHER, CHINESE, CANTONESE_SPEECH, JAPANESE, KOREAN = range(5)
LANGUAGES = ("other", "zh", "yue", "ja", "ko")

# Of all letters, at least so many are hanzi, kana or hangul in an East Asian text; a hanzi says
# as much as two or three Latin letters.
EAST_ASIAN_SHARE = 0.2
# Of these, at least so many are kana in Japanese (lists of names have some 10 %, prose 50 %) and
# hangul in Korean; Chinese pages quote a few.
KANA_SHARE = 0.1
HANGUL_SHARE = 0.3
# Of the function words below, at least so many are Cantonese, and there are at least so many:
# Cantonese is often written with a good part of Mandarin, Mandarin quotes a word of Cantonese.
CANTONESE_SHARE = 0.3
LEAST_CANTONESE = 3


def language_numbers(counts: np.ndarray) -> np.ndarray:
    """The language of each text.

    Args:
      counts: characters of each class, int64 (texts, CLASSES).

    Returns:
      int8 (texts,): positions in LANGUAGES.
    """
    kana, hangul = counts[:, KANA], counts[:, HANGUL]
    mandarin, cantonese = counts[:, MANDARIN], counts[:, CANTONESE]
    east_asian = counts[:, HANZI] + mandarin + cantonese + kana + hangul
    letters = east_asian + counts[:, LATIN] + counts[:, LETTER]
    is_cantonese = (cantonese >= LEAST_CANTONESE) & (
        cantonese >= CANTONESE_SHARE * (cantonese + mandarin)
    )
    numbers: np.ndarray = np.select(
        [
            (east_asian == 0) | (east_asian < EAST_ASIAN_SHARE * letters),
            hangul >= HANGUL_SHARE * east_asian,
            kana >= KANA_SHARE * east_asian,
            is_cantonese,
        ],
        [OTHER, KOREAN, JAPANESE, CANTONESE_SPEECH],
        CHINESE,
    ).astype(np.int8)
    return numbers
