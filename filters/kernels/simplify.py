"""Traditional characters to simplified ones, by a dictionary of characters and of phrases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from filters.kernels.compiling import kernel
from filters.kernels.text_batch import TextBatch

# Hanzi and their compatibility forms lie below.
_LIMIT = 0x32000


@dataclass(frozen=True)
class Dictionary:
    """What a conversion reads. No entry changes the length of a text.

    Attributes:
      compatibility: character -> the character that it is a copy of, replaced before all else.
      phrases: phrase -> phrase; the longest that begins at a place is taken.
      characters: character -> character, where no phrase begins.
    """

    compatibility: Mapping[str, str]
    phrases: Mapping[str, str]
    characters: Mapping[str, str]

    @cached_property
    def longest_phrase(self) -> dict[str, int]:
        """First character of phrases -> characters of the longest of them."""
        return {phrase[0]: len(phrase) for phrase in sorted(self.phrases, key=len)}

    @cached_property
    def tables(self) -> tuple[np.ndarray, ...]:
        """What the kernel reads, in the order of its arguments."""
        ordered = sorted(self.phrases, key=lambda phrase: (phrase[0], -len(phrase)))
        first_phrase = np.full(_LIMIT, -1, np.int32)
        for number in reversed(range(len(ordered))):
            first_phrase[ord(ordered[number][0])] = number
        return (
            _character_table(self.compatibility),
            _character_table(self.characters),
            first_phrase,
            np.cumsum([0, *map(len, ordered)], dtype=np.int64),
            _points("".join(ordered)),
            _points("".join(self.phrases[phrase] for phrase in ordered)),
        )


def simplify_text(text: str, dictionary: Dictionary) -> str:
    """The reference: one text, from left to right."""
    text = "".join(dictionary.compatibility.get(character, character) for character in text)
    simplified: list[str] = []
    place = 0
    while place < len(text):
        longest = dictionary.longest_phrase.get(text[place], 0)
        for length in range(longest, 0, -1):
            phrase = text[place : place + length]
            if phrase in dictionary.phrases:
                simplified.append(dictionary.phrases[phrase])
                place += len(phrase)
                break
        else:
            simplified.append(dictionary.characters.get(text[place], text[place]))
            place += 1
    return "".join(simplified)


def simplify_batch(texts: TextBatch, dictionary: Dictionary, chosen: np.ndarray) -> TextBatch:
    """`simplify_text` of the chosen texts, the others as they are.

    Args:
      texts: n texts.
      dictionary: how to convert.
      chosen: bool (n,).
    """
    if not chosen.any():
        return texts
    characters = texts.characters.copy()
    _convert(characters, texts.starts, chosen, *dictionary.tables)
    return TextBatch(characters, texts.starts)


def _character_table(entries: Mapping[str, str]) -> np.ndarray:
    table = np.arange(_LIMIT, dtype=np.uint32)
    for character, replacement in entries.items():
        table[ord(character)] = ord(replacement)
    return table


def _points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le"), "<u4").astype(np.uint32)


@kernel
def _convert(  # type: ignore[no-untyped-def]
    characters,
    starts,
    chosen,
    compatibility,
    targets,
    first_phrase,
    phrase_starts,
    phrases,
    results,
):
    """Converts the chosen texts where they stand."""
    count = phrase_starts.shape[0] - 1
    for text in range(starts.shape[0] - 1):
        if not chosen[text]:
            continue
        end = starts[text + 1]
        for place in range(starts[text], end):
            if characters[place] < _LIMIT:
                characters[place] = compatibility[characters[place]]
        place = starts[text]
        while place < end:
            first = characters[place]
            if first >= _LIMIT:
                place += 1
                continue
            # Phrases with one first character stand together, the longest first.
            phrase = first_phrase[first]
            length = 0
            while 0 <= phrase < count and phrases[phrase_starts[phrase]] == first:
                start = phrase_starts[phrase]
                size = phrase_starts[phrase + 1] - start
                if place + size <= end:
                    same = 1
                    while same < size and characters[place + same] == phrases[start + same]:
                        same += 1
                    if same == size:
                        length = size
                        break
                phrase += 1
            if length:
                for offset in range(length):
                    characters[place + offset] = results[phrase_starts[phrase] + offset]
                place += length
            else:
                characters[place] = targets[first]
                place += 1
