"""Which blocks of a page are its main text, by where its Chinese prose is dense.

Prose has sentence marks and few links, menus and recommendations have links and no marks. Five
steps, the reference first, the kernel below in the same order:

1. weigh: each block's characters outside links count as prose, fully where it has sentence marks;
2. set aside: boxes that authors named comments, recommendations, menus do not count, unless the
   page has next to nothing else (a thread, a page of short reviews);
3. descend: from the whole page into the box that holds most of the prose, as long as there is one;
4. gather: where other boxes of the same kind hold prose too, the text is a thread and they its
   posts, so go back to the box that holds them all;
5. read: from the first to the last prose block, leaving out blocks made of links, and between
   posts also short ones without marks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce
from operator import add

import numpy as np

from filters.kernels.borrowing import borrowed
from filters.kernels.compiling import inlined, kernel
from filters.kernels.html_blocks import Page, PageArrays
from filters.kernels.html_elements import (
    BLOCK_CHARACTERS,
    BLOCK_FLAGS,
    BLOCK_LINK_CHARACTERS,
    BOX_END,
    BOX_GROUPS,
    BOX_NEXT,
    BOX_SHAPE,
    BOX_START,
    IN_BESIDE,
    IN_HEADING,
    MAX_DEPTH,
    Box,
)
from filters.kernels.html_prose import is_furniture, is_furniture_reference, weigh, weigh_reference
from filters.kernels.html_tags import PART_OF_TEXT
from filters.kernels.html_text import Block

# Weights and limits, chosen on pages with hand-made main text; docs/main-text.md has the table.
BOX_SHARE = 0.6  # descend into a box with this share of the prose
BESIDE_SHARE = 0.1  # prose outside comment-like boxes below this share: the page is those boxes
LINK_SHARE = 0.4  # a block with this share of links is not text even amid prose
MIN_PROSE = 5.0  # prose characters that a main text has at least
POST_PROSE = 30.0  # prose characters of a box that may be a post of a thread
POSTS_SHARE = 0.15  # all other posts have this share of the prose of the one found by descending
POST_LEVELS = 8  # how far around the innermost box a post may reach


def main_blocks_reference(page: Page) -> list[int]:
    """The indexes of the blocks that are the page's main text, in order."""
    weights = [weigh_reference(block) for block in page.blocks]
    main_weights = [
        0.0 if block.flags & IN_BESIDE else weight
        for block, weight in zip(page.blocks, weights, strict=True)
    ]
    beside_is_main = _sum(main_weights) < BESIDE_SHARE * _sum(weights)
    if beside_is_main:
        main_weights = weights
    search = _BoxSearch(page.boxes, main_weights)
    path = search.descend()
    if search.prose(path[-1]) < MIN_PROSE:
        return []
    box, posts = search.gather(path)

    def is_read(index: int) -> bool:
        block = page.blocks[index]
        if block.link_characters >= LINK_SHARE * block.characters or is_furniture_reference(block):
            return False
        if block.flags & IN_BESIDE and not beside_is_main:
            return False
        between_posts = posts and not any(post.start <= index < post.end for post in posts)
        return not between_posts or main_weights[index] > 0 or bool(block.flags & IN_HEADING)

    return [i for i in _prose_run(page.blocks, main_weights, box) if is_read(i)]


