"""What each tag means for the text of a page, and what names authors give to boxes beside it.

Everything else in the HTML kernels asks this vocabulary; nothing else names a tag. A tag is known
by the hash of its name and by the groups that it belongs to.
"""

from __future__ import annotations

import re

import numpy as np

from filters.kernels.compiling import inlined, kernel

# Groups, one bit each.
BLOCK = 1 << 0  # begins and ends a paragraph
VOID = 1 << 1  # has no content and no end tag
SKIPPED = 1 << 2  # its content is never running text of the page
RAW = 1 << 3  # its content holds no tags but its own end tag
HEADING = 1 << 4
FIRST_HEADING = 1 << 5  # h1
PARAGRAPH = 1 << 6
ITEM = 1 << 7
LIST = 1 << 8
TERM = 1 << 9  # dt, dd
CELL = 1 << 10
ROW = 1 << 11
ROWS = 1 << 12  # tbody, thead, tfoot
TABLE = 1 << 13
CAPTION = 1 << 14
SCOPE = 1 << 15  # an end tag inside does not close what is open outside
PREFORMATTED = 1 << 16
PART_OF_TEXT = 1 << 17  # a box that is part of the text around it
LINK = 1 << 18
PAGE = 1 << 19  # html, body: open as long as the page is
META = 1 << 20
TITLE = 1 << 21
RUBY = 1 << 22
READING = 1 << 23  # how a character of a ruby is spoken

TABLE_PART = CELL | ROW | ROWS | CAPTION

_GROUPS = {
    "html body": BLOCK | PAGE,
    "br hr": BLOCK | VOID,
    "address article center details dialog div fieldset figcaption figure form header hgroup main "
    "section summary": BLOCK,
    "blockquote": BLOCK | PART_OF_TEXT,
    "aside footer nav": BLOCK | SKIPPED,
    "h1": BLOCK | HEADING | FIRST_HEADING,
    "h2 h3 h4 h5 h6": BLOCK | HEADING,
    "p": BLOCK | PARAGRAPH,
    "pre listing": BLOCK | PREFORMATTED | PART_OF_TEXT,
    "ol ul": BLOCK | LIST | PART_OF_TEXT,
    "dir menu": BLOCK | LIST,
    "li": BLOCK | ITEM,
    "dl": BLOCK | LIST | PART_OF_TEXT,
    "dd dt": BLOCK | TERM,
    "table": BLOCK | TABLE | SCOPE,
    "caption": BLOCK | CAPTION | SCOPE,
    "tbody tfoot thead": BLOCK | ROWS,
    "tr": BLOCK | ROW,
    "td th": BLOCK | CELL | SCOPE,
    "template": BLOCK | SKIPPED | SCOPE,
    "button object": SKIPPED | SCOPE,
    "annotation audio canvas map optgroup option select svg video": SKIPPED,
    "iframe noembed noframes noscript script style textarea xmp": SKIPPED | RAW,
    "title": RAW | TITLE,
    "area base col embed img input link param source track wbr": VOID,
    "meta": VOID | META,
    "a": LINK,
    "ruby": RUBY,
    "rp rt": SKIPPED | READING,
}
GROUPS_BY_TAG = {tag: groups for tags, groups in _GROUPS.items() for tag in tags.split()}


@kernel
def closed_by_start(groups):  # type: ignore[no-untyped-def]
    """What the start of an element closes, as in browsers (HTML Standard, 13.2.6.4.7 and after).

    For instance an `li` closes the `li` before it, but none outside of the list that it is in.
    This rule and the next are both readers' own: the reference calls them as they are.

    Returns:
      two pairs of int64: the groups whose innermost open element is closed, and the groups that
      protect what is outside of them; 0 closes nothing.
    """
    if groups & ITEM:
        return ITEM, LIST | SCOPE, PARAGRAPH, SCOPE
    if groups & TERM:
        return TERM, LIST | SCOPE, PARAGRAPH, SCOPE
    if groups & CELL:
        return CELL | CAPTION, ROW | ROWS | TABLE, 0, 0
    if groups & ROW:
        return ROW | CAPTION, ROWS | TABLE, 0, 0
    if groups & (ROWS | CAPTION):
        return ROWS | CAPTION, TABLE, 0, 0
    if groups & HEADING:
        return HEADING, BLOCK, PARAGRAPH, SCOPE
    if groups & READING:
        return READING, RUBY | BLOCK, 0, 0
    if groups & BLOCK:
        return PARAGRAPH, SCOPE, 0, 0
    return 0, 0, 0, 0


@kernel
def protects_from_end(groups):  # type: ignore[no-untyped-def]
    """Groups (int64) of open elements beyond which an end tag finds nothing to close."""
    if groups & (TABLE_PART | TABLE):
        return TABLE
    if groups & (ITEM | TERM):
        return LIST | SCOPE
    if groups & BLOCK:
        return SCOPE
    return BLOCK | SCOPE


