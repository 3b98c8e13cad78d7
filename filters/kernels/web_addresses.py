"""Characters that belong to web addresses."""

from __future__ import annotations

import re

import numpy as np

from filters.kernels.compiling import inlined, kernel
from filters.kernels.text_batch import TextBatch

# An address goes on as long as RFC 3986 has it: printable ASCII but not " < > \ ^ ` { | }.
_ADDRESS = re.compile(r"(?:[hH][tT][tT][pP][sS]?://|[wW]{3}\.)[!#-;=?-\[\]_a-z~]*")
_IN_ADDRESS = np.zeros(128, np.bool_)
_IN_ADDRESS[[c for c in range(0x21, 0x7F) if chr(c) not in '"<>\\^`{|}']] = True


def address_characters(text: str) -> int:
    """How many characters of a text are in addresses that begin http://, https:// or www.

    The reference.
    """
    return sum(map(len, _ADDRESS.findall(text)))


def address_characters_of(texts: TextBatch) -> np.ndarray:
    """The kernel: int64 (texts,)."""
    counts = np.zeros(len(texts), np.int64)
    _count(texts.characters, texts.starts, _IN_ADDRESS, counts)
    return counts


@kernel
def _count(characters, starts, in_address, counts):  # type: ignore[no-untyped-def]
    for text in range(starts.shape[0] - 1):
        end = starts[text + 1]
        place = starts[text]
        while place < end:
            letter = characters[place] | np.uint32(0x20)
            if letter != 0x68 and letter != 0x77:  # h, w
                place += 1
                continue
            length = _beginning(characters, place, end)
            if length == 0:
                place += 1
                continue
            start = place
            place += length
            while place < end and characters[place] < 0x80 and in_address[characters[place]]:
                place += 1
            counts[text] += place - start


@inlined
def _beginning(characters, place, end):  # type: ignore[no-untyped-def]
    """Length of http://, https:// or www. at a place, 0 where there is none of them."""
    if end - place < 4:
        return 0
    small = np.uint32(0x20)
    first = characters[place] | small
    second = characters[place + 1] | small
    third = characters[place + 2] | small
    if first == 0x77 and second == 0x77 and third == 0x77 and characters[place + 3] == 0x2E:
        return 4
    if first != 0x68 or second != 0x74 or third != 0x74:
        return 0
    if characters[place + 3] | small != 0x70:
        return 0
    length = 4
    if place + length < end and characters[place + length] | small == 0x73:
        length += 1
    if place + length + 3 > end:
        return 0
    if (
        characters[place + length] == 0x3A
        and characters[place + length + 1] == 0x2F
        and characters[place + length + 2] == 0x2F
    ):
        return length + 3
    return 0
