"""Text to token ids and back, with a vocabulary of ours or the released one."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import fsspec
import numpy as np
from sentencepiece import SentencePieceProcessor

from pangu_settings import UserError
from tokenizer.segmentation import Segmenter, mark_spaces, segment
from tokenizer.shards import TokenizerFacts
from tokenizer.special_pieces import (
    NEWLINE_ID,
    NEWLINE_SYMBOL,
    PAD_ID,
    SEPARATOR_ID,
    SPACE_ID,
    SPACE_SYMBOL,
    SPECIAL_PIECES,
    UNKNOWN_ID,
)

MODEL_NAME = "tokenizer.model"

# SentencePiece writes a space inside a piece as this character.
_WORD_START = "▁"
# Characters of a text that would be taken for a symbol, and what NFKC can turn into "<".
_SYMBOLS = re.compile(f"([{_WORD_START}{SPACE_SYMBOL}{NEWLINE_SYMBOL}])")
_SYMBOLS_AND_BRACKETS = re.compile(f"([<＜﹤{_WORD_START}{SPACE_SYMBOL}{NEWLINE_SYMBOL}])")


@dataclass(frozen=True)
class Encoded:
    """The ids of several texts in one row.

    Attributes:
      ids: [tokens] int32.
      ends: [texts] int64, where each text ends in ids (exclusive).
    """

    ids: np.ndarray
    ends: np.ndarray


class Tokenizer:
    """A SentencePiece vocabulary with PanGu-α's special pieces.

    A vocabulary trained on jieba words encodes exactly as the released code does. One trained
    without a segmenter is faster, and lossless if it was trained with byte fallback and without
    normalization: `decode(encode(text)) == text` for every text.

    ```
    tokenizer = Tokenizer("runs/demo/tokenizer")
    ids = tokenizer.encode("今天是一个好天气")
    ```
    """

    def __init__(
        self, model_path: str | os.PathLike[str], segmenter: Segmenter | None = None
    ) -> None:
        """Loads a vocabulary.

        Args:
          model_path: a SentencePiece model file, or a folder with a `tokenizer.model`; local or
            an fsspec path.
          segmenter: None asks the model itself: one that puts a word start before a text was
            trained on words, as the released one is; ours without a segmenter do not.

        Raises:
          UserError: there is no such file, it is no SentencePiece model, or the pieces 0 to 9
            are not PanGu-α's.
        """
        self.path, content = _read_model(os.fspath(model_path))
        self.sha256 = hashlib.sha256(content).hexdigest()
        self._processor = load_processor(content, self.path)
        starts_words = self._processor.normalize("中").startswith(_WORD_START)
        self.segmenter: Segmenter = segmenter or ("jieba" if starts_words else "none")
        self.vocabulary_size: int = self._processor.vocab_size()
        self.separator = SEPARATOR_ID
        self.pad = PAD_ID

    @property
    def facts(self) -> TokenizerFacts:
        """What the shards record about this vocabulary."""
        return TokenizerFacts(
            sha256=self.sha256,
            vocabulary_size=self.vocabulary_size,
            separator=self.separator,
            pad=self.pad,
        )

    def encode(self, text: str) -> np.ndarray:
        """The ids of text, [tokens] int32; no special id except newline and space among them."""
        if self.segmenter == "jieba":
            return self._processor.encode_as_numpy(" ".join(segment(text)))
        if NEWLINE_SYMBOL in text or SPACE_SYMBOL in text or _WORD_START in text:
            return self._encode_parts(_SYMBOLS.split(text))
        ids = self._encode_plain(text)
        if ((ids > SPACE_ID) & (ids < len(SPECIAL_PIECES))).any():
            # The text spells a special piece, such as "<eot>": cut off its bracket.
            return self._encode_parts(_SYMBOLS_AND_BRACKETS.split(text))
        return ids

    def encode_batch(self, texts: Iterable[str]) -> Encoded:
        """The ids of many texts in one row, without separators."""
        rows = [self.encode(text) for text in texts]
        ends = np.cumsum([row.size for row in rows], dtype=np.int64)
        return Encoded(np.concatenate(rows) if rows else np.empty(0, np.int32), ends)

    def decode(self, ids: Iterable[int] | np.ndarray) -> str:
        """The text of ids; an unknown piece reads "⁇", a special piece reads as its name.

        Raises:
          ValueError: an id lies outside the vocabulary.
        """
        row = np.asarray(ids if isinstance(ids, np.ndarray) else list(ids), dtype=np.int64)
        if row.size and (row.min() < 0 or row.max() >= self.vocabulary_size):
            worst = row.min() if row.min() < 0 else row.max()
            raise ValueError(f"the id {worst} lies outside 0 to {self.vocabulary_size - 1}")
        # Newlines and spaces are found as ids, not in the decoded text, so that a text that
        # really holds their symbols keeps them.
        marks = np.flatnonzero((row == NEWLINE_ID) | (row == SPACE_ID))
        starts = [0, *(marks + 1).tolist()]
        ends = [*marks.tolist(), row.size]
        numbers = row.tolist()
        runs = [numbers[start:end] for start, end in zip(starts, ends, strict=True)]
        parts = [part.replace(" ", "") for part in self._processor.decode(runs)]
        text = [parts[0]]
        for mark, part in zip(row[marks], parts[1:], strict=True):
            text.append("\n" if mark == NEWLINE_ID else " ")
            text.append(part)
        return "".join(text)

    def pieces(self, ids: Iterable[int] | np.ndarray) -> list[str]:
        """The pieces of the vocabulary behind ids."""
        return [self._processor.id_to_piece(int(number)) for number in ids]

    @cached_property
    def byte_lengths(self) -> np.ndarray:
        """[vocabulary] int64: how many UTF-8 bytes of text each id stands for.

        A newline, a space and a piece that is one byte count 1, other special pieces and the
        unknown piece, which stand for no text of a known length, 0. Losses of models with
        different vocabularies can be compared per byte.
        """
        lengths = np.zeros(self.vocabulary_size, np.int64)
        lengths[[NEWLINE_ID, SPACE_ID]] = 1
        for number in range(len(SPECIAL_PIECES), self.vocabulary_size):
            if self._processor.is_byte(number):
                lengths[number] = 1
            elif not (self._processor.is_control(number) or self._processor.is_unknown(number)):
                piece = self._processor.id_to_piece(number).replace(_WORD_START, "")
                lengths[number] = len(piece.encode())
        return lengths

    def _encode_plain(self, text: str) -> np.ndarray:
        return self._processor.encode_as_numpy(mark_spaces(text))

    def _encode_parts(self, parts: list[str]) -> np.ndarray:
        """Encodes parts apart, so that no special piece is seen across them."""
        rows = [
            self._symbol_ids[part] if part in self._symbol_ids else self._encode_plain(part)
            for part in parts
        ]
        return np.concatenate(rows)

    @cached_property
    def _symbol_ids(self) -> dict[str, np.ndarray]:
        """Ids that spell a symbol which a text really holds: its bytes, or unknown."""
        found = {}
        for symbol in (_WORD_START, SPACE_SYMBOL, NEWLINE_SYMBOL):
            numbers = [self._processor.piece_to_id(f"<0x{b:02X}>") for b in symbol.encode()]
            has_bytes = all(self._processor.is_byte(number) for number in numbers)
            found[symbol] = np.array(numbers if has_bytes else [UNKNOWN_ID], np.int32)
        return found


def load_processor(content: bytes, name: str) -> SentencePieceProcessor:
    """A SentencePiece model from the bytes of its file.

    Raises:
      UserError: content is no such model, or its first pieces are not PanGu-α's special pieces.
    """
    processor = SentencePieceProcessor()
    try:
        processor.load_from_serialized_proto(content)
    except RuntimeError:
        raise UserError(f"{name}: is not a SentencePiece model") from None
    size = processor.vocab_size()
    pieces = tuple(processor.id_to_piece(i) for i in range(min(size, len(SPECIAL_PIECES))))
    if pieces != SPECIAL_PIECES:
        raise UserError(
            f"{name}: its first pieces are {' '.join(pieces) or 'missing'}, not PanGu-α's "
            f"{' '.join(SPECIAL_PIECES)}; train a vocabulary with `pangu tokenizer train`"
        )
    return processor


def _read_model(path: str) -> tuple[str, bytes]:
    """The path of the model file (path itself or the one in that folder) and its content."""
    filesystem, inner = fsspec.core.url_to_fs(path)
    if filesystem.isdir(inner):
        path, inner = f"{path.rstrip('/')}/{MODEL_NAME}", f"{inner.rstrip('/')}/{MODEL_NAME}"
    try:
        content: bytes = filesystem.cat_file(inner)
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file; `pangu tokenizer train FILES -o DIR` makes a vocabulary"
        ) from None
    return path, content
