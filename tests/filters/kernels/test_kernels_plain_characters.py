"""The kernel keeps the characters that the reference keeps."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from filters.kernels.plain_characters import plain_batch, plain_text
from filters.kernels.text_batch import TextBatch

CHARACTERS = st.sampled_from(
    "桥a０Ｚｚ\u3000，！\u200b\u200d♀\U0001f469\ufffd\ue000\x00\x85\n\U000e0001"
)
TEXTS = st.lists(st.text(CHARACTERS | st.characters(exclude_categories=["Cs"]), max_size=30))


@example(["\u200d", "♀", "\u200d\u200d♀", "", "♀\u200d"], True)
@given(TEXTS, st.booleans())
def test_kernel_equals_reference(texts: list[str], width: bool) -> None:
    expected = [plain_text(text, width) for text in texts]
    assert plain_batch(TextBatch.from_strings(texts), width).to_strings() == expected


@pytest.mark.parametrize("width", [True, False])
def test_every_character(width: bool) -> None:
    points = [*range(0xD800), *range(0xE000, 0x110000)]
    # A character stands alone and between letters, so that joiners have neighbours.
    text = "a".join(map(chr, points))
    assert plain_batch(TextBatch.from_strings([text]), width).to_strings() == [
        plain_text(text, width)
    ]
