"""One piece of markup: a comment, or a tag with what its attributes say.

As browsers read it (HTML Standard, 13.2.5): a quote opens a value only after `=`, and what is never
closed (a comment, a quote, a tag) runs to the end of the page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from filters.kernels.compiling import inlined, kernel
from filters.kernels.html_tags import (
    BLOCK,
    GROUPS_BY_TAG,
    HASH_START,
    META,
    PAGE,
    groups_of,
    hash_byte,
    is_named_beside,
    is_named_beside_reference,
    key,
    key_of,
)

SHAPE_BITS = (1 << 31) - 1


@dataclass
class Tag:
    """A start or end tag.

    Attributes:
      groups: of `html_tags`; 0 for a tag that is not in the vocabulary.
      is_hidden: not shown, by attribute or style.
      shape: what boxes of one kind have in common: key of the name and the first word of the class,
        in 31 bits; 0 without a class.
      is_beside: its class or id is the name of a box beside the text.
      is_shared_title: a meta with the title for sharing ("og:title").
      is_refresh: a meta that sends the reader to another page.
      content: (start, end) of a meta's content in the page.
    """

    name: str
    groups: int
    is_end: bool
    shape: int = 0
    is_hidden: bool = False
    is_beside: bool = False
    is_shared_title: bool = False
    is_refresh: bool = False
    content: tuple[int, int] = (0, 0)


_NAME = re.compile(r"[^ \t\n\f\r/>]+")
_BETWEEN_ATTRIBUTES = re.compile(r"[ \t\n\f\r/]*")
_ATTRIBUTE = re.compile(
    r"""([^ \t\n\f\r/>][^ \t\n\f\r/>=]*)  # the name may begin with =
        (?: [ \t\n\f\r]* = [ \t\n\f\r]*
            (?: "([^"]*)" | '([^']*)' | (?!["']) ([^ \t\n\f\r>]*) ) )?
        [ \t\n\f\r]*""",
    re.VERBOSE,
)
_OPEN_QUOTE = re.compile(r"""[ \t\n\f\r]*=[ \t\n\f\r]*["']""")
_CLASS_WORD = re.compile(r"[^ \t\n\f\r]+")
_DISPLAY_NONE = re.compile(r"display[ \t\n\f\r\v]*:[ \t\n\f\r\v]*none", re.ASCII | re.IGNORECASE)


def read_markup_reference(page: str, place: int) -> tuple[int, Tag | None]:
    """Reads what begins with the < at `place`.

    Returns:
      the place after it, and the tag if it is one. The place is `place` itself where the < is text.
    """
    after = page[place + 1 : place + 3]
    is_end = after.startswith("/")
    letter = after[1:2] if is_end else after[:1]
    if letter.isascii() and letter.isalpha():
        return _read_tag(page, place + 1 + is_end, is_end)
    if page.startswith("<!--", place):
        ends = [page.find("-->", place + 2) + 3, page.find("--!>", place + 4) + 4]
        return min((end for end in ends if end > place + 4), default=len(page)), None
    if after[:1] in ("!", "?") or (is_end and letter):
        return page.find(">", place) + 1 or len(page), None
    return place, None


def _read_tag(page: str, place: int, is_end: bool) -> tuple[int, Tag | None]:
    match = _NAME.match(page, place)
    assert match is not None  # the caller has seen a letter
    name = match[0].encode().lower().decode()
    tag = Tag(name, GROUPS_BY_TAG.get(name, 0), is_end)
    place = match.end()
    while True:
        place = _match_end(_BETWEEN_ATTRIBUTES, page, place)
        if place == len(page):
            return place, None
        if page[place] == ">":
            return place + 1, tag
        attribute = _ATTRIBUTE.match(page, place)
        assert attribute is not None  # the first character is one of a name
        place = attribute.end()
        if _OPEN_QUOTE.match(page, place):
            return len(page), None
        value = next((number for number in (2, 3, 4) if attribute[number] is not None), 0)
        if not is_end:
            span = attribute.span(value) if value else (place, place)
            _note(tag, attribute[1].encode().lower().decode(), page[slice(*span)], span)


def _match_end(pattern: re.Pattern[str], page: str, place: int) -> int:
    match = pattern.match(page, place)
    return match.end() if match else place


