"""Which lines may hold personal data: the few that are worth a closer look.

A line is a candidate where it has eleven digits in a row (spaces or hyphens between them), four
numbers joined by dots, three colons among hexadecimal digits, an @ between letters, or a word such
as 微信 shortly before a name. Whether it *is* personal data is decided by `filters.personal_data`.
"""

from __future__ import annotations

import re

import numpy as np

from filters.kernels.compiling import inlined, kernel
from filters.kernels.text_batch import TextBatch

# From the word for a chat service to the first character of a name: 「微信号是：」.
LONGEST_LINK = 8
SHORTEST_NAME = 5
_FEWEST_DIGITS = 11

_CANDIDATE = re.compile(
    rf"""
      [0-9](?:[ -]?[0-9]){{{_FEWEST_DIGITS - 1}}}
    | [0-9](?:\.[0-9]+){{3}}
    | :[0-9A-Fa-f]*:[0-9A-Fa-f]*:
    | [A-Za-z0-9._%+-][@＠][A-Za-z0-9]
    | (?:[Qq][Qq]|扣扣|企鹅|[微薇威]信|[Vv][Xx信]|[Ww][Xx]|[Ww]e(?:chat|ixin)|加[Vv微])
      [^A-Za-z0-9\n]{{0,{LONGEST_LINK}}}[A-Za-z0-9][A-Za-z0-9_-]{{{SHORTEST_NAME - 1}}}
    """,
    re.VERBOSE,
)


def is_candidate(line: str) -> bool:
    """The reference: whether a line may hold personal data."""
    return _CANDIDATE.search(line) is not None


def candidate_lines(texts: TextBatch) -> np.ndarray:
    """Where the candidates are.

    Args:
      texts: a batch; lines end at line feeds.

    Returns:
      int64 (candidates, 3): text, start and end of each among the batch's characters, in order.
    """
    lines, count = _candidate_lines(texts.characters, texts.starts, _KINDS)
    found: np.ndarray = lines[:count]
    return found


# What a character may begin. Everything else is passed over with one look into this table.
_ORDINARY, _LINE_FEED, _DIGIT, _COLON, _AT, _WORD = range(6)


def _kinds_of_characters() -> np.ndarray:
    kinds = np.zeros(0x10000, np.uint8)
    for characters, kind in (
        ("\n", _LINE_FEED),
        ("0123456789", _DIGIT),
        (":", _COLON),
        ("@＠", _AT),
        ("Qq扣企微薇威VvWw加", _WORD),
    ):
        kinds[[ord(character) for character in characters]] = kind
    return kinds


_KINDS = _kinds_of_characters()


@kernel
def _candidate_lines(characters, starts, kinds):  # type: ignore[no-untyped-def]
    lines = np.empty((64, 3), np.int64)
    count = 0
    for text in range(starts.shape[0] - 1):
        end = starts[text + 1]
        place = starts[text]
        line_start = place
        while place < end:
            place, line_start, found = _next_sign(characters, place, line_start, end, kinds)
            if found:
                while place < end and characters[place] != 10:
                    place += 1
                if count == lines.shape[0]:
                    longer = np.empty((2 * count, 3), np.int64)
                    longer[:count] = lines
                    lines = longer
                lines[count, 0] = text
                lines[count, 1] = line_start
                lines[count, 2] = place
                count += 1
    return lines, count


@kernel
def _next_sign(characters, place, line_start, end, kinds):  # type: ignore[no-untyped-def]
    """The next place that makes its line a candidate: place, where its line starts, True."""
    # A function of its own: within the loop that fills `lines` it would run 30 times slower.
    while place < end:
        character = characters[place]
        kind = kinds[character] if character < 0x10000 else np.uint8(_ORDINARY)
        if kind == _ORDINARY:
            place += 1
        elif kind == _LINE_FEED:
            place += 1
            line_start = place
        elif kind == _DIGIT:
            place, found = _number(characters, place, end)
            if found:
                return place, line_start, True
        else:
            if kind == _COLON:
                found = _three_colons(characters, place, end)
            elif kind == _AT:
                found = _mail_sign(characters, place, line_start, end)
            else:
                found = _name_follows(characters, place, end)
            if found:
                return place, line_start, True
            place += 1
    return end, line_start, False


