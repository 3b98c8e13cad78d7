"""Lines and sentences of a text: how many, how long, how they end, which repeat.

A line is what stands between line breaks, without white space at its ends, if anything is left.
A sentence is what stands between marks that end one (or line breaks), without white space.
"""

from __future__ import annotations

import re

import numpy as np

from filters.kernels.character_classes import (
    CLASSES,
    CLOSING,
    CLOSING_BRACKET,
    ELLIPSIS,
    FULL_STOP,
    LETTER,
    LINE_BREAK,
    PUNCTUATION,
    SPACE,
    STOP,
    class_table,
)
from filters.kernels.compiling import inlined, kernel
from filters.kernels.hashing import absorb, mix64
from filters.kernels.text_batch import TextBatch

# A line of fewer characters is short, as in ChineseWebText's and HPLT's rules.
SHORT_LINE = 10
# A line of fewer characters without any punctuation is an entry of a menu rather than prose.
MENU_LINE = 20
# A sentence of at most as many characters is short; a single one says nothing when it repeats.
SHORT_SENTENCE = range(2, 21)
_SHORTEST_SENTENCE, _LONGEST_SENTENCE = SHORT_SENTENCE[0], SHORT_SENTENCE[-1]

COUNTS = (
    "lines",
    "characters",  # of all lines, inner white space included
    "longest",
    "short",
    "ending",  # lines that end like a sentence
    "ending_characters",
    "repeated",  # lines that repeat an earlier one
    "repeated_characters",
    "menu_characters",  # of short lines without punctuation
    "more",  # lines that end in an offer to show more
    "repeated_sentence_characters",  # of short sentences that repeat an earlier one
    "ellipsis_characters",  # … and three or more full stops in a row
)
(
    _LINES,
    _CHARACTERS,
    _LONGEST,
    _SHORT,
    _ENDING,
    _ENDING_CHARACTERS,
    _REPEATED,
    _REPEATED_CHARACTERS,
    _MENU_CHARACTERS,
    _MORE,
    _REPEATED_SENTENCE_CHARACTERS,
    _ELLIPSIS_CHARACTERS,
) = range(len(COUNTS))

_SENTENCE_END = re.compile(r"[。！？!?；….][”’」』》）〕)\]\"'】\s]*\Z")
_MORE_END = re.compile(
    r"(?:展[开開]|更多|[rR][eE][aA][dD] ?[mM][oO][rR][eE]|…|\.{3}|。{3})"
    r"[”’」』》）〕)\]\"'】\s>＞»›→▼]*\Z"
)
_BETWEEN_SENTENCES = re.compile(r"[。！？!?；…\n]")
_DOTS = re.compile(r"…|\.{3,}|。{3,}")
_ARROWS = np.array([ord(mark) for mark in ">＞»›→▼"], np.uint32)


def line_statistics(text: str) -> dict[str, int]:
    """The reference.

    Returns:
      COUNTS by name. Lines and sentences are compared exactly; the kernel compares 63-bit hashes.
    """
    lines = [line for raw in text.split("\n") if (line := raw.strip())]
    ending = [line for line in lines if _SENTENCE_END.search(line)]
    repeated = _later_copies(lines)
    sentences = ["".join(part.split()) for part in _BETWEEN_SENTENCES.split(text)]
    short = [sentence for sentence in sentences if len(sentence) in SHORT_SENTENCE]
    classes = class_table()
    menu = [
        line
        for line in lines
        if len(line) < MENU_LINE and not any(_is_mark(classes[ord(c)]) for c in line)
    ]
    return {
        "lines": len(lines),
        "characters": sum(map(len, lines)),
        "longest": max(map(len, lines), default=0),
        "short": sum(len(line) < SHORT_LINE for line in lines),
        "ending": len(ending),
        "ending_characters": sum(map(len, ending)),
        "repeated": len(repeated),
        "repeated_characters": sum(map(len, repeated)),
        "menu_characters": sum(map(len, menu)),
        "more": sum(_MORE_END.search(line) is not None for line in lines),
        "repeated_sentence_characters": sum(map(len, _later_copies(short))),
        "ellipsis_characters": sum(map(len, _DOTS.findall(text))),
    }