def _note(tag: Tag, name: str, value: str, span: tuple[int, int]) -> None:
    """Notes what an attribute says about its element."""
    if name == "hidden" or (name == "style" and _DISPLAY_NONE.search(value)):
        tag.is_hidden = not tag.groups & PAGE
    elif name in ("class", "id") and tag.groups & BLOCK:
        tag.is_beside = tag.is_beside or is_named_beside_reference(value)
        if name == "class":
            words = _CLASS_WORD.findall(value)
            tag.shape = key_of(f"{tag.name} {words[0]}") & SHAPE_BITS if words else 0
    elif tag.groups & META:
        lower = value.encode().lower()
        if name == "content":
            tag.content = span
        elif name in ("property", "name") and lower == b"og:title":
            tag.is_shared_title = True
        elif name == "http-equiv" and lower == b"refresh":
            tag.is_refresh = True


# What the kernel reports of a tag: int64 (TAG_FIELDS,).
NAME = 0  # key of its name; 0 for a comment
GROUPS = 1
IS_END = 2
IS_HIDDEN = 3
IS_BESIDE = 4
IS_SHARED_TITLE = 5
IS_REFRESH = 6
CONTENT_START = 7
CONTENT_END = 8
SHAPE = 9
TAG_FIELDS = 10

_ATTRIBUTES = ("class", "content", "hidden", "http-equiv", "id", "name", "property", "style")
_LONGEST = max(map(len, _ATTRIBUTES))


def _may_matter() -> np.ndarray:
    """Whether an attribute may be one of ours, by its first byte and length: bool (256, n)."""
    table = np.zeros((256, _LONGEST + 1), np.bool_)
    for name in _ATTRIBUTES:
        table[[ord(name[0]), ord(name[0].upper())], len(name)] = True
    return table


_MAY_MATTER = _may_matter()
_CLASS = np.int64(key_of("class"))
_ID = np.int64(key_of("id"))
_STYLE = np.int64(key_of("style"))
_HIDDEN = np.int64(key_of("hidden"))
_CONTENT = np.int64(key_of("content"))
_PROPERTY = np.int64(key_of("property"))
_NAME_OF_META = np.int64(key_of("name"))
_HTTP_EQUIV = np.int64(key_of("http-equiv"))
_SHARED_TITLE = np.int64(key_of("og:title"))
_REFRESH = np.int64(key_of("refresh"))


@inlined
def is_markup_space(byte):  # type: ignore[no-untyped-def]
    """Blank, tab, line feed, form feed, carriage return."""
    return byte == 32 or byte == 10 or byte == 9 or byte == 13 or byte == 12


@inlined
def find_byte(page, byte, place, end):  # type: ignore[no-untyped-def]
    """The first place from `place` on with a byte; `end` if there is none."""
    while place < end and page[place] != byte:
        place += 1
    return place


@kernel
def read_markup(page, place, end, tag):  # type: ignore[no-untyped-def]
    """Reads what begins with the < at page[place].

    Args:
      page: uint8 (n,).
      place, end: int64.
      tag: int64 (TAG_FIELDS,); receives what the tag says, NAME 0 for what is no tag.

    Returns:
      int64, the place after it; `place` itself where the < is text.
    """
    tag[NAME] = 0
    here = place + 1
    if here >= end:
        return place
    byte = page[here]
    if byte == 33 and here + 2 < end and page[here + 1] == 45 and page[here + 2] == 45:  # !--
        return _after_comment(page, place, end)
    if byte == 33 or byte == 63:  # ! ?
        return min(find_byte(page, 62, here, end) + 1, end)
    is_end = byte == 47  # /
    if is_end:
        here += 1
        if here >= end:
            return place
        byte = page[here]
    if not (97 <= (byte | 32) <= 122):
        return min(find_byte(page, 62, here, end) + 1, end) if is_end else place
    hashed = HASH_START
    while here < end and not is_markup_space(page[here]) and page[here] != 47 and page[here] != 62:
        hashed = hash_byte(hashed, page[here])
        here += 1
    name = key(hashed)
    tag[GROUPS] = groups_of(name)
    tag[IS_END] = is_end
    tag[IS_HIDDEN] = 0
    tag[IS_BESIDE] = 0
    tag[IS_SHARED_TITLE] = 0
    tag[IS_REFRESH] = 0
    tag[CONTENT_START] = 0
    tag[CONTENT_END] = 0
    tag[SHAPE] = 0
    here = _read_attributes(page, here, end, hashed, tag)
    if here > 0:
        tag[NAME] = name
        return here
    return end


@inlined
def _after_comment(page, place, end):  # type: ignore[no-untyped-def]
    here = place + 4
    while True:
        here = find_byte(page, 62, here, end)
        if here >= end:
            return end
        if page[here - 1] == 45 and page[here - 2] == 45:  # -->
            return here + 1
        is_marked = page[here - 1] == 33 and here - 3 >= place + 4
        if is_marked and page[here - 2] == 45 and page[here - 3] == 45:  # --!>
            return here + 1
        here += 1


