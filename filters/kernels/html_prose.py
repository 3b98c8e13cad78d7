"""How much prose a block is: many sentence marks, few links, no furniture of a site.

Weights and limits were chosen on pages with hand-made main text; docs/main-text.md says how.
"""

from __future__ import annotations

import numpy as np

from filters.kernels.compiling import inlined, kernel
from filters.kernels.html_elements import (
    BLOCK_CHARACTERS,
    BLOCK_END,
    BLOCK_FLAGS,
    BLOCK_HANZI,
    BLOCK_LINK_CHARACTERS,
    BLOCK_MARKS,
    BLOCK_START,
    IN_PREFORMATTED,
)
from filters.kernels.html_text import Block

SHORT_WEIGHT = 0.3  # of a short block with a mark (a line of dialogue)
UNMARKED_WEIGHT = 0.2  # of a block without sentence marks (verse, captions, chatty blogs)
LINK_COST = 4.0  # characters of prose that each character inside a link takes away
FURNITURE_WORDS = (
    *("版权所有", "ICP备", "责任编辑", "上一篇", "下一篇", "Copyright", "分享到", "扫一扫"),
    *("相关阅读", "免责声明", "举报", "登录", "注册"),
)
FURNITURE_CHARACTERS = 40  # a block as long as this with such a word is a sentence about it
# A block with a link that ends like this is the teaser of another page.
TEASER_ENDS = ("详细", "详情", "全文", "更多", "查看", "...", "…")
_TEASER_TAIL = " \t\n\"'!()<>[]|~»›→”’「」『』【】《》〉。！（）＞：:"


def weigh_reference(block: Block) -> float:
    """How many characters of prose a block counts for; 0 for links, menus, furniture."""
    free = block.characters - LINK_COST * block.link_characters
    if free <= 0 or is_furniture_reference(block) or (block.link_characters and _is_teaser(block)):
        return 0.0
    # Most of a `pre` that is not Chinese is code, and its marks are none of sentences.
    is_code = block.flags & IN_PREFORMATTED and 2 * block.hanzi < block.characters
    marks = 0 if is_code else block.marks
    if (marks >= 2 and block.characters >= 15) or (marks and block.characters >= 30):
        return free
    if block.characters >= 15:
        return UNMARKED_WEIGHT * free
    return SHORT_WEIGHT * free if marks else 0.0


def is_furniture_reference(block: Block) -> bool:
    """Whether a block is a line of the site, not of the text."""
    short = block.characters < FURNITURE_CHARACTERS
    return short and any(word in block.text for word in FURNITURE_WORDS)


def _is_teaser(block: Block) -> bool:
    return block.text.rstrip(_TEASER_TAIL).endswith(TEASER_ENDS)


def _flat(words: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Words in UTF-8 one after another, uint8, and where each starts, int64 (words + 1,)."""
    encoded = [word.encode() for word in words]
    starts = np.cumsum([0, *map(len, encoded)]).astype(np.int64)
    return np.frombuffer(b"".join(encoded), np.uint8), starts


_FURNITURE, _FURNITURE_STARTS = _flat(FURNITURE_WORDS)
# Bytes that a word of furniture may have in its first and in its second place: bool (256,).
_MAY_START, _MAY_FOLLOW = np.zeros(256, np.bool_), np.zeros(256, np.bool_)
_MAY_START[_FURNITURE[_FURNITURE_STARTS[:-1]]] = True
_MAY_FOLLOW[_FURNITURE[_FURNITURE_STARTS[:-1] + 1]] = True
_ENDS, _END_STARTS = _flat(TEASER_ENDS)
_TAIL, _TAIL_STARTS = _flat(tuple(_TEASER_TAIL))


@inlined
def _has_at(text, place, end, words, first, stop):  # type: ignore[no-untyped-def]
    """Whether words[first:stop] stands at a place before `end`."""
    if place + stop - first > end:
        return False
    while first < stop and text[place] == words[first]:
        place += 1
        first += 1
    return first == stop


@kernel
def _ending(text, start, end, words, starts):  # type: ignore[no-untyped-def]
    """How many bytes the word has that text[start:end] ends with; 0 for none."""
    for word in range(len(starts) - 1):
        place = end - (starts[word + 1] - starts[word])
        if place >= start and _has_at(text, place, end, words, starts[word], starts[word + 1]):
            return end - place
    return 0


@kernel
def is_furniture(text, blocks, block):  # type: ignore[no-untyped-def]
    """As the reference, for the block with an index."""
    if blocks[block, BLOCK_CHARACTERS] >= FURNITURE_CHARACTERS:
        return False
    end = blocks[block, BLOCK_END]
    for place in range(blocks[block, BLOCK_START], end - 1):
        if not (_MAY_START[text[place]] and _MAY_FOLLOW[text[place + 1]]):
            continue
        for word in range(len(_FURNITURE_STARTS) - 1):
            first = _FURNITURE_STARTS[word]
            if text[place] == _FURNITURE[first] and _has_at(
                text, place, end, _FURNITURE, first, _FURNITURE_STARTS[word + 1]
            ):
                return True
    return False


@kernel
def weigh(text, blocks, block):  # type: ignore[no-untyped-def]
    """As the reference, for the block with an index."""
    characters = blocks[block, BLOCK_CHARACTERS]
    links = blocks[block, BLOCK_LINK_CHARACTERS]
    marks = np.int64(blocks[block, BLOCK_MARKS])
    free = characters - LINK_COST * links
    if free <= 0 or is_furniture(text, blocks, block):
        return 0.0
    if links > 0:
        start = np.int64(blocks[block, BLOCK_START])
        end = np.int64(blocks[block, BLOCK_END])
        tail = _ending(text, start, end, _TAIL, _TAIL_STARTS)
        while tail > 0:
            end -= tail
            tail = _ending(text, start, end, _TAIL, _TAIL_STARTS)
        if _ending(text, start, end, _ENDS, _END_STARTS) > 0:
            return 0.0
    is_preformatted = (blocks[block, BLOCK_FLAGS] & IN_PREFORMATTED) != 0
    if is_preformatted and 2 * blocks[block, BLOCK_HANZI] < characters:
        marks = 0
    if (marks >= 2 and characters >= 15) or (marks > 0 and characters >= 30):
        return free
    if characters >= 15:
        return UNMARKED_WEIGHT * free
    return SHORT_WEIGHT * free if marks > 0 else 0.0