def _is_mark(character_class: int) -> bool:
    return character_class >= PUNCTUATION


def _later_copies(pieces: list[str]) -> list[str]:
    seen: set[str] = set()
    return [piece for piece in pieces if piece in seen or seen.add(piece)]  # type: ignore[func-returns-value]


def line_statistics_of(texts: TextBatch) -> tuple[np.ndarray, np.ndarray]:
    """The kernel, which counts the classes of characters on the way.

    Returns:
      COUNTS of each text, int64 (texts, len(COUNTS)); and what `count_classes` returns for it,
      int64 (texts, CLASSES).
    """
    counts = np.zeros((len(texts), len(COUNTS)), np.int64)
    of_classes = np.zeros((len(texts), CLASSES), np.int64)
    longest = int(texts.lengths().max(initial=0))
    # Hash and length of each line and each short sentence of one text; both end in a character.
    most = longest // 2 + 1
    hashes = np.empty((2, most), np.uint64)
    lengths = np.empty((2, most), np.int32)
    table = np.empty(1 << (2 * most + 2).bit_length(), np.uint64)
    _measure(
        texts.characters,
        texts.starts,
        class_table(),
        _ARROWS,
        hashes,
        lengths,
        table,
        counts,
        of_classes,
    )
    return counts, of_classes


@kernel
def _measure(  # type: ignore[no-untyped-def]
    characters, starts, classes, arrows, hashes, lengths, table, counts, of_classes
):
    for text in range(starts.shape[0] - 1):
        end = starts[text + 1]
        row = counts[text]
        of_class = of_classes[text]
        lines = 0
        sentences = 0
        first = np.int64(-1)  # of the line's visible characters; -1 where it has none yet
        last = np.int64(-1)
        last_but_closing = np.uint8(SPACE)
        has_mark = False
        sentence_start = starts[text]
        visible = 0  # of the sentence's characters
        dots = 0
        place = starts[text]
        while place <= end:
            run = place
            group = np.uint8(LINE_BREAK)  # as if one stood behind the text
            while place < end:
                group = classes[characters[place]]
                if group <= LINE_BREAK or group >= STOP:
                    break
                of_class[group] += 1
                has_mark |= group >= PUNCTUATION
                place += 1
            if place > run:
                # Characters that end nothing.
                first = run if first < 0 else first
                last = place - 1
                last_but_closing = np.uint8(LETTER)
                visible += place - run
                dots = 0
            character = np.uint32(10)
            if place < end:
                character = characters[place]
                of_class[group] += 1
            else:
                group = np.uint8(LINE_BREAK)
            if group >= STOP:
                first = place if first < 0 else first
                last = place
                has_mark = True
                if group != CLOSING and group != CLOSING_BRACKET:
                    last_but_closing = group
                row[_ELLIPSIS_CHARACTERS] += group == ELLIPSIS
                if character == 0x2E or character == 0x3002:
                    dots = dots + 1 if dots > 0 and characters[place - 1] == character else 1
                    row[_ELLIPSIS_CHARACTERS] += 3 if dots == 3 else np.int64(dots > 3)
                else:
                    dots = 0
            else:
                dots = 0
            if group in (STOP, ELLIPSIS, LINE_BREAK):
                if visible >= _SHORTEST_SENTENCE and visible <= _LONGEST_SENTENCE:
                    hashes[1, sentences] = _hash(characters, sentence_start, place, classes)
                    lengths[1, sentences] = visible
                    sentences += 1
                sentence_start = place + 1
                visible = 0
            else:
                visible += group != SPACE
            if group == LINE_BREAK:
                if first >= 0:
                    length = last - first + 1
                    hashes[0, lines] = _hash_with_spaces(characters, first, last + 1)
                    lengths[0, lines] = length
                    lines += 1
                    _count_line(row, length, last_but_closing, has_mark)
                    row[_MORE] += _offers_more(characters, first, last, classes, arrows)
                first = np.int64(-1)
                last_but_closing = np.uint8(SPACE)
                has_mark = False
            place += 1
        row[_LINES] = lines
        repeated, repeated_characters = _repeats(hashes[0], lengths[0], lines, table)
        row[_REPEATED] = repeated
        row[_REPEATED_CHARACTERS] = repeated_characters
        _, repeated_characters = _repeats(hashes[1], lengths[1], sentences, table)
        row[_REPEATED_SENTENCE_CHARACTERS] = repeated_characters


