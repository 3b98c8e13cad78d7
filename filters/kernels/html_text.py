"""The text of a block: white space collapsed, entities decoded, characters counted.

White space is one blank, and nothing where it holds a line break and stands between two wide
characters, since a line wrapped in the source is no space in Chinese (CSS Text 3, §4.1.3). Lines of
a `pre` stay as they are, without blank ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from filters.kernels.compiling import inlined, kernel
from filters.kernels.html_entities import NOTHING, decode_entity, decode_reference

# Inclusive ranges of code points.
_SPACES = (
    *((0, 0), (9, 13), (28, 32), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A)),
    *((0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000)),
)
_WIDE = ((0x2E80, 0x2FFF), (0x3001, 0x9FFF), (0xF900, 0xFAFF), (0xFF00, 0xFFEF))
_HANZI = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF))
_CHINESE_MARKS = "，。！？；：、…"
_WESTERN_MARKS = ",;!?"  # marks where a space follows, so that code is not taken for prose


def _set(ranges: tuple[tuple[int, int], ...]) -> str:
    """The inside of a regular expression's character set."""
    return "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in ranges)


_SPACE_RUN = re.compile(f"[{_set(_SPACES)}]+")
_WRAPPED_LINE = re.compile(
    rf"(?<=[{_set(_WIDE)}])[{_set(_SPACES)}]*[\r\n][{_set(_SPACES)}]*(?=[{_set(_WIDE)}])"
)
_MARK = re.compile(rf"[{_CHINESE_MARKS}]|[{_WESTERN_MARKS}](?=[{_set(_SPACES)}]|$)")
_ONE_HANZI = re.compile(f"[{_set(_HANZI)}\U00020000-\U0003ffff]")


@dataclass
class Block:
    """What a browser shows as one paragraph.

    Attributes:
      text: one line; of a `pre` one or more.
      link_characters: how many of the text, without white space, stand inside links.
      marks: of sentences.
      hanzi: Chinese characters.
      flags: of the element that it is in (`html_elements`).
    """

    text: str
    link_characters: int
    marks: int
    hanzi: int
    flags: int

    @classmethod
    def of(cls, text: str, link_characters: int = 0, flags: int = 0) -> Block:
        """The block with a text, whose marks and hanzi are counted."""
        return cls(
            text, link_characters, len(_MARK.findall(text)), len(_ONE_HANZI.findall(text)), flags
        )

    @property
    def characters(self) -> int:
        """Length of the text."""
        return len(self.text)


@dataclass
class BlockText:
    """The text of the block that is being read."""

    parts: list[str] = field(default_factory=list)
    link_characters: int = 0

    def add(self, source: str, is_link: bool) -> None:
        """Adds text as it stands in the page."""
        text = decode_reference(source)
        self.parts.append(text)
        if is_link:
            self.link_characters += len(_SPACE_RUN.sub("", text))

    def finish(self, flags: int, is_preformatted: bool) -> Block | None:
        """The block, and a new beginning; None if there is nothing but white space."""
        text = "".join(self.parts)
        links = self.link_characters
        self.parts.clear()
        self.link_characters = 0
        if is_preformatted:
            text = _preformatted(text)
        else:
            text = _SPACE_RUN.sub(" ", _WRAPPED_LINE.sub("", text)).strip(" ")
        return Block.of(text, links, flags) if text else None


def _preformatted(text: str) -> str:
    spaces = "".join(chr(c) for first, last in _SPACES for c in range(first, last + 1))
    lines = (line.rstrip(spaces) for line in re.split("[\r\n]", text))
    return "\n".join(line for line in lines if line).replace("\0", " ")


# Classes of characters, one bit each.
_SPACE, _MARK_BIT, _WIDE_BIT, _HANZI_BIT = 1, 2, 4, 8


def _classes() -> np.ndarray:
    """Bits of every code point of the first plane: uint8 (65536,)."""
    classes = np.zeros(0x10000, np.uint8)
    for bit, ranges in ((_SPACE, _SPACES), (_WIDE_BIT, _WIDE), (_HANZI_BIT, _HANZI)):
        for first, last in ranges:
            classes[first : last + 1] |= bit
    classes[[ord(mark) for mark in _CHINESE_MARKS]] |= _MARK_BIT
    return classes


_CLASSES = _classes()

# What the kernel keeps of the block that it reads: int64 (BLOCK_STATE,).
START = 0  # in the text
END = 1
SOLID_END = 2  # after the last character that is no space
CHARACTERS = 3  # up to END
SOLID_CHARACTERS = 4
LINK_CHARACTERS = 5
MARKS = 6
HANZI = 7
LAST = 8  # the last character that is no space
HAS_BREAK = 9  # there is a line break among the spaces after it
BLOCK_STATE = 10


@inlined
def is_western_mark(character):  # type: ignore[no-untyped-def]
    """Comma, semicolon, exclamation and question mark of Western writing."""
    return character == 44 or character == 59 or character == 33 or character == 63