@inlined
def _number(characters, place, end):  # type: ignore[no-untyped-def]
    """From a digit: where its number ends, or True where it is long or dotted enough."""
    digits = 0
    dots = 0
    while place < end:
        character = characters[place]
        if _is_digit(character):
            digits += 1
            if digits == _FEWEST_DIGITS:
                return place, True
        else:
            if place + 1 >= end or not _is_digit(characters[place + 1]):
                break
            if character == 46:  # .
                dots += 1
                digits = 0
                if dots == 3:
                    return place, True
            elif character == 32 or character == 45:  # space, -
                dots = 0
            else:
                break
        place += 1
    return place, False


@inlined
def _three_colons(characters, place, end):  # type: ignore[no-untyped-def]
    colons = 0
    while place < end:
        character = characters[place]
        if character == 58:
            colons += 1
            if colons == 3:
                return True
        elif not (_is_digit(character) or 97 <= (character | 32) <= 102):  # a-f
            return False
        place += 1
    return False


@inlined
def _mail_sign(characters, place, line_start, end):  # type: ignore[no-untyped-def]
    if place == line_start or place + 1 >= end:
        return False
    before = characters[place - 1]
    is_local = _is_alphanumeric(before) or before in (46, 95, 37, 43, 45)  # . _ % + -
    return is_local and _is_alphanumeric(characters[place + 1])


@inlined
def _name_follows(characters, place, end):  # type: ignore[no-untyped-def]
    """Whether the word for a chat service is here, and a name of enough characters soon after."""
    word = _word_length(characters, place, end)
    if word == 0:
        return False
    start = place + word
    limit = min(end, start + LONGEST_LINK)
    while start < limit and characters[start] != 10 and not _is_alphanumeric(characters[start]):
        start += 1
    if start + SHORTEST_NAME > end or not _is_alphanumeric(characters[start]):
        return False
    for index in range(start + 1, start + SHORTEST_NAME):
        character = characters[index]
        if not (_is_alphanumeric(character) or character == 45 or character == 95):
            return False
    return True


@inlined
def _word_length(characters, place, end):  # type: ignore[no-untyped-def]
    """Characters of the word that begins here: QQ 扣扣 企鹅 微信 vx V信 wx wechat 加V …; or 0."""
    if place + 1 >= end:
        return 0
    first = characters[place]
    second = characters[place + 1]
    small = second | 32 if second < 128 else second
    if first == 0x51 or first == 0x71:  # Q q
        return 2 if small == 0x71 else 0
    if first == 0x56 or first == 0x76:  # V v
        return 2 if small == 0x78 or second == 0x4FE1 else 0  # x 信
    if first == 0x57 or first == 0x77:  # W w
        if small == 0x78:
            return 2
        if second == 0x65 and place + 5 < end:
            chat = (0x63, 0x68, 0x61, 0x74)
            ixin = (0x69, 0x78, 0x69, 0x6E)
            is_chat = True
            is_ixin = True
            for index in range(4):
                is_chat = is_chat and characters[place + 2 + index] == chat[index]
                is_ixin = is_ixin and characters[place + 2 + index] == ixin[index]
            return 6 if is_chat or is_ixin else 0
        return 0
    if first == 0x6263:  # 扣
        return 2 if second == 0x6263 else 0
    if first == 0x4F01:  # 企 鹅
        return 2 if second == 0x9E45 else 0
    if first == 0x52A0:  # 加 V, v, 微
        return 2 if small == 0x76 or second == 0x5FAE else 0
    return 2 if second == 0x4FE1 else 0  # 微 薇 威, before 信


@inlined
def _is_digit(character):  # type: ignore[no-untyped-def]
    return 48 <= character <= 57


@inlined
def _is_alphanumeric(character):  # type: ignore[no-untyped-def]
    return _is_digit(character) or (character < 128 and 97 <= (character | 32) <= 122)
