"""An HTML page as a flat list of text blocks and the tree of boxes that hold them.

A block is what a browser shows as one paragraph: the text between two block-level borders. The
tree remembers which boxes (block-level elements) hold which run of blocks, so that a reader can
ask for the box with most of a page's prose without touching markup again. One pass over the bytes;
time and memory are linear in the size of the page, whatever is in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from filters.kernels import html_elements, html_markup, html_text
from filters.kernels.borrowing import borrowed
from filters.kernels.compiling import inlined, kernel
from filters.kernels.html_elements import (
    BLOCK_COLUMNS,
    BOX_COLUMNS,
    IN_PREFORMATTED,
    IN_SKIPPED,
    Box,
    OpenElements,
    end_element,
    flags_of,
    is_passed_over,
    pop_to,
    start_element,
)
from filters.kernels.html_markup import (
    TAG_FIELDS,
    find_byte,
    is_markup_space,
    read_markup,
    read_markup_reference,
)
from filters.kernels.html_tags import BLOCK, HASH_START, RAW, TITLE, VOID, hash_byte, key
from filters.kernels.html_text import Block, BlockText, add_text, is_western_mark, start_block

# Blocks and boxes that a page may have; a page with more is none that a person wrote.
MAX_BLOCKS = 1_000_000

Span = tuple[int, int]


@dataclass
class Page:
    """Blocks in reading order, the boxes in the order of their start tags, and parts of the head.

    Attributes:
      boxes: the first one is the whole page.
      title, shared_title, refresh: source of the title element, of "og:title", and of a meta that
        sends the reader on, as (start, end) in the page; (0, 0) for none.
    """

    blocks: list[Block]
    boxes: list[Box]
    title: Span = (0, 0)
    shared_title: Span = (0, 0)
    refresh: Span = (0, 0)


def read_page_reference(page: str) -> Page:
    """The reference: reads a page character by character; spans count characters."""
    found = Page([], [])
    elements = OpenElements()
    text = BlockText()
    place = 0
    while place < len(page):
        if page[place] == "<":
            after, tag = read_markup_reference(page, place)
            if tag is not None:
                if tag.groups & BLOCK:
                    _end_block_reference(text, elements)
                (elements.end if tag.is_end else elements.start)(tag)
                if tag.is_shared_title and found.shared_title == (0, 0):
                    found.shared_title = tag.content
                if tag.is_refresh and found.refresh == (0, 0):
                    found.refresh = tag.content
                if tag.groups & RAW and not tag.is_end:
                    content = (after, _raw_end_reference(page, after, tag.name))
                    is_title = tag.groups & TITLE and not elements.flags & IN_SKIPPED
                    if is_title and found.title == (0, 0):
                        found.title = content
                    after = content[1]
            if after > place:
                place = after
                continue
        next_markup = page.find("<", place + 1)
        after = next_markup if next_markup >= 0 else len(page)
        if not elements.flags & IN_SKIPPED:
            text.add(page[place:after], elements.link is not None)
        place = after
    _end_block_reference(text, elements)
    elements.finish()
    found.blocks, found.boxes = elements.blocks, elements.boxes
    return found


def _end_block_reference(text: BlockText, elements: OpenElements) -> None:
    flags = elements.flags & ~IN_SKIPPED
    block = text.finish(flags, bool(flags & IN_PREFORMATTED))
    if block is not None:
        elements.blocks.append(block)


def _raw_end_reference(page: str, place: int, name: str) -> int:
    """Where the end tag of an element begins whose content holds no other tags."""
    end = re.compile(rf"</{re.escape(name)}[ \t\n\f\r/>]", re.ASCII | re.IGNORECASE)
    match = end.search(page, place)
    return match.start() if match else len(page)


@dataclass
class PageArrays:
    """What the kernel reads of a page; spans count bytes.

    Attributes:
      text: uint8, the texts of the blocks, each with a line break after it.
      blocks: int32 (blocks, BLOCK_COLUMNS); boxes: int32 (boxes, BOX_COLUMNS).
      head: int64 (HEAD_FIELDS,).
    """

    text: np.ndarray
    blocks: np.ndarray
    boxes: np.ndarray
    head: np.ndarray

    @property
    def is_full(self) -> bool:
        """Whether the page may have had more blocks or boxes than there was room for."""
        return MAX_BLOCKS in (len(self.blocks), len(self.boxes))

    def span(self, field: int) -> Span:
        """Start and end in the page of one of the head's fields."""
        return int(self.head[field]), int(self.head[field + 1])

    def to_page(self) -> Page:
        """The same as the reference returns, with spans in bytes."""
        blocks = [
            Block(bytes(self.text[start:end]).decode(), links, marks, hanzi, flags)
            for start, end, _, links, marks, hanzi, flags in self.blocks.tolist()
        ]
        boxes = [Box(*row) for row in self.boxes.tolist()]
        return Page(
            blocks, boxes, self.span(TITLE_SPAN), self.span(SHARED_TITLE), self.span(REFRESH)
        )