@kernel
def start_block(block, start):  # type: ignore[no-untyped-def]
    """Begins a block whose text will stand from `start` on."""
    block[:] = 0
    block[START] = start
    block[END] = start
    block[SOLID_END] = start


@kernel
def add_text(page, place, end, is_link, is_preformatted, text, block):  # type: ignore[no-untyped-def]
    """Adds the text from page[place] up to the next < after it.

    Args:
      page: uint8 (n,), UTF-8; place, end: int64.
      is_link, is_preformatted: what the text stands in.
      text: uint8; receives UTF-8.
      block: int64 (BLOCK_STATE,).

    Returns:
      int64, the place of the next <, or `end`. A < at `place` itself counts as text.
    """
    start = block[START]
    written = block[END]
    solid = block[SOLID_END]
    characters = block[CHARACTERS]
    solid_characters = block[SOLID_CHARACTERS]
    links = block[LINK_CHARACTERS]
    marks = block[MARKS]
    hanzi = block[HANZI]
    last = block[LAST]
    has_break = block[HAS_BREAK] != 0
    first = place
    second = np.int64(0)  # of a reference that stands for two characters
    while place < end or second != 0:
        if second != 0:
            character = second
            second = np.int64(0)
        else:
            byte = page[place]
            if byte == 60 and place > first:  # <
                break
            if byte == 38:  # &
                character, second, place = decode_entity(page, place, end)
                if character == NOTHING:
                    continue
            else:
                character, place = _decode_character(page, place, end)
        kind = np.uint8(0)
        if character < 0x10000:
            kind = _CLASSES[character]
        elif 0x20000 <= character < 0x40000:
            kind = np.uint8(_HANZI_BIT)
        if kind & _SPACE:
            is_break = character == 10 or character == 13
            has_break = has_break or is_break
            if is_preformatted:
                if is_break:
                    written = solid
                    characters = solid_characters
                if not is_break or solid > start:
                    shown = 10 if is_break else (32 if character == 0 else character)
                    written = write_character(np.int64(shown), text, written)
                    characters += 1
            elif written == solid and written > start:
                text[written] = 32
                written += 1
                characters += 1
            continue
        if written != solid:
            marks += is_western_mark(last)
            is_wrapped = has_break and not is_preformatted
            if is_wrapped and kind & _WIDE_BIT and _is_wide(last):
                written = solid
                characters = solid_characters
        has_break = False
        written = write_character(character, text, written)
        solid = written
        characters += 1
        solid_characters = characters
        links += is_link
        marks += (kind & _MARK_BIT) != 0
        hanzi += (kind & _HANZI_BIT) != 0
        last = character
    block[END] = written
    block[SOLID_END] = solid
    block[CHARACTERS] = characters
    block[SOLID_CHARACTERS] = solid_characters
    block[LINK_CHARACTERS] = links
    block[MARKS] = marks
    block[HANZI] = hanzi
    block[LAST] = last
    block[HAS_BREAK] = has_break
    return place


@inlined
def _decode_character(page, place, end):  # type: ignore[no-untyped-def]
    """The character at a place and the place after it; a byte of no character is a blank."""
    byte = np.int64(page[place])
    if byte < 0x80:
        return byte, place + 1
    if 0xE0 <= byte < 0xF0 and place + 2 < end:
        middle = np.int64(page[place + 1]) & 0x3F
        return (byte & 0x0F) << 12 | middle << 6 | (np.int64(page[place + 2]) & 0x3F), place + 3
    if 0xC0 <= byte < 0xE0 and place + 1 < end:
        return (byte & 0x1F) << 6 | (np.int64(page[place + 1]) & 0x3F), place + 2
    if byte >= 0xF0 and place + 3 < end:
        high = (byte & 0x07) << 18 | (np.int64(page[place + 1]) & 0x3F) << 12
        low = (np.int64(page[place + 2]) & 0x3F) << 6 | (np.int64(page[place + 3]) & 0x3F)
        return high | low, place + 4
    return np.int64(32), place + 1


@inlined
def _is_wide(character):  # type: ignore[no-untyped-def]
    return character < 0x10000 and (_CLASSES[character] & _WIDE_BIT) != 0


@inlined
def write_character(character, text, place):  # type: ignore[no-untyped-def]
    """Writes a character as UTF-8; the place after it."""
    if character < 0x80:
        text[place] = character
        return place + 1
    if character < 0x800:
        text[place] = 0xC0 | (character >> 6)
        text[place + 1] = 0x80 | (character & 0x3F)
        return place + 2
    if character < 0x10000:
        text[place] = 0xE0 | (character >> 12)
        text[place + 1] = 0x80 | ((character >> 6) & 0x3F)
        text[place + 2] = 0x80 | (character & 0x3F)
        return place + 3
    text[place] = 0xF0 | (character >> 18)
    text[place + 1] = 0x80 | ((character >> 12) & 0x3F)
    text[place + 2] = 0x80 | ((character >> 6) & 0x3F)
    text[place + 3] = 0x80 | (character & 0x3F)
    return place + 4
