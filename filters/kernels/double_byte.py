"""Double-byte text to UTF-8, at the speed of a table look-up.

What a Python codec makes of every byte and every pair of bytes is asked once and kept. A page that
consists of nothing else is then converted without a Python string in between; any other page (four
bytes in GB18030, three in EUC-JP, damage) is left to the codec.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from filters.kernels.compiling import inlined, kernel

# Code points that stand for: no character; a pair that is two characters (in Big5-HKSCS).
NONE, SEVERAL = 0, 1
_LEADS = range(0x80, 0x100)
_TRAILS = [trail for trail in range(0x30, 0x100) if trail != 0x7F]
_HIGH_BITS = np.uint64(0x8080808080808080)


@dataclass(frozen=True)
class DoubleByteTable:
    """What a codec makes of bytes, as code points, NONE or SEVERAL.

    Attributes:
      singles: uint32 (256,), by byte.
      pairs: uint32 (65536,), by 256 × first + second byte; NONE where the first byte is a character
        by itself.
    """

    singles: np.ndarray
    pairs: np.ndarray


def double_byte_table(codec: str, instead: Mapping[str, str]) -> DoubleByteTable:
    """The table of a Python codec in which ASCII stands for itself.

    Args:
      codec: name of the codec.
      instead: characters to put in the place of some that the codec gives.
    """

    def point(text: str) -> int:
        if len(text) == 1 and text != "\ufffd":
            return ord(instead.get(text, text))
        whole = len(text) == 2 and "\ufffd" not in text and text[1] > "\x7f"
        return SEVERAL if whole else NONE

    singles = np.arange(256, dtype=np.uint32)
    pairs = np.zeros(65536, np.uint32)
    for lead in _LEADS:
        singles[lead] = point(bytes((lead,)).decode(codec, "replace"))
        if singles[lead] == NONE:
            # All at once: a line break ends every character, also a broken one.
            lines = b"\n".join(bytes((lead, trail)) for trail in _TRAILS).decode(codec, "replace")
            for trail, text in zip(_TRAILS, lines.split("\n"), strict=True):
                pairs[256 * lead + trail] = point(text)
    return DoubleByteTable(singles, pairs)


def double_byte_to_utf8_reference(body: bytes, table: DoubleByteTable) -> bytes | None:
    """What `double_byte_to_utf8` computes, in plain Python."""
    characters = []
    place = 0
    while place < len(body):
        one, two = body[place : place + 2].ljust(2, b" ")
        pair = int(table.pairs[256 * one + two])
        point = pair or int(table.singles[one])
        if point in (NONE, SEVERAL) and one >= 0x80:
            return None
        characters.append(chr(point))
        place += 2 if pair else 1
    return "".join(characters).encode()


def double_byte_to_utf8(body: bytes, table: DoubleByteTable) -> bytes | None:
    """Converts a page, or gives None if something in it is not in the table."""
    if not body:
        return b""
    data = np.frombuffer(body, np.uint8)
    # A byte becomes three at most: half-width katakana.
    utf8 = np.empty(3 * len(body) + 1, np.uint8)
    size = _to_utf8(data, table.singles, table.pairs, utf8)
    return utf8[:size].tobytes() if size >= 0 else None


@kernel
def _to_utf8(body, singles, pairs, utf8):  # type: ignore[no-untyped-def]
    """Writes uint8 (n,), read-only, as UTF-8; returns its size, or -1 if that cannot be done."""
    size = 0
    place = 0
    while place < body.shape[0]:
        end = next_beyond_ascii(body, place)
        for index in range(place, end):
            utf8[size + index - place] = body[index]
        size += end - place
        place = end
        while place < body.shape[0] and body[place] >= 0x80:
            one = np.int64(body[place])
            width = 2
            point = np.uint32(NONE)
            if place + 1 < body.shape[0]:
                point = pairs[256 * one + np.int64(body[place + 1])]
            if point == NONE:
                point = singles[one]
                width = 1
            if point <= SEVERAL:
                return -1
            size = _write(utf8, size, point)
            place += width
    return size


@inlined
def _write(utf8, size, point):  # type: ignore[no-untyped-def]
    """Writes one character; returns where the next one goes."""
    if point < 0x80:
        utf8[size] = point
        return size + 1
    if point < 0x800:
        utf8[size] = 0xC0 | (point >> np.uint32(6))
        utf8[size + 1] = 0x80 | (point & np.uint32(0x3F))
        return size + 2
    if point < 0x10000:
        utf8[size] = 0xE0 | (point >> np.uint32(12))
        utf8[size + 1] = 0x80 | ((point >> np.uint32(6)) & np.uint32(0x3F))
        utf8[size + 2] = 0x80 | (point & np.uint32(0x3F))
        return size + 3
    utf8[size] = 0xF0 | (point >> np.uint32(18))
    utf8[size + 1] = 0x80 | ((point >> np.uint32(12)) & np.uint32(0x3F))
    utf8[size + 2] = 0x80 | ((point >> np.uint32(6)) & np.uint32(0x3F))
    utf8[size + 3] = 0x80 | (point & np.uint32(0x3F))
    return size + 4


@inlined
def next_beyond_ascii(body, place):  # type: ignore[no-untyped-def]
    """The next place of uint8 (n,) with a byte beyond ASCII, or n."""
    size = body.shape[0]
    while place < size and body[place] < 0x80:
        place += 1
        if place % 8 == 0:
            words = body[: size // 8 * 8].view(np.uint64)
            word = place // 8
            while word < words.shape[0] and words[word] & _HIGH_BITS == 0:
                word += 1
            place = word * 8
    return place
