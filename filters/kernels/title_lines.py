"""What a text says beyond its title."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from filters.kernels.compiling import inlined, kernel
from filters.kernels.folding import FoldedBatch
from filters.kernels.text_batch import TextBatch

# Of a longer title only its beginning is looked at: the search costs title times text at worst.
MOST_TITLE_CHARACTERS = 256


def beyond_title_characters(title: str, lines: Sequence[str]) -> int:
    """The reference: letters and digits in lines that do not only repeat the title or a part of it.

    Args:
      title: folded, letters and digits only.
      lines: folded lines, letters and digits only.
    """
    wanted = title[:MOST_TITLE_CHARACTERS]
    return sum(len(line) for line in lines if line not in wanted)


def beyond_title_characters_of(titles: TextBatch, texts: FoldedBatch) -> np.ndarray:
    """The kernel: int64 (texts,).

    Args:
      titles: folded, letters and digits only.
      texts: the texts, folded.
    """
    counts = np.zeros(len(titles), np.int64)
    _count(
        titles.characters,
        titles.starts,
        texts.comparable.characters,
        texts.line_starts,
        texts.first_lines,
        counts,
    )
    return counts


@kernel
def _count(titles, title_starts, texts, line_starts, first_lines, counts):  # type: ignore[no-untyped-def]
    for document in range(title_starts.shape[0] - 1):
        start = title_starts[document]
        end = min(title_starts[document + 1], start + MOST_TITLE_CHARACTERS)
        title = titles[start:end]
        for line in range(first_lines[document], first_lines[document + 1]):
            characters = texts[line_starts[line] : line_starts[line + 1]]
            if not _contains(title, characters):
                counts[document] += characters.shape[0]


@inlined
def _contains(title, characters):  # type: ignore[no-untyped-def]
    length = characters.shape[0]
    for place in range(title.shape[0] - length + 1):
        index = 0
        while index < length and title[place + index] == characters[index]:
            index += 1
        if index == length:
            return True
    return False
