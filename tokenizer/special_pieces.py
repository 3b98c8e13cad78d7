"""The special pieces of the released PanGu-α vocabulary, with its ids.

The released code separates documents with `<eot>` and ignores positions that hold `<pad>`; text
never encodes to one of the named pieces. The two block characters stand for newline and space,
which SentencePiece would otherwise fold away.
"""

from __future__ import annotations

UNKNOWN_PIECE, BEGIN_PIECE, END_PIECE = "<unk>", "<s>", "</s>"
NEWLINE_SYMBOL = "▃"
SPACE_SYMBOL = "▂"

# In the order of their ids, 0 to 9.
SPECIAL_PIECES = (
    UNKNOWN_PIECE,
    BEGIN_PIECE,
    END_PIECE,
    NEWLINE_SYMBOL,
    SPACE_SYMBOL,
    "<sep>",
    "<pad>",
    "<mask>",
    "<eod>",
    "<eot>",
)

# The three that SentencePiece makes itself come first; it calls the rest user-defined.
USER_DEFINED_PIECES = SPECIAL_PIECES[3:]

UNKNOWN_ID = SPECIAL_PIECES.index(UNKNOWN_PIECE)
NEWLINE_ID = SPECIAL_PIECES.index(NEWLINE_SYMBOL)
SPACE_ID = SPECIAL_PIECES.index(SPACE_SYMBOL)
PAD_ID = SPECIAL_PIECES.index("<pad>")
SEPARATOR_ID = SPECIAL_PIECES.index("<eot>")
