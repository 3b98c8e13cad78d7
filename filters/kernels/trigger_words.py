"""Which kinds of lines a line may be: a cheap test before expensive ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from filters.kernels import code_points
from filters.kernels.compiling import inlined, kernel
from filters.kernels.text_batch import TextBatch

MOST_KINDS = 32


@dataclass(frozen=True)
class Kind:
    """A kind of lines.

    Attributes:
      triggers: of one or two characters each; a line of this kind holds one of them.
      in_sentences: whether a line of this kind may hold a sentence mark.
      leading: whether a line of this kind begins with its trigger, or with nothing but ignored
        characters before it.
    """

    triggers: frozenset[str]
    in_sentences: bool
    leading: bool


@dataclass(frozen=True)
class Triggers:
    """What lines are sorted by.

    Attributes:
      kinds: at most MOST_KINDS.
      sentence_marks: characters that end a sentence.
      most_characters: of a line; a longer one is of no kind.
      ignored: characters that may stand before a leading trigger, and are none of one themselves.
    """

    kinds: Sequence[Kind]
    sentence_marks: frozenset[str]
    most_characters: int
    ignored: frozenset[str]

    def __post_init__(self) -> None:
        if len(self.kinds) > MOST_KINDS:
            raise ValueError(f"{len(self.kinds)} kinds of lines: at most {MOST_KINDS} are possible")
        for kind in self.kinds:
            for trigger in kind.triggers:
                if len(trigger) not in (1, 2):
                    raise ValueError(f"trigger {trigger!r}: must have one or two characters")
                if kind.leading and trigger[0] in self.ignored:
                    raise ValueError(f"leading trigger {trigger!r}: begins with an ignored one")

    @cached_property
    def tables(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int, int]:
        """For the kernel: firsts and seconds, triggers, their kinds; which kinds may be sentences,
        which may have their trigger anywhere."""
        kinds_of: defaultdict[str, int] = defaultdict(int)
        for bit, kind in enumerate(self.kinds):
            for trigger in kind.triggers:
                kinds_of[trigger] |= 1 << bit
        firsts = np.zeros(code_points.COUNT, np.uint8)
        seconds = np.full(code_points.COUNT, _ANYTHING, np.uint8)
        slots = 4 << len(kinds_of).bit_length()
        keys = np.full(slots, -1, np.int64)
        kinds = np.zeros(slots, np.int64)
        for trigger in sorted(kinds_of):
            first, second = ord(trigger[0]), ord(trigger[1]) if len(trigger) == 2 else _ALONE
            if second == _ALONE:
                firsts[first] |= _ANYTHING
            else:
                group = 1 << (first ^ second) % _GROUPS
                firsts[first] |= group
                seconds[second] |= group
            slot = _hash(first, second) & slots - 1
            while keys[slot] >= 0:
                slot = slot + 1 & slots - 1
            keys[slot], kinds[slot] = first << 21 | second, kinds_of[trigger]
        for mark in self.sentence_marks:
            firsts[ord(mark)] |= _ENDS_SENTENCE
        for character in self.ignored:
            seconds[ord(character)] |= _IGNORED
        in_sentences = sum(1 << bit for bit, kind in enumerate(self.kinds) if kind.in_sentences)
        anywhere = sum(1 << bit for bit, kind in enumerate(self.kinds) if not kind.leading)
        return firsts, seconds, keys, kinds, in_sentences, anywhere


def possible_kinds(line: str, triggers: Triggers) -> int:
    """The reference: bit k is set if one line may be of kind k."""
    if len(line) > triggers.most_characters:
        return 0
    is_sentence = not triggers.sentence_marks.isdisjoint(line)
    after_ignored = line.lstrip("".join(triggers.ignored))
    kinds = 0
    for bit, kind in enumerate(triggers.kinds):
        if is_sentence and not kind.in_sentences:
            continue
        if kind.leading:
            is_possible = after_ignored.startswith(tuple(kind.triggers))
        else:
            is_possible = any(trigger in line for trigger in kind.triggers)
        kinds |= is_possible << bit
    return kinds


def possible_kinds_of_lines(lines: TextBatch, triggers: Triggers) -> np.ndarray:
    """`possible_kinds` of each line: int64 (lines,)."""
    found = np.empty(len(lines), np.int64)
    _find(lines.characters, lines.starts, triggers.most_characters, *triggers.tables, found)
    return found


@inlined
def _hash(first, second):  # type: ignore[no-untyped-def]
    return first * 31 + second


# A pair belongs to one of a few groups. The tables have, for each code point, the groups in which
# it is a first and a second character; a pair is looked up only if its characters share one.
_GROUPS = 6
# A character that is a trigger alone has this bit, which every second character has too.
_ANYTHING = 1 << 6
_GROUP_BITS = (1 << 7) - 1
_ENDS_SENTENCE = 1 << 7
# In the table of second characters, where sentences do not matter.
_IGNORED = 1 << 7
# What stands for the second character of a trigger of one; no code point.
_ALONE = code_points.COUNT


@kernel
def _find(  # type: ignore[no-untyped-def]
    characters, starts, most, firsts, seconds, keys, kinds, in_sentences, anywhere, found
):
    """Writes the possible kinds of each line."""
    for line in range(starts.shape[0] - 1):
        whole = characters[starts[line] : starts[line + 1]]
        length = whole.shape[0]
        found[line] = 0
        if length == 0 or length > most:
            continue
        begin = 0
        while begin < length - 1 and seconds[whole[begin]] & _IGNORED:
            begin += 1
        kinds_here = 0
        seen = 0
        first = whole[0]
        for place in range(1, length + 1):
            second = whole[place] if place < length else np.uint32(0)
            groups = firsts[first]
            seen |= groups
            groups &= seconds[second] & _GROUP_BITS
            if groups:
                kinds_there = 0
                if groups & _ANYTHING:
                    kinds_there |= _kinds_of(first, _ALONE, keys, kinds)
                if place < length:
                    kinds_there |= _kinds_of(first, second, keys, kinds)
                kinds_here |= kinds_there if place == begin + 1 else kinds_there & anywhere
            first = second
        if seen & _ENDS_SENTENCE:
            kinds_here &= in_sentences
        found[line] = kinds_here


@inlined
def _kinds_of(first, second, keys, kinds):  # type: ignore[no-untyped-def]
    """The kinds that two neighbours are a trigger of; 0 where they are none."""
    mask = keys.shape[0] - 1
    key = np.int64(first) << 21 | np.int64(second)
    slot = _hash(np.int64(first), np.int64(second)) & mask
    while keys[slot] >= 0 and keys[slot] != key:
        slot = (slot + 1) & mask
    return kinds[slot] if keys[slot] == key else 0
