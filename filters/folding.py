"""The form in which texts are compared: what does not tell two words or two texts apart.

Each character by itself becomes its compatibility form (NFKC: full-width letters half-width, ㎡ to
m2, ① to 1), then simplified, then lower case. Neighbours play no part, so no word and no shingle
depends on what stands around it: e and a combining accent stay two characters, and 乾 becomes 干
even in 乾坤. For comparing only: NFKC makes Chinese punctuation Western, which no corpus should
have.
"""

from __future__ import annotations

import unicodedata
from functools import cache

from filters.kernels.folding import (
    MOST_CHARACTERS,
    FoldedBatch,
    Folding,
    comparable_lines,
    fold_batch,
    fold_text,
)
from filters.kernels.text_batch import TextBatch
from filters.traditional import simplified_characters

# Characters beyond have no other form, but for the compatibility hanzi.
_RANGES = (range(0x20000), range(0x2F800, 0x2FA20))


def fold(text: str) -> str:
    """Returns a text with every character folded; the reference of `fold_texts`.

    Args:
      text: without lone surrogates.
    """
    return fold_text(text, folding())


def fold_texts(texts: TextBatch) -> FoldedBatch:
    """Returns the texts of a batch folded, and their letters and digits by lines."""
    return fold_batch(texts, folding())


def folded_lines(text: str) -> list[str]:
    """Returns the letters and digits of each line that has any, folded."""
    return comparable_lines(text, folding())


@cache
def folding() -> Folding:
    """What each character becomes; one whose form would be longer than MOST_CHARACTERS stays."""
    characters = [chr(code) for codes in _RANGES for code in codes if code != ord("\n")]
    # All at once, one a line, which is many times faster. A line break keeps neighbours apart.
    forms = "\n".join(characters)
    # Once more, for forms that have another form themselves; lower case of İ is two.
    for _ in range(2):
        forms = _simplified(unicodedata.normalize("NFKC", forms)).lower()
    return Folding(
        {
            character: form
            for character, form in zip(characters, forms.split("\n"), strict=True)
            if form != character and len(form) <= MOST_CHARACTERS
        }
    )


def _simplified(text: str) -> str:
    return text.translate({ord(old): new for old, new in simplified_characters().items()})
