"""The lists of phrases that we ship."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pangu_settings import SettingsError

WORD_LISTS = ("advertisement", "sensitive", "spam", "stop_words")
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
