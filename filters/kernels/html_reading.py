"""What is read off the blocks of a page once it is known which are its main text.

Each is one loop over the blocks; what it computes is the docstring of the function that calls it.
"""

from __future__ import annotations

import numpy as np

from filters.kernels.compiling import kernel
from filters.kernels.html_blocks import PageArrays
from filters.kernels.html_density import LINK_SHARE
from filters.kernels.html_elements import (
    BLOCK_CHARACTERS,
    BLOCK_END,
    BLOCK_FLAGS,
    BLOCK_HANZI,
    BLOCK_LINK_CHARACTERS,
    BLOCK_START,
    IN_FIRST_HEADING,
    IN_HEADING,
)

HEADING_CHARACTERS = 4  # a shorter heading is no title
READABLE_CHARACTERS = 15  # a block as long as this may be text


def hanzi_of_blocks(page: PageArrays, chosen: np.ndarray) -> tuple[int, int]:
    """Chinese characters of some blocks, and of all that are long and not made of links."""
    found, readable = _count_hanzi(page.blocks, chosen)
    return found, readable


def text_of_blocks(page: PageArrays, chosen: np.ndarray) -> str:
    """The texts of blocks, joined by line breaks."""
    size = np.int64(0)
    if len(chosen):
        size = page.blocks[chosen[-1], BLOCK_END] - page.blocks[chosen[0], BLOCK_START]
    joined = np.empty(int(size) + 1, np.uint8)
    return bytes(joined[: _join(page.text, page.blocks, chosen, joined)]).decode("utf-8", "replace")


@kernel
def _join(text, blocks, chosen, joined):  # type: ignore[no-untyped-def]
    """Writes the texts of blocks with line breaks between them; returns how many bytes."""
    size = 0
    for index in range(len(chosen)):
        if index > 0:
            joined[size] = 10
            size += 1
        for place in range(blocks[chosen[index], BLOCK_START], blocks[chosen[index], BLOCK_END]):
            joined[size] = text[place]
            size += 1
    return size


def title_heading(page: PageArrays, title: str) -> str:
    """The longest heading (of 4 characters at least) that a title begins with; "" for none."""
    encoded = np.frombuffer(title.encode(), np.uint8) if title else np.empty(0, np.uint8)
    return _text_of_block(page, _find_heading(page.text, page.blocks, encoded))


def first_heading(page: PageArrays) -> str:
    """The first `h1`; "" for none."""
    return _text_of_block(page, _find_first_heading(page.blocks))


def _text_of_block(page: PageArrays, block: int) -> str:
    return text_of_blocks(page, np.array([block], np.int32)) if block >= 0 else ""


@kernel
def _count_hanzi(blocks, chosen):  # type: ignore[no-untyped-def]
    found = 0
    for index in range(len(chosen)):
        found += blocks[chosen[index], BLOCK_HANZI]
    readable = 0
    for block in range(len(blocks)):
        characters = blocks[block, BLOCK_CHARACTERS]
        is_of_links = blocks[block, BLOCK_LINK_CHARACTERS] >= LINK_SHARE * characters
        if characters >= READABLE_CHARACTERS and not is_of_links:
            readable += blocks[block, BLOCK_HANZI]
    return found, readable


@kernel
def _find_heading(text, blocks, title):  # type: ignore[no-untyped-def]
    found = -1
    longest = HEADING_CHARACTERS - 1
    for block in range(len(blocks)):
        start = blocks[block, BLOCK_START]
        size = blocks[block, BLOCK_END] - start
        characters = blocks[block, BLOCK_CHARACTERS]
        if blocks[block, BLOCK_FLAGS] & IN_HEADING and characters > longest and size <= len(title):
            same = 0
            while same < size and text[start + same] == title[same]:
                same += 1
            if same == size:
                found = block
                longest = characters
    return found


@kernel
def _find_first_heading(blocks):  # type: ignore[no-untyped-def]
    for block in range(len(blocks)):
        if blocks[block, BLOCK_FLAGS] & IN_FIRST_HEADING:
            return block
    return -1
