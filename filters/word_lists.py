"""The lists of phrases that we ship, and the search for a list's phrases in a text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import ahocorasick_rs

from filters.folding import fold
from pangu_settings import SettingsError

WORD_LISTS = ("advertisement", "sensitive")
_FOLDER = Path(__file__).parent / "word_lists"


@cache
def load_word_list(name: str) -> tuple[str, ...]:
    """Returns the phrases of one of WORD_LISTS, in the order of its file.

    Raises:
      SettingsError: there is no such list.
    """
    if name not in WORD_LISTS:
        raise SettingsError(f"no word list is called '{name}'; there are: {', '.join(WORD_LISTS)}")
    lines = (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))


class WordSearch:
    """Finds the phrases of a list in texts, overlapping ones too (Aho-Corasick)."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(dict.fromkeys(filter(None, map(fold, words))))
        self._automaton = ahocorasick_rs.AhoCorasick(self.words)

    def find(self, folded: str) -> list[str]:
        """Returns the different phrases in a text, in the order of the list.

        Args:
          folded: what `fold` returns for the text.
        """
        hits = self._automaton.find_matches_as_indexes(folded, overlapping=True)
        return [self.words[index] for index in sorted({index for index, _, _ in hits})]
