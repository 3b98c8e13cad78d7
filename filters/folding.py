"""The form in which texts are compared: what does not tell two words or two texts apart."""

from __future__ import annotations

import unicodedata

from filters.traditional import simplify


def fold(text: str) -> str:
    """Returns a text in NFKC form, in simplified characters and lower case.

    For comparing only: NFKC makes Chinese punctuation Western, which no corpus should have.

    Args:
      text: without lone surrogates.
    """
    return simplify(unicodedata.normalize("NFKC", text)).lower()
