"""Character references in the text of a page: `&nbsp;`, `&#20013;`, `&#x4e2d;`, `&copy`.

The reference is Python's `html.unescape`, which is the rule of the HTML Standard (13.2.5.72 and
following): the longest known name, for some old names also without a semicolon, and numbers with
the corrections for Windows-1252.
"""

from __future__ import annotations

import html
import html.entities

import numpy as np

from filters.kernels.compiling import kernel
from filters.kernels.html_tags import HASH_START, hash_byte, key, key_of


def decode_reference(text: str) -> str:
    """The text with every character reference replaced."""
    return html.unescape(text)


_SLOTS = 8192
_LONGEST_NAME = max(len(name) for name in html.entities.html5)
_LONGEST_OPEN_NAME = max(len(name) for name in html.entities.html5 if not name.endswith(";"))
_NUMBERS = 160  # below this the standard replaces some numbers
_REPLACEMENT = 0xFFFD
_BEYOND = 0x110000


def _case_key(name: str) -> int:
    """As `key_of`, but of capitals and small letters apart: &Auml; is not &auml;."""
    return key_of("".join("^" + c if c.isupper() else c for c in name))


def _table() -> tuple[np.ndarray, np.ndarray]:
    """Open addressing: int64 (slots,) keys of names, int32 (slots, 2) their characters."""
    keys, characters = np.zeros(_SLOTS, np.int64), np.zeros((_SLOTS, 2), np.int32)
    for name, value in html.entities.html5.items():
        slot = _case_key(name) & (_SLOTS - 1)
        while keys[slot]:
            slot = (slot + 1) % _SLOTS
        keys[slot] = _case_key(name)
        characters[slot, : len(value)] = [ord(c) for c in value]
    return keys, characters


def _small_numbers() -> np.ndarray:
    """Characters that numbers below 160 stand for: int32; -1 for none."""
    values = (html.unescape(f"&#{number};") for number in range(_NUMBERS))
    return np.array([ord(value) if value else -1 for value in values], np.int32)


_KEYS, _CHARACTERS = _table()
_SMALL_NUMBERS = _small_numbers()
_CAPITAL = np.uint8(ord("^"))
NOTHING = -1  # a reference to a character that no page may hold
_AMPERSAND = np.int64(ord("&"))
_NONE = np.int64(0)


@kernel
def decode_entity(page, place, end):  # type: ignore[no-untyped-def]
    """Decodes the reference that begins with the & at page[place].

    Args:
      page: uint8 (n,).
      place: int64, of the &.
      end: int64, where the page ends.

    Returns:
      three int64: the character, NOTHING where the reference stands for none; a second character
      or 0; the place after the reference. A & that begins no reference stands for itself.
    """
    if place + 1 < end and page[place + 1] == 35:  # #
        return _decode_number(page, place, end)
    first = _AMPERSAND
    second = _NONE
    after = place + 1
    hashed = HASH_START
    for here in range(place + 1, min(place + 1 + _LONGEST_NAME, end)):
        byte = page[here]
        is_small = 97 <= byte <= 122 or 48 <= byte <= 57
        is_capital = 65 <= byte <= 90
        if not (is_small or is_capital or byte == 59):
            break
        if is_capital:
            hashed = hash_byte(hashed, _CAPITAL)
        hashed = hash_byte(hashed, byte)
        if byte == 59 or here - place <= _LONGEST_OPEN_NAME:
            name = key(hashed)
            slot = name & (_SLOTS - 1)
            while _KEYS[slot] != 0 and _KEYS[slot] != name:
                slot = (slot + 1) & (_SLOTS - 1)
            if _KEYS[slot] == name:
                first = np.int64(_CHARACTERS[slot, 0])
                second = np.int64(_CHARACTERS[slot, 1])
                after = here + 1
        if byte == 59:
            break
    return first, second, after


@kernel
def _decode_number(page, place, end):  # type: ignore[no-untyped-def]
    """Decodes &#…; or &#x…; as `decode_entity` does."""
    here = place + 2
    base = np.int64(10)
    if here < end and (page[here] | 32) == 120:  # x
        base = np.int64(16)
        here += 1
    start = here
    number = np.int64(0)
    while here < end:
        byte = np.int64(page[here])
        if 48 <= byte <= 57:
            digit = byte - 48
        elif base == 16 and 97 <= (byte | 32) <= 102:
            digit = (byte | 32) - 87
        else:
            break
        number = min(number * base + digit, _BEYOND)
        here += 1
    if here == start:
        return _AMPERSAND, _NONE, place + 1
    if here < end and page[here] == 59:
        here += 1
    character = number
    if number < _NUMBERS:
        character = np.int64(_SMALL_NUMBERS[number])
    elif number >= _BEYOND or 0xD800 <= number <= 0xDFFF:
        character = np.int64(_REPLACEMENT)
    elif 0xFDD0 <= number <= 0xFDEF or (number & 0xFFFE) == 0xFFFE:
        character = np.int64(NOTHING)
    return character, _NONE, here