@inlined
def _count_line(row, length, last_but_closing, has_mark):  # type: ignore[no-untyped-def]
    row[_CHARACTERS] += length
    row[_LONGEST] = max(row[_LONGEST], length)
    row[_SHORT] += length < SHORT_LINE
    if last_but_closing in (STOP, FULL_STOP, ELLIPSIS):
        row[_ENDING] += 1
        row[_ENDING_CHARACTERS] += length
    if length < MENU_LINE and not has_mark:
        row[_MENU_CHARACTERS] += length


@inlined
def _hash_with_spaces(characters, start, stop):  # type: ignore[no-untyped-def]
    # Two at a time: each step has to wait for the one before.
    state = np.uint64(stop - start)
    for place in range(start, stop - 1, 2):
        pair = np.uint64(characters[place]) | np.uint64(characters[place + 1]) << np.uint64(32)
        state = absorb(state, pair)
    if (stop - start) & 1:
        state = absorb(state, np.uint64(characters[stop - 1]))
    return state


@inlined
def _hash(characters, start, stop, classes):  # type: ignore[no-untyped-def]
    """Of the visible characters."""
    state = np.uint64(1)  # not 0, on which a leading NUL would leave no trace
    for place in range(start, stop):
        if classes[characters[place]] != SPACE:
            state = absorb(state, np.uint64(characters[place]))
    return state


@kernel
def _repeats(hashes, lengths, count, table):  # type: ignore[no-untyped-def]
    """How many of the pieces repeat an earlier one, and the characters of those."""
    if count < 2:
        return 0, np.int64(0)
    size = 4
    while size < 2 * count:
        size *= 2
    table[:size] = 0  # no hash: the lowest bit of each is set
    repeated = 0
    characters = np.int64(0)
    mask = np.uint64(size - 1)
    for piece in range(count):
        key = hashes[piece] | np.uint64(1)
        slot = mix64(key) & mask
        while table[slot] != 0 and table[slot] != key:
            slot = (slot + np.uint64(1)) & mask
        if table[slot] == key:
            repeated += 1
            characters += lengths[piece]
        table[slot] = key
    return repeated, characters


@inlined
def _offers_more(characters, first, last, classes, arrows):  # type: ignore[no-untyped-def]
    """Whether a line ends in 展开, 更多, read more or three dots; closing marks may follow."""
    while last >= first:
        group = classes[characters[last]]
        if group != CLOSING and group != CLOSING_BRACKET and group != SPACE:
            is_arrow = False
            for arrow in arrows:
                is_arrow |= characters[last] == arrow
            if not is_arrow:
                break
        last -= 1
    if last < first:
        return False
    point = characters[last]
    if point == 0x2026:  # …
        return True
    if last < first + 1:
        return False
    before = characters[last - 1]
    if point == 0x5F00 or point == 0x958B:  # 开 開
        return before == 0x5C55  # 展
    if point == 0x591A:  # 多
        return before == 0x66F4  # 更
    if last < first + 2:
        return False
    if point == 0x2E or point == 0x3002:
        return before == point and characters[last - 2] == point
    if point | np.uint32(0x20) == 0x65:
        return _is_read_more(characters, first, last)
    return False


@inlined
def _is_read_more(characters, first, last):  # type: ignore[no-untyped-def]
    """Whether "read more" or "readmore", in any case, ends at `last`."""
    if last - first < 7:
        return False
    read = last - 4
    if characters[read] == 0x20:
        read -= 1
    if read - first < 3:
        return False
    letters = (0x72, 0x65, 0x61, 0x64, 0x6D, 0x6F, 0x72, 0x65)
    is_same = True
    for index in range(8):
        place = read - 3 + index if index < 4 else last - 7 + index
        is_same &= characters[place] | np.uint32(0x20) == letters[index]
    return is_same
