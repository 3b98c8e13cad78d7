"""The documents of a batch as one array of characters, decoded once and shared by every kernel."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from filters.kernels.compiling import kernel


@dataclass(frozen=True)
class TextBatch:
    """Texts one after another.

    Attributes:
      characters: uint32 (total,), the code points of all texts.
      starts: int64 (texts + 1,): text i is characters[starts[i]:starts[i + 1]].
    """

    characters: np.ndarray
    starts: np.ndarray

    @classmethod
    def from_arrow(cls, column: pa.Array | pa.ChunkedArray) -> TextBatch:
        """The texts of a column.

        Args:
          column: string or large_string, valid UTF-8; a null counts as an empty text.
        """
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        column = column.cast(pa.large_string())
        if column.null_count:
            column = column.fill_null("")
        count = len(column)
        _, offsets, data = column.buffers()
        if count == 0 or data is None:
            return cls(np.empty(0, np.uint32), np.zeros(count + 1, np.int64))
        ends = np.frombuffer(offsets, np.int64)[column.offset : column.offset + count + 1]
        start, stop = int(ends[0]), int(ends[-1])
        content = np.frombuffer(data, np.uint8)[start:stop]
        return _decode(content, ends - start)

    @classmethod
    def from_strings(cls, texts: Sequence[str]) -> TextBatch:
        """The texts of a list; none may hold a lone surrogate."""
        return cls.from_arrow(pa.array(texts, pa.large_string()))

    def to_arrow(self) -> pa.StringArray:
        """The texts as an Arrow string column."""
        data = np.empty(_utf8_size(self.characters), np.uint8)
        ends = np.empty(len(self.starts), np.int32)
        _encode(self.characters, self.starts, data, ends)
        return pa.StringArray.from_buffers(len(self), pa.py_buffer(ends), pa.py_buffer(data))

    def to_strings(self) -> list[str]:
        """The texts as Python strings."""
        texts: list[str] = self.to_arrow().to_pylist()
        return texts

    def text(self, index: int) -> str:
        """One text as a Python string."""
        points = self.characters[self.starts[index] : self.starts[index + 1]]
        # Straight from the array; bytes.decode would look the codec up and copy.
        return codecs.utf_32_le_decode(points.astype("<u4", copy=False).data, "strict", True)[0]

    def lengths(self) -> np.ndarray:
        """Characters of each text: int64 (texts,)."""
        return np.diff(self.starts)

    def __len__(self) -> int:
        return len(self.starts) - 1


def _decode(content: np.ndarray, ends: np.ndarray) -> TextBatch:
    content = content.view()
    content.flags.writeable = False  # as Arrow's buffers are: one type, compiled once
    characters = np.empty(len(content), np.uint32)
    starts = np.empty(len(ends), np.int64)
    total = decode_utf8(content, np.ascontiguousarray(ends, np.int64), characters, starts)
    return TextBatch(characters[:total], starts)


_1, _2, _3, _4 = np.arange(1, 5, dtype=np.uint64)


@kernel
def decode_utf8(data, ends, characters, starts):  # type: ignore[no-untyped-def]
    """Code points of valid UTF-8; returns how many.

    Args:
      data: uint8 (n,), read-only.
      ends: int64 (texts + 1,): text i is data[ends[i]:ends[i + 1]].
      characters: uint32, at least n long; receives the code points.
      starts: int64 (texts + 1,); receives where each text begins among them.
    """
    # Unsigned indices: numba need not ask whether they count from the end.
    count = np.uint64(0)
    starts[0] = 0
    for text in range(ends.shape[0] - 1):
        place = np.uint64(ends[text])
        end = np.uint64(ends[text + 1])
        while place < end:
            lead = np.uint32(data[place])
            if lead < 0x80:
                characters[count] = lead
                place += _1
            elif lead >= 0xE0 and lead < 0xF0:
                characters[count] = (
                    ((lead & np.uint32(0x0F)) << np.uint32(12))
                    | ((np.uint32(data[place + _1]) & np.uint32(0x3F)) << np.uint32(6))
                    | (np.uint32(data[place + _2]) & np.uint32(0x3F))
                )
                place += _3
            elif lead < 0xE0:
                characters[count] = ((lead & np.uint32(0x1F)) << np.uint32(6)) | (
                    np.uint32(data[place + _1]) & np.uint32(0x3F)
                )
                place += _2
            else:
                characters[count] = (
                    ((lead & np.uint32(0x07)) << np.uint32(18))
                    | ((np.uint32(data[place + _1]) & np.uint32(0x3F)) << np.uint32(12))
                    | ((np.uint32(data[place + _2]) & np.uint32(0x3F)) << np.uint32(6))
                    | (np.uint32(data[place + _3]) & np.uint32(0x3F))
                )
                place += _4
            count += _1
        starts[text + 1] = count
    return np.int64(count)


@kernel
def _utf8_size(characters):  # type: ignore[no-untyped-def]
    """Bytes of the characters in UTF-8."""
    size = 0
    for index in range(characters.shape[0]):
        point = characters[index]
        size += 1 + (point >= 0x80) + (point >= 0x800) + (point >= 0x10000)
    return size


@kernel
def _encode(characters, starts, data, ends):  # type: ignore[no-untyped-def]
    """Writes the characters as UTF-8, and where each text ends among the bytes."""
    place = 0
    ends[0] = 0
    for text in range(starts.shape[0] - 1):
        for index in range(starts[text], starts[text + 1]):
            point = characters[index]
            if point < 0x80:
                data[place] = point
                place += 1
            elif point < 0x800:
                data[place] = 0xC0 | (point >> np.uint32(6))
                data[place + 1] = 0x80 | (point & np.uint32(0x3F))
                place += 2
            elif point < 0x10000:
                data[place] = 0xE0 | (point >> np.uint32(12))
                data[place + 1] = 0x80 | ((point >> np.uint32(6)) & np.uint32(0x3F))
                data[place + 2] = 0x80 | (point & np.uint32(0x3F))
                place += 3
            else:
                data[place] = 0xF0 | (point >> np.uint32(18))
                data[place + 1] = 0x80 | ((point >> np.uint32(12)) & np.uint32(0x3F))
                data[place + 2] = 0x80 | ((point >> np.uint32(6)) & np.uint32(0x3F))
                data[place + 3] = 0x80 | (point & np.uint32(0x3F))
                place += 4
        ends[text + 1] = place
