"""The open elements of a page: what closes what, which boxes hold which blocks, rows of tables.

Browsers' rules where they matter for text (HTML Standard, 13.2.6): an `li`, `p`, `td` may be left
open, an end tag closes what is open inside it, a stray one closes nothing, and nothing inside a
table closes what is outside. Inline elements are not followed, but for links, ruby and what is
inside something hidden.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from filters.kernels import html_markup
from filters.kernels.compiling import inlined, kernel
from filters.kernels.html_markup import Tag
from filters.kernels.html_tags import (
    BLOCK,
    CELL,
    FIRST_HEADING,
    HEADING,
    LINK,
    META,
    PAGE,
    PARAGRAPH,
    PREFORMATTED,
    RAW,
    ROW,
    RUBY,
    SKIPPED,
    TABLE,
    TABLE_PART,
    TITLE,
    VOID,
    closed_by_start,
    protects_from_end,
)
from filters.kernels.html_text import Block

# An element at this depth closes the one before it, as in browsers, which have such a limit too.
MAX_DEPTH = 512
# Cells up to this length are data; longer ones are a page's layout.
CELL_CHARACTERS = 40

# Flags of an element and of all that it holds.
IN_HEADING = 1
IN_FIRST_HEADING = 2
IN_BESIDE = 4  # a box named as comments, recommendations, a menu …
IN_SKIPPED = 8
IN_PREFORMATTED = 16


@dataclass
class Box:
    """A block-level element.

    Attributes:
      groups: of its tag.
      shape: boxes of one kind, such as the posts of a thread, have the same.
      start, end: it holds blocks[start:end].
      next: the first box after it that is not inside it.
    """

    groups: int
    shape: int
    start: int
    end: int = 0
    next: int = 0


@dataclass
class Element:
    """An open element."""

    name: str
    groups: int
    flags: int
    box: int | None
    first_block: int
    cells: int = 0


@dataclass
class OpenElements:
    """The reference: the open elements, outermost first, and the blocks and boxes read so far."""

    blocks: list[Block] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=lambda: [Box(PAGE, 0, 0)])
    elements: list[Element] = field(default_factory=list)
    link: int | None = None  # how many elements were open when a link began

    @property
    def flags(self) -> int:
        """Of what is read now."""
        return self.elements[-1].flags if self.elements else 0

    def start(self, tag: Tag) -> None:
        """Opens an element, after what its start tag closes."""
        if not self._has_place(tag) or tag.groups & (VOID | RAW):
            return
        first, first_protected, second, second_protected = closed_by_start(tag.groups)
        self._close_nearest(first, first_protected)
        self._close_nearest(second, second_protected)
        skips = self.flags & IN_SKIPPED or tag.is_hidden
        if tag.groups & LINK and not skips:
            self.link = len(self.elements)
        if not skips and not tag.groups & (BLOCK | SKIPPED | RUBY):
            return
        if len(self.elements) == MAX_DEPTH:
            self._pop()
        self._push(tag)

    def end(self, tag: Tag) -> None:
        """Closes the innermost element that an end tag fits."""
        if not self._has_place(tag):
            return
        if tag.groups & LINK:
            self.link = None
        protected = protects_from_end(tag.groups)
        for depth in reversed(range(len(self.elements))):
            element = self.elements[depth]
            if element.name == tag.name or element.groups & tag.groups & HEADING:
                self._pop_to(depth)
                return
            if element.groups & protected:
                return

    def finish(self) -> None:
        """Closes everything at the end of the page."""
        self._pop_to(0)
        self.boxes[0].end, self.boxes[0].next = len(self.blocks), len(self.boxes)

    def _has_place(self, tag: Tag) -> bool:
        """False for tags that only end blocks: html, body, and parts of tables outside of any."""
        if tag.groups & TABLE_PART:
            return any(element.groups & TABLE for element in self.elements)
        return not tag.groups & PAGE

    def _push(self, tag: Tag) -> None:
        flags = self.flags
        if tag.is_hidden or tag.groups & SKIPPED:
            flags |= IN_SKIPPED
        if tag.is_beside:
            flags |= IN_BESIDE
        if tag.groups & HEADING:
            flags |= IN_HEADING
        if tag.groups & FIRST_HEADING:
            flags |= IN_FIRST_HEADING
        if tag.groups & PREFORMATTED:
            flags |= IN_PREFORMATTED
        if tag.groups & CELL and self.elements[-1].groups & ROW:
            self.elements[-1].cells += 1
        box = None
        if tag.groups & BLOCK and not flags & IN_SKIPPED:
            box = len(self.boxes)
            self.boxes.append(Box(tag.groups, tag.shape, len(self.blocks)))
        self.elements.append(Element(tag.name, tag.groups, flags, box, len(self.blocks)))

    def _close_nearest(self, closed: int, protected: int) -> None:
        for depth in reversed(range(len(self.elements))):
            if self.elements[depth].groups & closed:
                self._pop_to(depth)
                return
            if self.elements[depth].groups & protected:
                return

    def _pop_to(self, depth: int) -> None:
        while len(self.elements) > depth:
            self._pop()

    def _pop(self) -> None:
        element = self.elements.pop()
        if element.box is not None:
            if element.groups & ROW:
                self._join_row(element)
            box = self.boxes[element.box]
            box.end, box.next = len(self.blocks), len(self.boxes)
        if self.link is not None and self.link > len(self.elements):
            self.link = None

    def _join_row(self, element: Element) -> None:
        """A row of short cells is one line of text; rows that lay out a page are left alone."""
        row = self.blocks[element.first_block :]
        short = all(block.characters <= CELL_CHARACTERS for block in row)
        if not (2 <= len(row) <= element.cells and short):
            return
        assert element.box is not None  # the caller has looked
        del self.boxes[element.box + 1 :]  # the cells are no boxes of their own any more
        joined = Block(
            " ".join(block.text for block in row),
            sum(block.link_characters for block in row),
            sum(block.marks for block in row),
            sum(block.hanzi for block in row),
            row[0].flags,
        )
        self.blocks[element.first_block :] = [joined]


# Columns of the arrays that the kernel fills. Blocks: int32 (blocks, BLOCK_COLUMNS).
BLOCK_START = 0  # in the text
BLOCK_END = 1
BLOCK_CHARACTERS = 2
BLOCK_LINK_CHARACTERS = 3
BLOCK_MARKS = 4
BLOCK_HANZI = 5
BLOCK_FLAGS = 6
BLOCK_COLUMNS = 7
# Boxes: int32 (boxes, BOX_COLUMNS).
BOX_GROUPS = 0
BOX_SHAPE = 1
BOX_START = 2
BOX_END = 3
BOX_NEXT = 4
BOX_COLUMNS = 5
# The open elements: int64 (MAX_DEPTH, ELEMENT_COLUMNS).
ELEMENT_NAME = 0
ELEMENT_GROUPS = 1
ELEMENT_FLAGS = 2
ELEMENT_BOX = 3  # -1 for none
ELEMENT_FIRST_BLOCK = 4
ELEMENT_CELLS = 5
ELEMENT_COLUMNS = 6
# Numbers: int64 (COUNTS,).
DEPTH = 0
BLOCKS = 1
BOXES = 2
LINK_DEPTH = 3  # -1 for none
PARAGRAPHS = 4  # open ones
TABLES = 5
COUNTS = 6


@inlined
def flags_of(elements, counts):  # type: ignore[no-untyped-def]
    """Flags of what is read now."""
    return elements[counts[DEPTH] - 1, ELEMENT_FLAGS] if counts[DEPTH] > 0 else 0


@inlined
def is_passed_over(tag, flags):  # type: ignore[no-untyped-def]
    """Whether a tag changes nothing, as most inline ones do: what follows would leave it too."""
    followed = BLOCK | SKIPPED | RUBY | LINK | META | TITLE
    is_inline = (tag[html_markup.GROUPS] & followed) == 0 and tag[html_markup.IS_HIDDEN] == 0
    return is_inline and (flags & IN_SKIPPED) == 0


@inlined
def _has_place(groups, counts):  # type: ignore[no-untyped-def]
    if groups & TABLE_PART:
        return counts[TABLES] > 0
    return (groups & PAGE) == 0


@kernel
def start_element(tag, elements, counts, blocks, boxes, text):  # type: ignore[no-untyped-def]
    """Opens an element, after what its start tag closes."""
    groups = tag[html_markup.GROUPS]
    if not _has_place(groups, counts) or groups & (VOID | RAW):
        return
    first, first_protected, second, second_protected = closed_by_start(groups)
    _close_nearest(first, first_protected, elements, counts, blocks, boxes, text)
    _close_nearest(second, second_protected, elements, counts, blocks, boxes, text)
    is_hidden = tag[html_markup.IS_HIDDEN] != 0
    skips = is_hidden or (flags_of(elements, counts) & IN_SKIPPED) != 0
    if groups & LINK and not skips:
        counts[LINK_DEPTH] = counts[DEPTH]
    if not skips and (groups & (BLOCK | SKIPPED | RUBY)) == 0:
        return
    if counts[DEPTH] == MAX_DEPTH:
        _pop(elements, counts, blocks, boxes, text)
    _push(tag, groups, is_hidden, elements, counts, boxes)


@kernel
def end_element(tag, elements, counts, blocks, boxes, text):  # type: ignore[no-untyped-def]
    """Closes the innermost element that an end tag fits."""
    groups = tag[html_markup.GROUPS]
    if not _has_place(groups, counts):
        return
    if groups & LINK:
        counts[LINK_DEPTH] = -1
    if groups & PARAGRAPH and counts[PARAGRAPHS] == 0:
        return
    protected = protects_from_end(groups)
    for depth in range(counts[DEPTH] - 1, -1, -1):
        open_groups = elements[depth, ELEMENT_GROUPS]
        is_it = elements[depth, ELEMENT_NAME] == tag[html_markup.NAME]
        if is_it or open_groups & groups & HEADING:
            pop_to(depth, elements, counts, blocks, boxes, text)
            return
        if open_groups & protected:
            return


@kernel
def pop_to(depth, elements, counts, blocks, boxes, text):  # type: ignore[no-untyped-def]
    """Closes the elements from a depth on."""
    while counts[DEPTH] > depth:
        _pop(elements, counts, blocks, boxes, text)


@inlined
def _push(tag, groups, is_hidden, elements, counts, boxes):  # type: ignore[no-untyped-def]
    depth = counts[DEPTH]
    flags = flags_of(elements, counts)
    if is_hidden or groups & SKIPPED:
        flags |= IN_SKIPPED
    if tag[html_markup.IS_BESIDE] != 0:
        flags |= IN_BESIDE
    if groups & HEADING:
        flags |= IN_HEADING
    if groups & FIRST_HEADING:
        flags |= IN_FIRST_HEADING
    if groups & PREFORMATTED:
        flags |= IN_PREFORMATTED
    if groups & CELL and elements[depth - 1, ELEMENT_GROUPS] & ROW:
        elements[depth - 1, ELEMENT_CELLS] += 1
    box = -1
    if groups & BLOCK and (flags & IN_SKIPPED) == 0 and counts[BOXES] < len(boxes):
        box = counts[BOXES]
        boxes[box, BOX_GROUPS] = groups
        boxes[box, BOX_SHAPE] = tag[html_markup.SHAPE]
        boxes[box, BOX_START] = counts[BLOCKS]
        counts[BOXES] += 1
    elements[depth, ELEMENT_NAME] = tag[html_markup.NAME]
    elements[depth, ELEMENT_GROUPS] = groups
    elements[depth, ELEMENT_FLAGS] = flags
    elements[depth, ELEMENT_BOX] = box
    elements[depth, ELEMENT_FIRST_BLOCK] = counts[BLOCKS]
    elements[depth, ELEMENT_CELLS] = 0
    counts[DEPTH] += 1
    counts[PARAGRAPHS] += (groups & PARAGRAPH) != 0
    counts[TABLES] += (groups & TABLE) != 0


@inlined
def _close_nearest(closed, protected, elements, counts, blocks, boxes, text):  # type: ignore[no-untyped-def]
    if closed == 0 or (closed == PARAGRAPH and counts[PARAGRAPHS] == 0):
        return
    for depth in range(counts[DEPTH] - 1, -1, -1):
        if elements[depth, ELEMENT_GROUPS] & closed:
            pop_to(depth, elements, counts, blocks, boxes, text)
            return
        if elements[depth, ELEMENT_GROUPS] & protected:
            return


@inlined
def _pop(elements, counts, blocks, boxes, text):  # type: ignore[no-untyped-def]
    counts[DEPTH] -= 1
    depth = counts[DEPTH]
    groups = elements[depth, ELEMENT_GROUPS]
    counts[PARAGRAPHS] -= (groups & PARAGRAPH) != 0
    counts[TABLES] -= (groups & TABLE) != 0
    box = elements[depth, ELEMENT_BOX]
    if box >= 0:
        if groups & ROW:
            first = elements[depth, ELEMENT_FIRST_BLOCK]
            _join_row(first, elements[depth, ELEMENT_CELLS], box, counts, blocks, text)
        boxes[box, BOX_END] = counts[BLOCKS]
        boxes[box, BOX_NEXT] = counts[BOXES]
    if counts[LINK_DEPTH] > depth:
        counts[LINK_DEPTH] = -1


@kernel
def _join_row(first, cells, box, counts, blocks, text):  # type: ignore[no-untyped-def]
    """A row of short cells is one line of text; rows that lay out a page are left alone."""
    row_end = counts[BLOCKS]
    if not 2 <= row_end - first <= cells:
        return
    for block in range(first, row_end):
        if blocks[block, BLOCK_CHARACTERS] > CELL_CHARACTERS:
            return
    for block in range(first + 1, row_end):
        text[blocks[block, BLOCK_START] - 1] = 32  # where the line break between blocks stood
        blocks[first, BLOCK_END] = blocks[block, BLOCK_END]
        blocks[first, BLOCK_CHARACTERS] += 1 + blocks[block, BLOCK_CHARACTERS]
        blocks[first, BLOCK_LINK_CHARACTERS] += blocks[block, BLOCK_LINK_CHARACTERS]
        blocks[first, BLOCK_MARKS] += blocks[block, BLOCK_MARKS]
        blocks[first, BLOCK_HANZI] += blocks[block, BLOCK_HANZI]
    counts[BLOCKS] = first + 1
    counts[BOXES] = box + 1
