"""How many Chinese characters the raw bytes of a page show, before anything is decoded.

Three kinds of evidence, whatever charset the page says it has:

- UTF-8: a sequence of three bytes that begins with E4 to E9, which are the hanzi U+4000 to U+9FFF;
- GBK, Big5 and their like: three or more double-byte characters in a row. A letter with an accent
  in a Western page, together with the ASCII letter behind it, is such a character by chance, three
  of them without anything between are not;
- character references of hanzi, `&#20013;` or `&#x4e2d;`, as pages are written that must pass
  through ASCII.

Other well-formed UTF-8 sequences say nothing and interrupt nothing, so that pages in Cyrillic, Thai
or Korean UTF-8 show no Chinese. Counting stops as soon as there is enough.
"""

from __future__ import annotations

import re

import numpy as np

from filters.kernels.compiling import inlined, kernel

# Double-byte characters in a row that are no accident.
LEAST_CHAIN = 3
# Eight bytes at a time: the highest bit of each, the lowest bit of each, an ampersand in each.
_HIGH_BITS = np.uint64(0x8080808080808080)
_LOW_BITS = np.uint64(0x0101010101010101)
_AMPERSANDS = np.uint64(0x2626262626262626)
_NO_WORDS = np.frombuffer(bytes(8), np.uint64)[:0]

_HANZI_UTF8 = re.compile(rb"[\xe4-\xe9][\x80-\xbf]{2}")
_OTHER_UTF8 = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xe3\xea-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_DOUBLE_BYTE = re.compile(rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]")
_CHARACTER_REFERENCE = re.compile(rb"&#(?:[xX]([0-9A-Fa-f]{1,6})|([0-9]{1,7}))")


def count_chinese_reference(body: bytes, enough: int) -> int:
    """What `count_chinese` computes, in plain Python."""
    count = chain = place = 0
    while place < len(body) and count < enough:
        if match := _HANZI_UTF8.match(body, place):
            count += 1
            chain = 0
        elif match := _OTHER_UTF8.match(body, place):
            pass
        elif match := _DOUBLE_BYTE.match(body, place):
            chain += 1
            if chain >= LEAST_CHAIN:
                count += LEAST_CHAIN if chain == LEAST_CHAIN else 1
        else:
            chain = 0
            match = _CHARACTER_REFERENCE.match(body, place)
            if match:
                count += _is_hanzi(int(match[1], 16) if match[1] else int(match[2]))
        place = match.end() if match else place + 1
    return min(count, enough)


def count_chinese(body: bytes, enough: int) -> int:
    """Chinese characters that the bytes of a page show.

    Args:
      body: a page in any encoding in which ASCII stands for itself.
      enough: counting stops here.

    Returns:
      From 0 to enough.
    """
    if not body:
        return 0
    words = np.frombuffer(body, np.uint64, len(body) // 8) if len(body) >= 8 else _NO_WORDS
    count: int = _count(np.frombuffer(body, np.uint8), words, enough)
    return count


def _is_hanzi(point: int) -> bool:
    return 0x3400 <= point <= 0x9FFF or 0xF900 <= point <= 0xFAFF or 0x20000 <= point <= 0x3FFFF


@kernel
def _count(body, words, enough):  # type: ignore[no-untyped-def]
    """The count for uint8 (n,) and the same bytes as uint64 (n // 8,), both read-only."""
    size = body.shape[0]
    count = 0
    chain = 0
    place = 0
    while place < size and count < enough:
        byte = body[place]
        if byte < 0x80:
            chain = 0
            if byte == 0x26:
                place, point = _read_reference(body, place)
                count += _is_hanzi_point(point)
            else:
                place = _skip_plain(body, words, place + 1)
            continue
        length = _utf8_length(body, place)
        if length == 3 and byte >= 0xE4 and byte <= 0xE9:
            count += 1
            chain = 0
            place += 3
        elif length > 0:
            place += length
        elif _is_double_byte(body, place):
            chain += 1
            if chain == LEAST_CHAIN:
                count += LEAST_CHAIN
            elif chain > LEAST_CHAIN:
                count += 1
            place += 2
        else:
            chain = 0
            place += 1
    return min(count, enough)


@inlined
def _skip_plain(body, words, place):  # type: ignore[no-untyped-def]
    """The next place that may hold a byte beyond ASCII or an ampersand."""
    size = body.shape[0]
    while place < size and body[place] < 0x80 and body[place] != 0x26:
        place += 1
        if place % 8 == 0:
            word = place // 8
            while word < words.shape[0] and _is_plain(words[word]):
                word += 1
            place = word * 8
    return place


@inlined
def _is_plain(word):  # type: ignore[no-untyped-def]
    """Whether eight bytes are ASCII without an ampersand."""
    # A byte of `ampersands` is 0 where the word has one; taking 1 from it sets its highest bit.
    ampersands = word ^ _AMPERSANDS
    found = word | ((ampersands - _LOW_BITS) & ~ampersands)
    return found & _HIGH_BITS == 0


@inlined
def _utf8_length(body, place):  # type: ignore[no-untyped-def]
    """Bytes of the UTF-8 sequence that begins here; 0 if none does."""
    lead = body[place]
    if lead < 0xC2 or lead > 0xF4:
        return 0
    length = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    if place + length > body.shape[0]:
        return 0
    for index in range(place + 1, place + length):
        if body[index] & 0xC0 != 0x80:
            return 0
    return length


@inlined
def _is_double_byte(body, place):  # type: ignore[no-untyped-def]
    """Whether a character of GBK's or Big5's form begins here."""
    if body[place] < 0x81 or body[place] > 0xFE or place + 1 >= body.shape[0]:
        return False
    trail = body[place + 1]
    return trail >= 0x40 and trail != 0x7F and trail <= 0xFE


@inlined
def _is_hanzi_point(point):  # type: ignore[no-untyped-def]
    return (
        (point >= 0x3400 and point <= 0x9FFF)
        or (point >= 0xF900 and point <= 0xFAFF)
        or (point >= 0x20000 and point <= 0x3FFFF)
    )


@inlined
def _read_reference(body, place):  # type: ignore[no-untyped-def]
    """Where to go on behind an ampersand, and the code point it refers to; 0 if to none."""
    size = body.shape[0]
    if place + 1 >= size or body[place + 1] != 0x23:
        return place + 1, 0
    start = place + 2
    is_hexadecimal = start < size and (body[start] | 0x20) == 0x78
    base = 16 if is_hexadecimal else 10
    most = 6 if is_hexadecimal else 7
    if is_hexadecimal:
        start += 1
    index = start
    point = 0
    while index < size and index < start + most:
        digit = _digit(body[index])
        if digit >= base:
            break
        point = point * base + digit
        index += 1
    return (index, point) if index > start else (place + 1, 0)


@inlined
def _digit(byte):  # type: ignore[no-untyped-def]
    """Value of a hexadecimal digit; 16 for other bytes."""
    if byte >= 0x30 and byte <= 0x39:
        return np.int64(byte) - 0x30
    letter = byte | 0x20
    if letter >= 0x61 and letter <= 0x66:
        return np.int64(letter) - 0x61 + 10
    return np.int64(16)
