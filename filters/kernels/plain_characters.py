"""Characters that are not text go; full-width letters, digits and spaces become half-width."""

from __future__ import annotations

import re
from functools import cache

import numpy as np

from filters.kernels import code_points
from filters.kernels.compiling import kernel
from filters.kernels.text_batch import TextBatch

# Never text: control characters, private use, zero-width and direction marks, lone surrogates,
# characters that could not be decoded.
_NOT_TEXT = (
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e"
    "\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ud800-\uf8ff\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\uffff\U000e0000-\U0010ffff]"
)
# The joiner stays where it builds an emoji.
_JOINER = "\u200d"
_JOINED = "[\u2640\u2642\u2695\u2696\u2708\u2764\U0001f000-\U0001faff]"
_FULL_WIDTH = "[０-９Ａ-Ｚａ-ｚ\u3000]"

# Full-width forms lie this far behind the characters they widen.
_WIDENED = 0xFEE0
_SPACE, _WIDE_SPACE = 0x20, 0x3000


def plain_text(text: str, width: bool) -> str:
    """The reference: one text without characters that are not text.

    Args:
      text: any text.
      width: whether full-width letters, digits and spaces become half-width. Punctuation never
        does: ，。！？ are Chinese as they are.
    """
    text = re.sub(f"{_NOT_TEXT}+|{_JOINER}(?!{_JOINED})", "", text)
    return (
        re.sub(f"{_FULL_WIDTH}+", lambda run: run[0].translate(_half_width()), text)
        if width
        else text
    )


def plain_batch(texts: TextBatch, width: bool) -> TextBatch:
    """`plain_text` of each text."""
    characters = np.empty(len(texts.characters), np.uint32)
    starts = np.empty(len(texts.starts), np.int64)
    size = _keep_plain(texts.characters, texts.starts, _kinds(), width, characters, starts)
    return TextBatch(characters[:size], starts)


@cache
def _half_width() -> dict[int, int]:
    wide = np.flatnonzero(code_points.matching(_FULL_WIDTH)).tolist()
    return {code: _SPACE if code == _WIDE_SPACE else code - _WIDENED for code in wide}


# Kinds of characters, as bits.
_DROPPED, _IS_JOINER, _AFTER_JOINER, _WIDE = 1, 2, 4, 8


@cache
def _kinds() -> np.ndarray:
    """Kinds of each code point: uint8 (0x110000,)."""
    kinds = np.zeros(code_points.COUNT, np.uint8)
    for kind, pattern in (
        (_DROPPED, _NOT_TEXT),
        (_IS_JOINER, _JOINER),
        (_AFTER_JOINER, _JOINED),
        (_WIDE, _FULL_WIDTH),
    ):
        kinds[code_points.matching(pattern)] |= kind
    return kinds


@kernel
def _keep_plain(given, starts, kinds, width, kept, kept_starts):  # type: ignore[no-untyped-def]
    """Writes the characters that stay and where each text begins among them; returns how many."""
    size = 0
    kept_starts[0] = 0
    for text in range(starts.shape[0] - 1):
        whole = given[starts[text] : starts[text + 1]]
        for place in range(whole.shape[0]):
            character = whole[place]
            kind = kinds[character]
            if kind:
                if kind & _DROPPED:
                    continue
                if kind & _IS_JOINER:
                    after = place + 1
                    follows = after < whole.shape[0] and kinds[whole[after]] & _AFTER_JOINER
                    if not follows:
                        continue
                if width and kind & _WIDE:
                    if character == _WIDE_SPACE:
                        character = np.uint32(_SPACE)
                    else:
                        character = np.uint32(character - np.uint32(_WIDENED))
            kept[size] = character
            size += 1
        kept_starts[text + 1] = size
    return size