class _BoxSearch:
    def __init__(self, boxes: list[Box], weights: list[float]) -> None:
        self.boxes = boxes
        self.before = [0.0]  # before[i]: prose of the blocks in front of block i
        for weight in weights:
            self.before.append(self.before[-1] + weight)

    def prose(self, box: int) -> float:
        return self.before[self.boxes[box].end] - self.before[self.boxes[box].start]

    def descend(self) -> list[int]:
        """Boxes from the whole page to the innermost one with most of the prose."""
        path = [0]
        while self.prose(path[-1]) > 0:
            box = self.boxes[path[-1]]
            wanted = BOX_SHARE * self.prose(path[-1])
            inner = next((b for b in self._inside(path[-1]) if self.prose(b) >= wanted), None)
            if inner is None or self.boxes[inner].groups & PART_OF_TEXT:
                break
            if self.boxes[inner].end - self.boxes[inner].start == 1 < box.end - box.start:
                break  # one long paragraph is not the box of the text around it
            path.append(inner)
        return path

    def _inside(self, box: int) -> Iterator[int]:
        """The boxes directly inside a box."""
        inner = box + 1
        while inner < self.boxes[box].next:
            yield inner
            inner = self.boxes[inner].next

    def gather(self, path: list[int]) -> tuple[Box, list[Box]]:
        """The box to read, and the posts in it if it is a thread."""
        for level in reversed(range(max(1, len(path) - POST_LEVELS), len(path))):
            first = path[level]
            alike = [box for box in self._of_shape(first) if self.prose(box) > 0]
            posts = [box for box in alike if self.prose(box) >= POST_PROSE]
            if not posts:
                continue
            if _sum(self.prose(box) for box in posts) >= POSTS_SHARE * self.prose(first):
                start = min(self.boxes[box].start for box in [first, *posts])
                end = max(self.boxes[box].end for box in [first, *posts])
                around = next(
                    self.boxes[outer]
                    for outer in reversed(path[:level])
                    if self.boxes[outer].start <= start and self.boxes[outer].end >= end
                )
                return around, [self.boxes[box] for box in (first, *alike)]
        return self.boxes[path[-1]], []

    def _of_shape(self, first: int) -> Iterator[int]:
        """The boxes of the shape of one box that are neither inside nor around it."""
        shape = self.boxes[first].shape
        for index, box in enumerate(self.boxes):
            inside = first <= index < self.boxes[first].next
            around = index < first < box.next
            if shape and box.shape == shape and not inside and not around:
                yield index


def _sum(values: Iterable[float]) -> float:
    """As the kernel adds; from Python 3.12 on, `sum` rounds in another way."""
    return reduce(add, values, 0.0)


def _prose_run(blocks: list[Block], weights: list[float], box: Box) -> range:
    """The blocks of a box from its first prose (and the headings above it) to its last."""
    prose = [index for index in range(box.start, box.end) if weights[index] > 0]
    first = prose[0]
    while first > box.start and blocks[first - 1].flags & IN_HEADING:
        first -= 1
    return range(first, prose[-1] + 1)


def main_blocks(page: PageArrays) -> np.ndarray:
    """The indexes of the blocks that are the page's main text, in order: int32."""
    count = len(page.blocks)
    chosen = np.empty(count, np.int32)
    weights = np.empty(count, np.float64)
    before = np.zeros(count + 1, np.float64)
    in_post = np.zeros(count + 1, np.int64)
    path = np.zeros(MAX_DEPTH + 1, np.int64)
    found = _choose_from(page.text, page.blocks, page.boxes, weights, before, path, in_post, chosen)
    return chosen[:found]


@kernel
def _choose_from(text, blocks, boxes, weights, before, path, in_post, chosen):  # type: ignore[no-untyped-def]
    return _choose(
        borrowed(text),
        borrowed(blocks),
        borrowed(boxes),
        borrowed(weights),
        borrowed(before),
        borrowed(path),
        borrowed(in_post),
        borrowed(chosen),
    )


@kernel
def _choose(text, blocks, boxes, weights, before, path, in_post, chosen):  # type: ignore[no-untyped-def]
    """The kernel: writes the indexes of the main text's blocks; returns how many."""
    count = len(blocks)
    total = 0.0
    main_total = 0.0
    for block in range(count):
        weights[block] = weigh(text, blocks, block)
        total += weights[block]
        if (blocks[block, BLOCK_FLAGS] & IN_BESIDE) == 0:
            main_total += weights[block]
    beside_is_main = main_total < BESIDE_SHARE * total
    for block in range(count):
        if blocks[block, BLOCK_FLAGS] & IN_BESIDE and not beside_is_main:
            weights[block] = 0.0
        before[block + 1] = before[block] + weights[block]
    length = _descend(boxes, before, path)
    box = path[length - 1]
    if _prose(boxes, before, box) < MIN_PROSE:
        return 0
    post = 0
    for level in range(length - 1, max(1, length - POST_LEVELS) - 1, -1):
        around = _around_posts(boxes, before, path, level)
        if around >= 0:
            post = path[level]
            box = around
            break
    return _read(text, blocks, boxes, weights, before, box, post, beside_is_main, in_post, chosen)