# Names that authors give to boxes beside the text: comments, recommendations, menus, share bars.
# A blank stands for anything but a letter, also at either end of an attribute's value.
# fmt: off
BESIDE_NAMES = (
    "advert", "banner", "breadcrumb", "catlinks", "comment", "copyright", "disclaimer",
    "editsection", "footer", "gutter", "hot news", "hotnews", "hotlist", "modal", "pager",
    "paginat", "pinglun", "popup", "qrcode", "recommend", "reflist", "relate", "share", "sidebar",
    "side bar", "statement", "tooltip", " login", " menu", " nav", " rank", " reply",
    " reference ", " references ", " toc ",
)
# fmt: on
_NO_LETTER = re.compile(rb"[^A-Za-z]")


def is_named_beside_reference(value: str) -> bool:
    """Whether a class or id attribute names its box as beside the text."""
    names = b" " + _NO_LETTER.sub(b" ", value.encode()).lower() + b" "
    return any(name.encode() in names for name in BESIDE_NAMES)


def _automaton(words: tuple[str, ...]) -> np.ndarray:
    """States that know which words may be under way (Aho and Corasick 1975).

    Returns:
      int32 (states, 27): the state after a blank (0) or a letter (1-26). State 0 is nothing
      under way, state 1 is a word found, which stays found.
    """
    found = 1
    prefixes: dict[str, int] = {"": 0}
    for word in words:
        for length in range(1, len(word)):
            prefixes.setdefault(word[:length], len(prefixes) + (len(prefixes) >= found))
    states = np.zeros((len(prefixes) + 1, 27), np.int32)
    states[found] = found
    for prefix, state in prefixes.items():
        for symbol, character in enumerate(" abcdefghijklmnopqrstuvwxyz"):
            seen = prefix + character
            if any(seen.endswith(word) for word in words):
                states[state, symbol] = found
                continue
            while seen not in prefixes:
                seen = seen[1:]
            states[state, symbol] = prefixes[seen]
    return states


_BESIDE_STATES = _automaton(BESIDE_NAMES)
_FOUND = 1


@kernel
def is_named_beside(page, start, end):  # type: ignore[no-untyped-def]
    """Whether the attribute value page[start:end] names its box as beside the text."""
    state = _BESIDE_STATES[0, 0]
    for place in range(start, end):
        letter = (page[place] | 32) - 96
        state = _BESIDE_STATES[state, letter if 1 <= letter <= 26 and page[place] >= 65 else 0]
    return _BESIDE_STATES[state, 0] == _FOUND


# The hash is FNV-1a (Fowler, Noll, Vo) with 64 bits. Unsigned, since a signed product that
# overflows is undefined in compiled code; the finished hash is kept in a signed number (`key`).
HASH_START = np.uint64(0xCBF29CE484222325)
_HASH_PRIME = np.uint64(0x100000001B3)
_SLOTS = 256


@inlined
def hash_byte(hashed, byte):  # type: ignore[no-untyped-def]
    """The hash (uint64) of a name with one more byte; letters A-Z count as a-z."""
    small = np.uint64(byte)
    if np.uint64(65) <= small and small <= np.uint64(90):
        small += np.uint64(32)
    return (hashed ^ small) * _HASH_PRIME


@inlined
def key(hashed):  # type: ignore[no-untyped-def]
    """A finished hash as int64, to store and compare."""
    return np.int64(hashed)


def key_of(name: str) -> int:
    """The key of a whole name, for tables and comparisons: int64."""
    hashed = int(HASH_START)
    for byte in name.lower().encode():
        hashed = (hashed ^ byte) * int(_HASH_PRIME) & (1 << 64) - 1
    return hashed - (1 << 64) if hashed >> 63 else hashed


def _table() -> tuple[np.ndarray, np.ndarray]:
    """Open addressing: int64 (slots,) keys, 0 where free, and int64 (slots,) groups."""
    keys, groups = np.zeros(_SLOTS, np.int64), np.zeros(_SLOTS, np.int64)
    for tag, its_groups in GROUPS_BY_TAG.items():
        slot = key_of(tag) & (_SLOTS - 1)
        while keys[slot]:
            slot = (slot + 1) % _SLOTS
        keys[slot], groups[slot] = key_of(tag), its_groups
    return keys, groups


_KEYS, _GROUPS_BY_SLOT = _table()


@inlined
def groups_of(name):  # type: ignore[no-untyped-def]
    """Groups of the tag whose name has a key; 0 for a tag that is not in the vocabulary."""
    slot = name & (_SLOTS - 1)
    while _KEYS[slot] != 0:
        if _KEYS[slot] == name:
            return _GROUPS_BY_SLOT[slot]
        slot = (slot + 1) & (_SLOTS - 1)
    return np.int64(0)
