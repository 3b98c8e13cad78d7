"""Reads a MindSpore `.ckpt`, the form in which PanGu-α was released, without MindSpore.

Such a file is a sequence of protobuf messages that merge into one (MindSpore,
mindspore/ccsrc/utils/checkpoint.proto):

    message Checkpoint  { repeated Value value = 1; }
    message Value       { string tag = 1;  TensorProto tensor = 2; }
    message TensorProto { repeated int64 dims = 1;  string tensor_type = 2;
                          bytes tensor_content = 3; }

A tensor above 512 MiB is written as several values of one tag; their contents follow each other.
The format holds data alone, so reading it runs nothing. Only the places of the contents are
remembered: the file is mapped into memory and a tensor is read when it is asked for.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from pangu_settings import UserError

DTYPES = {
    "Float16": torch.float16,
    "BFloat16": torch.bfloat16,
    "Float32": torch.float32,
    "Float64": torch.float64,
    "Int8": torch.int8,
    "UInt8": torch.uint8,
    "Int32": torch.int32,
    "Int64": torch.int64,
    "Bool": torch.bool,
}

_LARGEST_DIMENSION = 2**40
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5


class _DamagedError(Exception):
    """The bytes are not the messages that the format asks for."""


@dataclass
class _Stored:
    """What is known of one tensor before it is read."""

    shape: tuple[int, ...]
    type: str
    spans: list[tuple[int, int]] = field(default_factory=list)
    """Start and end of each part of its content in the file."""


class MindSporeFile(Mapping[str, Tensor]):
    """The tensors of one file by name, each read when it is asked for, in the type as stored.

    Raises:
      UserError: the file is missing, is cut off or is not such a file; or, when a tensor is asked
        for, its type or its size is not what it should be.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tensors: dict[str, _Stored] = {}
        try:
            with path.open("rb") as file:
                # Private and writable pages: torch asks for memory that it could write to.
                self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: cannot be read: {error}") from None
        try:
            for number, start, end in self._fields(0, len(self._bytes)):
                if number == 1:
                    self._remember(start, end)
        except (_DamagedError, UnicodeDecodeError) as error:
            raise UserError(
                f"{path}: not a complete MindSpore checkpoint ({error}); download it again, or "
                "give a folder of .npy files"
            ) from None

    def __getitem__(self, name: str) -> Tensor:
        stored = self._tensors[name]
        if stored.type not in DTYPES:
            raise UserError(
                f"{self._path}: '{name}' is of type '{stored.type}'; known: {', '.join(DTYPES)}"
            )
        dtype = DTYPES[stored.type]
        expected = math.prod(stored.shape) * dtype.itemsize
        found = sum(end - start for start, end in stored.spans)
        if found != expected:
            raise UserError(
                f"{self._path}: '{name}' has {found:,} bytes, its shape {list(stored.shape)} asks "
                f"for {expected:,}; the file is damaged"
            )
        if expected == 0:
            return torch.empty(stored.shape, dtype=dtype)
        content = memoryview(self._bytes)
        # Copied, because a content may begin anywhere and not only where its type could.
        whole = torch.cat(
            [torch.frombuffer(content[start:end], dtype=torch.uint8) for start, end in stored.spans]
        )
        return whole.view(dtype).reshape(stored.shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def _remember(self, start: int, end: int) -> None:
        """Notes what the message Value in these bytes says."""
        tag, kind = "", ""
        dims: list[int] = []
        spans: list[tuple[int, int]] = []
        for number, value_start, value_end in self._fields(start, end):
            if number == 1:
                tag = self._bytes[value_start:value_end].decode("utf-8")
            elif number == 2:
                for part, part_start, part_end in self._fields(value_start, value_end):
                    if part == 1:
                        dims += self._varints(part_start, part_end)
                    elif part == 2:
                        kind = self._bytes[part_start:part_end].decode("utf-8")
                    elif part == 3:
                        spans.append((part_start, part_end))
        if any(dim > _LARGEST_DIMENSION for dim in dims):
            raise _DamagedError(f"'{tag}' has the impossible shape {dims}")
        # A scalar is written with the single dimension 0.
        shape = () if dims == [0] else tuple(dims)
        stored = self._tensors.setdefault(tag, _Stored(shape, kind))
        if (stored.shape, stored.type) != (shape, kind):
            raise _DamagedError(f"'{tag}' is there twice, in different shapes")
        stored.spans += spans

    def _fields(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yields number, start and end of each field of the message in these bytes."""
        while start < end:
            key, start = self._varint(start, end)
            number, wire_type = key >> 3, key & 7
            if wire_type == _LENGTH:
                length, start = self._varint(start, end)
            elif wire_type == _VARINT:
                _, after = self._varint(start, end)
                length = after - start
            elif wire_type in (_EIGHT_BYTES, _FOUR_BYTES):
                length = 8 if wire_type == _EIGHT_BYTES else 4
            else:
                raise _DamagedError(f"unknown wire type {wire_type} at byte {start:,}")
            if start + length > end:
                raise _DamagedError(f"a field of {length:,} bytes at byte {start:,} is cut off")
            yield number, start, start + length
            start += length

    def _varint(self, start: int, end: int) -> tuple[int, int]:
        """Returns the variable-length integer at `start`, and where it ends."""
        value = 0
        # Ten bytes hold 64 bits, seven in each; more would not be an integer of the format.
        for count, place in enumerate(range(start, min(start + 10, end))):
            byte = self._bytes[place]
            value |= (byte & 0x7F) << (7 * count)
            if byte < 0x80:
                return value, place + 1
        raise _DamagedError(f"no integer at byte {start:,}")

    def _varints(self, start: int, end: int) -> Iterator[int]:
        """Yields the integers in these bytes: one for a plain field, several for a packed one."""
        while start < end:
            value, start = self._varint(start, end)
            yield value
