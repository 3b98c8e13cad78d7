"""Tables with one entry for each code point, filled from the patterns that references use.

So that a kernel and its reference mean the same characters, neither lists them twice.
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np

COUNT = 0x110000


def matching(pattern: str) -> np.ndarray:
    """Which code points match a pattern: bool (0x110000,).

    Args:
      pattern: a regular expression for one character, such as a character class.
    """
    table = np.zeros(COUNT, np.bool_)
    for run in re.finditer(f"(?:{pattern})+", _every_character()):
        table[run.start() : run.end()] = True
    return table


@cache
def _every_character() -> str:
    """The character of each code point, at that place of the text."""
    points = np.arange(COUNT, dtype="<u4")
    return points.tobytes().decode("utf-32-le", "surrogatepass")