@inlined
def _prose(boxes, before, box):  # type: ignore[no-untyped-def]
    return before[boxes[box, BOX_END]] - before[boxes[box, BOX_START]]


@kernel
def _descend(boxes, before, path):  # type: ignore[no-untyped-def]
    """Writes the boxes down to the innermost one with most of the prose; returns how many."""
    length = 1
    while length < len(path):
        box = path[length - 1]
        wanted = BOX_SHARE * _prose(boxes, before, box)
        inner = box + 1
        while inner < boxes[box, BOX_NEXT] and _prose(boxes, before, inner) < wanted:
            inner = np.int64(boxes[inner, BOX_NEXT])
        if wanted <= 0 or inner >= boxes[box, BOX_NEXT] or boxes[inner, BOX_GROUPS] & PART_OF_TEXT:
            break
        is_one = boxes[inner, BOX_END] - boxes[inner, BOX_START] == 1
        if is_one and boxes[box, BOX_END] - boxes[box, BOX_START] > 1:
            break
        path[length] = inner
        length += 1
    return length


@inlined
def _is_alike(boxes, first, box):  # type: ignore[no-untyped-def]
    """Whether a box has the shape of `first` and is neither inside nor around it."""
    if boxes[box, BOX_SHAPE] != boxes[first, BOX_SHAPE]:
        return False
    return not (first <= box < boxes[first, BOX_NEXT] or box < first < boxes[box, BOX_NEXT])


@kernel
def _around_posts(boxes, before, path, level):  # type: ignore[no-untyped-def]
    """The box around the posts of a thread if path[level] is one of them; otherwise -1."""
    first = path[level]
    if boxes[first, BOX_SHAPE] == 0:
        return -1
    start = boxes[first, BOX_START]
    end = boxes[first, BOX_END]
    posts = 0
    total = 0.0
    for box in range(len(boxes)):
        if _is_alike(boxes, first, box) and _prose(boxes, before, box) >= POST_PROSE:
            posts += 1
            total += _prose(boxes, before, box)
            start = min(start, boxes[box, BOX_START])
            end = max(end, boxes[box, BOX_END])
    if posts == 0 or total < POSTS_SHARE * _prose(boxes, before, first):
        return -1
    outer = level - 1
    while boxes[path[outer], BOX_START] > start or boxes[path[outer], BOX_END] < end:
        outer -= 1
    return path[outer]


@kernel
def _read(text, blocks, boxes, weights, before, box, post, beside_is_main, in_post, chosen):  # type: ignore[no-untyped-def]
    """Writes the blocks of a box that are read; `post` is a post of a thread, or 0."""
    first = np.int64(boxes[box, BOX_START])
    stop = np.int64(boxes[box, BOX_END])
    while weights[first] == 0:
        first += 1
    while weights[stop - 1] == 0:
        stop -= 1
    while first > boxes[box, BOX_START] and blocks[first - 1, BLOCK_FLAGS] & IN_HEADING:
        first -= 1
    # in_post holds differences: +1 where a post starts, -1 where one ends.
    for other in range(len(boxes)):
        is_first = other == post
        is_reply = _is_alike(boxes, post, other) and _prose(boxes, before, other) > 0
        if post > 0 and (is_first or is_reply):
            in_post[boxes[other, BOX_START]] += 1
            in_post[boxes[other, BOX_END]] -= 1
    count = 0
    posts = 0
    for block in range(stop):
        posts += in_post[block]
        if block < first:
            continue
        flags = blocks[block, BLOCK_FLAGS]
        if blocks[block, BLOCK_LINK_CHARACTERS] >= LINK_SHARE * blocks[block, BLOCK_CHARACTERS]:
            continue
        if flags & IN_BESIDE and not beside_is_main:
            continue
        between_posts = post > 0 and posts == 0
        if between_posts and weights[block] == 0 and (flags & IN_HEADING) == 0:
            continue
        if not is_furniture(text, blocks, block):
            chosen[count] = block
            count += 1
    return count
