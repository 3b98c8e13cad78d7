"""Words as jieba finds them without its hidden Markov model, by a binding that is 15 times faster.

`rjieba` gives the same words as jieba 0.42.1 in this mode (a test compares them on real text), and
not in jieba's default mode: there it differs on a third of documents.
"""

from __future__ import annotations

from functools import cache
from typing import Any


def segment_words(text: str) -> list[str]:
    """The words of a text; joined they are the text, so white space is among them."""
    words: list[str] = _segmenter().cut(text, False)
    return words


@cache
def _segmenter() -> Any:
    """A dictionary of our own, to which nobody else adds words."""
    import rjieba

    return rjieba.Jieba()
