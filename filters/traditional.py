"""Traditional characters to simplified ones, with OpenCC's standard conversion (t2s).

Two decisions, both because a corpus is converted once and read by a model:

- A text is converted when it holds a character that only traditional writing has. OpenCC's t2s is
  made for traditional text; in simplified text it would turn 毕昇 into 毕升 and 乾县 into 干县.
- OpenCC's extension dictionary is left out. It writes rare characters as simplified forms beyond
  Unicode's first plane (刘璝 as 刘𪻺), which no vocabulary or font knows.
"""

from __future__ import annotations

from functools import cache

import opencc

# Code points that hold hanzi: radicals to Hangul, compatibility ideographs, planes 2 and 3.
_HANZI_RANGES = ((0x2E80, 0xAC00), (0xF900, 0xFB00), (0x20000, 0x32000))
# Characters that OpenCC changes alone but writes in some words (乾坤, 哪吒, 毕昇, 束脩): simplified
# text has them too. tests/filters/test_traditional.py checks that none is missing.
_IN_BOTH_WRITINGS = frozenset("乾剋劄吒徵扞於昇氾濛祕脩苧蒐薹袷計谿釐陞麽")


@cache
def _converter() -> opencc.OpenCC:
    return opencc.OpenCC("t2s", include_tofu_risk_dictionaries=False)


@cache
def traditional_characters() -> frozenset[str]:
    """Characters that a simplified text does not have, as OpenCC's dictionaries have it."""
    hanzi = [chr(code) for first, end in _HANZI_RANGES for code in range(first, end)]
    # One call; the line breaks keep neighbours from being read as a word.
    simplified = _converter().convert("\n".join(hanzi)).split("\n")
    changed = {old for old, new in zip(hanzi, simplified, strict=True) if old != new}
    return frozenset(changed - _IN_BOTH_WRITINGS)


def is_traditional(text: str) -> bool:
    """Whether a text holds a character that only traditional writing has."""
    return not traditional_characters().isdisjoint(text)


def simplify(text: str) -> str:
    """Returns the text in simplified characters; text without traditional ones comes back as is.

    Args:
      text: without lone surrogates.
    """
    return _converter().convert(text) if is_traditional(text) else text