# Starts of the spans in PageArrays.head; each end is one further.
TITLE_SPAN = 0
SHARED_TITLE = 2
REFRESH = 4
HEAD_FIELDS = 6


def read_page(page: bytes) -> PageArrays:
    """Reads a page of UTF-8; bytes that are no characters count as blanks."""
    size = len(page)
    # A reference such as &nGt; is five bytes and stands for six.
    text = np.empty(size + size // 4 + 16, np.uint8)
    blocks = np.empty((min(size // 4 + 2, MAX_BLOCKS), BLOCK_COLUMNS), np.int32)
    boxes = np.empty((min(size // 3 + 2, MAX_BLOCKS), BOX_COLUMNS), np.int32)
    head = np.zeros(HEAD_FIELDS, np.int64)
    tag = np.zeros(TAG_FIELDS, np.int64)
    elements = np.empty((html_elements.MAX_DEPTH, html_elements.ELEMENT_COLUMNS), np.int64)
    numbers = np.zeros(html_elements.COUNTS + html_text.BLOCK_STATE, np.int64)
    count, box_count = _read_into(
        np.frombuffer(page, np.uint8), text, blocks, boxes, head, tag, elements, numbers
    )
    return PageArrays(text, blocks[:count], boxes[:box_count], head)


@kernel
def _read_into(page, text, blocks, boxes, head, tag, elements, numbers):  # type: ignore[no-untyped-def]
    counts = numbers[: html_elements.COUNTS]
    block = numbers[html_elements.COUNTS :]
    return _read(
        borrowed(page),
        borrowed(text),
        borrowed(blocks),
        borrowed(boxes),
        borrowed(head),
        borrowed(tag),
        borrowed(elements),
        borrowed(counts),
        borrowed(block),
    )


@kernel
def _read(page, text, blocks, boxes, head, tag, elements, counts, block):  # type: ignore[no-untyped-def]
    """The kernel: as the reference, over bytes. Returns how many blocks and boxes there are."""
    end = len(page)
    counts[html_elements.LINK_DEPTH] = -1
    boxes[0, :] = 0
    boxes[0, html_elements.BOX_GROUPS] = html_elements.PAGE
    counts[html_elements.BOXES] = 1
    start_block(block, 0)
    flags = np.int64(0)
    place = 0
    while place < end and counts[html_elements.BLOCKS] < len(blocks):
        if page[place] == 60:  # <
            after = read_markup(page, place, end, tag)
            if tag[html_markup.NAME] != 0:
                groups = tag[html_markup.GROUPS]
                if groups & BLOCK:
                    _end_block(flags, block, text, blocks, counts)
                elif is_passed_over(tag, flags):
                    place = after
                    continue
                if tag[html_markup.IS_END] != 0:
                    end_element(tag, elements, counts, blocks, boxes, text)
                else:
                    start_element(tag, elements, counts, blocks, boxes, text)
                flags = flags_of(elements, counts)
                _note_meta(tag, head)
                if groups & RAW and tag[html_markup.IS_END] == 0:
                    raw_end = _raw_end(page, after, end, tag[html_markup.NAME])
                    is_title = groups & TITLE and (flags & IN_SKIPPED) == 0
                    if is_title and head[TITLE_SPAN + 1] == 0:
                        head[TITLE_SPAN] = after
                        head[TITLE_SPAN + 1] = raw_end
                    after = raw_end
            if after > place:
                place = after
                continue
        if flags & IN_SKIPPED:
            place = find_byte(page, 60, place + 1, end)
        else:
            is_link = counts[html_elements.LINK_DEPTH] >= 0
            is_preformatted = (flags & IN_PREFORMATTED) != 0
            place = add_text(page, place, end, is_link, is_preformatted, text, block)
    _end_block(flags, block, text, blocks, counts)
    pop_to(0, elements, counts, blocks, boxes, text)
    boxes[0, html_elements.BOX_END] = counts[html_elements.BLOCKS]
    boxes[0, html_elements.BOX_NEXT] = counts[html_elements.BOXES]
    return counts[html_elements.BLOCKS], counts[html_elements.BOXES]


def nesting(page: bytes) -> int:
    """How many more tags were opened than closed at the deepest place of a page, at most.

    Elements that need no end tag count too, so a page may seem deeper than it is.
    """
    return int(_nesting_of(np.frombuffer(page, np.uint8), np.zeros(TAG_FIELDS, np.int64)))


@kernel
def _nesting_of(page, tag):  # type: ignore[no-untyped-def]
    return _nesting(borrowed(page), borrowed(tag))


@kernel
def _nesting(page, tag):  # type: ignore[no-untyped-def]
    depth = 0
    deepest = 0
    place = 0
    while True:
        place = find_byte(page, 60, place, len(page))
        if place >= len(page):
            return deepest
        after = read_markup(page, place, len(page), tag)
        if tag[html_markup.NAME] != 0 and (tag[html_markup.GROUPS] & VOID) == 0:
            depth = depth + 1 if tag[html_markup.IS_END] == 0 else max(depth - 1, 0)
            deepest = max(deepest, depth)
        place = max(after, place + 1)


@inlined
def _end_block(flags, block, text, blocks, counts):  # type: ignore[no-untyped-def]
    """Writes down the block that was read, if it has text, and begins the next."""
    end = block[html_text.SOLID_END]
    count = counts[html_elements.BLOCKS]
    if end > block[html_text.START] and count < len(blocks):
        if is_western_mark(block[html_text.LAST]):
            block[html_text.MARKS] += 1
        blocks[count, html_elements.BLOCK_START] = block[html_text.START]
        blocks[count, html_elements.BLOCK_END] = end
        blocks[count, html_elements.BLOCK_CHARACTERS] = block[html_text.SOLID_CHARACTERS]
        blocks[count, html_elements.BLOCK_LINK_CHARACTERS] = block[html_text.LINK_CHARACTERS]
        blocks[count, html_elements.BLOCK_MARKS] = block[html_text.MARKS]
        blocks[count, html_elements.BLOCK_HANZI] = block[html_text.HANZI]
        blocks[count, html_elements.BLOCK_FLAGS] = flags & ~IN_SKIPPED
        counts[html_elements.BLOCKS] = count + 1
        text[end] = 10
        start_block(block, end + 1)
    elif block[html_text.END] > block[html_text.START] or block[html_text.HAS_BREAK] != 0:
        start_block(block, block[html_text.START])


@inlined
def _note_meta(tag, head):  # type: ignore[no-untyped-def]
    if tag[html_markup.IS_SHARED_TITLE] != 0 and head[SHARED_TITLE + 1] == 0:
        head[SHARED_TITLE] = tag[html_markup.CONTENT_START]
        head[SHARED_TITLE + 1] = tag[html_markup.CONTENT_END]
    if tag[html_markup.IS_REFRESH] != 0 and head[REFRESH + 1] == 0:
        head[REFRESH] = tag[html_markup.CONTENT_START]
        head[REFRESH + 1] = tag[html_markup.CONTENT_END]


@kernel
def _raw_end(page, place, end, name):  # type: ignore[no-untyped-def]
    """Where the end tag of an element begins whose content holds no other tags."""
    while True:
        place = find_byte(page, 60, place, end)
        if place + 1 >= end:
            return end
        if page[place + 1] == 47:  # /
            hashed = HASH_START
            here = place + 2
            while here < end and not is_markup_space(page[here]):
                if page[here] == 47 or page[here] == 62:
                    break
                hashed = hash_byte(hashed, page[here])
                here += 1
            if here < end and key(hashed) == name:
                return place
        place += 1