@inlined
def _read_attributes(page, here, end, tag_name, tag):  # type: ignore[no-untyped-def]
    """Reads to the end of a tag with the hash of its name; the place after it, 0 if it has none."""
    while True:
        while here < end and (is_markup_space(page[here]) or page[here] == 47):
            here += 1
        if here >= end:
            return 0
        if page[here] == 62:
            return here + 1
        name_start = here
        here += 1
        while here < end:
            byte = page[here]
            if is_markup_space(byte) or byte == 47 or byte == 62 or byte == 61:
                break
            here += 1
        name_end = here
        while here < end and is_markup_space(page[here]):
            here += 1
        value_start = here
        value_end = here
        if here < end and page[here] == 61:  # =
            here += 1
            while here < end and is_markup_space(page[here]):
                here += 1
            value_start = here
            if here < end and (page[here] == 34 or page[here] == 39):  # " '
                value_start += 1
                value_end = find_byte(page, page[here], value_start, end)
                if value_end >= end:
                    return 0
                here = value_end + 1
            else:
                while here < end and not is_markup_space(page[here]) and page[here] != 62:
                    here += 1
                value_end = here
        size = name_end - name_start
        if tag[IS_END] == 0 and size <= _LONGEST and _MAY_MATTER[page[name_start], size]:
            name = _key_of_value(page, name_start, name_end)
            _note_attribute(page, name, value_start, value_end, tag)
            if name == _CLASS and tag[GROUPS] & BLOCK:
                tag[SHAPE] = _shape(page, value_start, value_end, tag_name)


@inlined
def _note_attribute(page, name, start, end, tag):  # type: ignore[no-untyped-def]
    """Notes what the attribute with a key and the value page[start:end] says."""
    if name in (_CLASS, _ID):
        if tag[GROUPS] & BLOCK and tag[IS_BESIDE] == 0:
            tag[IS_BESIDE] = is_named_beside(page, start, end)
    elif name == _HIDDEN or (name == _STYLE and _says_display_none(page, start, end)):
        tag[IS_HIDDEN] = (tag[GROUPS] & PAGE) == 0
    elif tag[GROUPS] & META:
        if name == _CONTENT:
            tag[CONTENT_START] = start
            tag[CONTENT_END] = end
        elif name in (_PROPERTY, _NAME_OF_META):
            if _key_of_value(page, start, end) == _SHARED_TITLE:
                tag[IS_SHARED_TITLE] = 1
        elif name == _HTTP_EQUIV and _key_of_value(page, start, end) == _REFRESH:
            tag[IS_REFRESH] = 1


@inlined
def _shape(page, start, end, hashed):  # type: ignore[no-untyped-def]
    """Of the name that was hashed, a blank, and the first word of the class page[start:end]."""
    while start < end and is_markup_space(page[start]):
        start += 1
    if start == end:
        return np.int64(0)
    hashed = hash_byte(hashed, np.uint8(32))
    while start < end and not is_markup_space(page[start]):
        hashed = hash_byte(hashed, page[start])
        start += 1
    return key(hashed) & SHAPE_BITS


@kernel
def _key_of_value(page, start, end):  # type: ignore[no-untyped-def]
    hashed = HASH_START
    for place in range(start, end):
        hashed = hash_byte(hashed, page[place])
    return key(hashed)


_DISPLAY = np.frombuffer(b"display", np.uint8)
_NONE = np.frombuffer(b"none", np.uint8)


@kernel
def _says_display_none(page, start, end):  # type: ignore[no-untyped-def]
    """Whether a style has `display: none`, with any white space around the colon."""
    for place in range(start, end - len(_DISPLAY) - len(_NONE)):
        if not _has_word(page, place, end, _DISPLAY):
            continue
        here = _after_space(page, place + len(_DISPLAY), end)
        if here < end and page[here] == 58:  # :
            here = _after_space(page, here + 1, end)
            if _has_word(page, here, end, _NONE):
                return True
    return False


@inlined
def _has_word(page, place, end, word):  # type: ignore[no-untyped-def]
    """Whether a word of small letters stands at a place, in letters of any case."""
    if place + len(word) > end:
        return False
    same = 0
    while same < len(word) and (page[place + same] | 32) == word[same]:
        same += 1
    return same == len(word)


@inlined
def _after_space(page, place, end):  # type: ignore[no-untyped-def]
    while place < end and (page[place] == 32 or 9 <= page[place] <= 13):
        place += 1
    return place
