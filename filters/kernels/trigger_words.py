"""Which lines hold a trigger: a cheap test before an expensive one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from filters.kernels import code_points
from filters.kernels.compiling import inlined, kernel
from filters.kernels.text_batch import TextBatch


@dataclass(frozen=True)
class Triggers:
    """What a line must hold.

    Attributes:
      anywhere: one or two characters each; one of them is enough.
      without_sentence: the same, for lines that hold no sentence mark.
      sentence_marks: characters that end a sentence.
      most_characters: of a line; no longer line is chosen.
    """

    anywhere: frozenset[str]
    without_sentence: frozenset[str]
    sentence_marks: frozenset[str]
    most_characters: int

    def __post_init__(self) -> None:
        for trigger in self.anywhere | self.without_sentence:
            if len(trigger) not in (1, 2):
                raise ValueError(f"trigger {trigger!r}: must have one or two characters")

    @cached_property
    def tables(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the kernel reads: kinds of each code point, pairs and the pairs' kinds."""
        pairs = {trigger for trigger in self.anywhere | self.without_sentence if len(trigger) == 2}
        kinds = np.zeros(code_points.COUNT, np.uint8)
        for trigger in pairs:
            kinds[ord(trigger[0])] |= _BEGINS_PAIR
        for mark in self.sentence_marks:
            kinds[ord(mark)] |= _ENDS_SENTENCE
        for trigger in (self.anywhere | self.without_sentence) - pairs:
            kinds[ord(trigger)] |= self._kind(trigger)
        slots = 4 << len(pairs).bit_length()
        keys = np.full(slots, -1, np.int64)
        pair_kinds = np.zeros(slots, np.uint8)
        for pair in sorted(pairs):
            key = ord(pair[0]) << 21 | ord(pair[1])
            slot = key * _MULTIPLIER >> 20 & slots - 1
            while keys[slot] >= 0:
                slot = slot + 1 & slots - 1
            keys[slot], pair_kinds[slot] = key, self._kind(pair)
        return kinds, keys, pair_kinds

    def _kind(self, trigger: str) -> int:
        return _ANYWHERE if trigger in self.anywhere else _WITHOUT_SENTENCE


def holds_trigger(line: str, triggers: Triggers) -> bool:
    """The reference: whether one line is worth a closer look."""
    if len(line) > triggers.most_characters:
        return False
    if _holds(line, triggers.anywhere):
        return True
    return triggers.sentence_marks.isdisjoint(line) and _holds(line, triggers.without_sentence)


def _holds(line: str, triggers: Iterable[str]) -> bool:
    return any(trigger in line for trigger in triggers)


def lines_with_trigger(lines: TextBatch, triggers: Triggers) -> np.ndarray:
    """`holds_trigger` of each line: bool (lines,)."""
    chosen = np.empty(len(lines), np.bool_)
    _choose(lines.characters, lines.starts, triggers.most_characters, *triggers.tables, chosen)
    return chosen


# Kinds of characters and pairs, as bits.
_ANYWHERE, _WITHOUT_SENTENCE, _BEGINS_PAIR, _ENDS_SENTENCE = 1, 2, 4, 8
# Small, so that no product with a pair of code points leaves 64 bits.
_MULTIPLIER = 0x9E3B


@kernel
def _choose(characters, starts, most, kinds, keys, pair_kinds, chosen):  # type: ignore[no-untyped-def]
    """Writes which lines hold a trigger."""
    for line in range(starts.shape[0] - 1):
        end = starts[line + 1]
        chosen[line] = False
        if end - starts[line] > most:
            continue
        seen = 0
        for place in range(starts[line], end):
            kind = kinds[characters[place]]
            if kind:
                seen |= kind
                if kind & _BEGINS_PAIR and place + 1 < end:
                    seen |= _kind_of_pair(
                        characters[place], characters[place + 1], keys, pair_kinds
                    )
                if seen & _ANYWHERE:
                    break
        chosen[line] = seen & _ANYWHERE != 0 or seen & (_WITHOUT_SENTENCE | _ENDS_SENTENCE) == (
            _WITHOUT_SENTENCE
        )


@inlined
def _kind_of_pair(first, second, keys, pair_kinds):  # type: ignore[no-untyped-def]
    """The kind of two neighbouring characters; 0 where they are no trigger."""
    mask = keys.shape[0] - 1
    key = np.int64(first) << 21 | np.int64(second)
    slot = (key * _MULTIPLIER >> 20) & mask
    while keys[slot] >= 0 and keys[slot] != key:
        slot = (slot + 1) & mask
    return pair_kinds[slot] if keys[slot] == key else np.uint8(0)
