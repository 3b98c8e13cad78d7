"""Character references are decoded as `html.unescape` decodes them."""

from __future__ import annotations

import html.entities

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.kernels.html_entities import NOTHING, decode_entity, decode_reference


def decode(text: str) -> str:
    """Replaces every reference of a text with the kernel."""
    page = np.frombuffer(text.encode(), np.uint8)
    decoded = bytearray()
    place = 0
    while place < len(page):
        if page[place] != ord("&"):
            decoded.append(page[place])
            place += 1
            continue
        first, second, place = decode_entity(page, place, len(page))
        for character in (first, second):
            if character not in (0, NOTHING):
                decoded += chr(character).encode()
    return decoded.decode()


@pytest.mark.parametrize("ending", ["", "x", ";", "=中", "1;"])
def test_every_name(ending: str) -> None:
    for name in html.entities.html5:
        for text in (f"&{name}{ending}", f"&{name.rstrip(';')}{ending}"):
            assert decode(text) == decode_reference(text)


@pytest.mark.parametrize(
    "number", [*range(300), 0xD800, 0xDFFF, 0xFDD0, 0xFDEF, 0xFFFE, 0x1FFFF, 0x10FFFF, 0x110000]
)
def test_numbers(number: int) -> None:
    for text in (f"&#{number};", f"&#{number}", f"&#x{number:x};", f"&#X{number:X}中"):
        assert decode(text) == decode_reference(text)


PIECES = [
    "&",
    "#",
    "x",
    ";",
    "amp",
    "lt",
    "not",
    "notin",
    "Auml",
    "auml",
    "20013",
    "4e2d",
    "中",
    " ",
]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_any_text(text: str) -> None:
    assert decode(text) == decode_reference(text)


def test_numbers_of_any_length_end() -> None:
    assert decode("&#" + "9" * 100_000 + ";") == "\ufffd"
