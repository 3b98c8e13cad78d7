"""How well the bytes of a sample read in each encoding, counted without decoding them.

A `ReadingTable` says of every byte and every pair of bytes what an encoding makes of it: nothing,
something that tells nothing (ASCII, punctuation), a rare character or a common one. Text read with
the right table consists of common characters; read with a wrong one, of rare ones and of bytes
that are nothing. UTF-8 needs no table: its sequences prove themselves by their form.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from filters.kernels.compiling import inlined, kernel
from filters.kernels.double_byte import NONE, SEVERAL, DoubleByteTable, next_beyond_ascii

UNREADABLE, SILENT, RARE, COMMON = 0, 1, 2, 3

# From a first non-ASCII byte on: no encoding looked at here has trail bytes outside these.
_RUN = re.compile(rb"[\x80-\xff][0-9@-\xff]*")
# Ends every sample, so that no character of it is cut off by the end of the array.
_GAP = 0x20


@dataclass(frozen=True)
class ReadingTable:
    """What an encoding makes of bytes; values are UNREADABLE, SILENT, RARE or COMMON.

    Attributes:
      singles: uint8 (256,), by byte.
      pairs: uint8 (65536,), by 256 × first + second byte. Looked at before singles.
      longest: 4 for GB18030 and 3 for EUC-JP, whose longer characters are all rare; else 2.
    """

    singles: np.ndarray
    pairs: np.ndarray
    longest: int


class Reading(NamedTuple):
    """Characters of a sample that say something, by what they are."""

    common: int
    rare: int
    unreadable: int

    @property
    def share(self) -> float:
        """Common characters, less what is unreadable, as a share of all; 0 where there is none."""
        letters = sum(self)
        return (self.common - self.unreadable) / letters if letters else 0.0


def reading_table(
    table: DoubleByteTable, classify: Callable[[str], int], longest: int
) -> ReadingTable:
    """What the characters of a table say.

    Args:
      table: of the encoding.
      classify: SILENT, RARE or COMMON for a character beyond ASCII.
      longest: see ReadingTable.
    """

    def class_of(point: int) -> int:
        if point == NONE:
            return UNREADABLE
        return RARE if point == SEVERAL else classify(chr(point))

    kinds = {point: class_of(point) for point in {*table.pairs.tolist(), *table.singles.tolist()}}
    singles, pairs = (
        np.array([kinds[point] for point in points.tolist()], np.uint8)
        for points in (table.singles, table.pairs)
    )
    singles[:0x80] = SILENT
    return ReadingTable(singles, pairs, longest)


def take_sample_reference(body: bytes, run_bytes: int, sample_bytes: int) -> bytes:
    """What `take_sample` computes, in plain Python."""
    runs = [run[:run_bytes] for run in _RUN.findall(body)]
    step = sum(map(len, runs)) // sample_bytes + 1
    return b"".join(run + b" " for run in runs[::step])


def take_sample(body: bytes, run_bytes: int, sample_bytes: int) -> bytes:
    """Runs of bytes with non-ASCII characters from all over a page, each followed by a space.

    Args:
      body: the page.
      run_bytes: what is longer is cut.
      sample_bytes: about so many bytes are taken: every n-th run.
    """
    if not body:
        return b""
    sample: bytes = _take_sample(np.frombuffer(body, np.uint8), run_bytes, sample_bytes).tobytes()
    return sample


def read_with_table_reference(sample: bytes, table: ReadingTable) -> Reading:
    """What `read_with_table` computes, in plain Python."""
    counts = [0, 0, 0, 0]
    place = 0
    while place < len(sample):
        one, two, three, four = sample[place : place + 4].ljust(4, b" ")
        if table.pairs[256 * one + two]:
            counts[table.pairs[256 * one + two]] += 1
            place += 2
        elif table.longest == 4 and _is_four_bytes_reference(one, two, three, four):
            counts[RARE] += 1
            place += 4
        elif table.longest == 3 and one == 0x8F and two >= 0xA1 and three >= 0xA1:
            counts[RARE] += 1
            place += 3
        else:
            counts[table.singles[one]] += 1
            place += 1
    return Reading(counts[COMMON], counts[RARE], counts[UNREADABLE])


def _is_four_bytes_reference(one: int, two: int, three: int, four: int) -> bool:
    """Whether four bytes have the form of GB18030's longest characters."""
    return (
        0x81 <= one <= 0xFE
        and 0x30 <= two <= 0x39
        and 0x81 <= three <= 0xFE
        and 0x30 <= four <= 0x39
    )


def read_with_table(sample: bytes, table: ReadingTable) -> Reading:
    """Counts the characters of a sample as an encoding reads them.

    A byte that begins no character is unreadable, and reading goes on behind it.
    """
    if not sample:
        return Reading(0, 0, 0)
    data = np.frombuffer(sample, np.uint8)
    return Reading(*_read(data, table.singles, table.pairs, table.longest))


def read_utf8_reference(sample: bytes) -> Reading:
    """What `read_utf8` computes, in plain Python."""
    high = sum(byte >= 0x80 for byte in sample)
    readable = sum(byte >= 0x80 for byte in sample.decode("utf-8", "ignore").encode())
    return Reading(readable, high - readable, 0)


def read_utf8(sample: bytes) -> Reading:
    """Counts bytes beyond ASCII: as common those in well-formed sequences, as rare the others."""
    if not sample:
        return Reading(0, 0, 0)
    readable, stray = _read_utf8(np.frombuffer(sample, np.uint8))
    return Reading(readable, stray, 0)


@kernel
def _take_sample(body, run_bytes, sample_bytes):  # type: ignore[no-untyped-def]
    """The sample of uint8 (n,), read-only, as a new array."""
    total = 0
    runs = 0
    start = next_beyond_ascii(body, 0)
    while start < body.shape[0]:
        end = _run_end(body, start)
        total += min(end - start, run_bytes)
        runs += 1
        start = next_beyond_ascii(body, end)
    step = total // sample_bytes + 1
    sample = np.empty(total + runs, np.uint8)
    size = 0
    number = 0
    start = next_beyond_ascii(body, 0)
    while start < body.shape[0]:
        end = _run_end(body, start)
        if number % step == 0:
            for index in range(start, min(end, start + run_bytes)):
                sample[size] = body[index]
                size += 1
            sample[size] = _GAP
            size += 1
        number += 1
        start = next_beyond_ascii(body, end)
    return sample[:size]


@inlined
def _run_end(body, place):  # type: ignore[no-untyped-def]
    """Where a run that begins here ends."""
    while place < body.shape[0] and (
        body[place] >= 0x40 or (body[place] >= 0x30 and body[place] <= 0x39)
    ):
        place += 1
    return place


@kernel
def _read(sample, singles, pairs, longest):  # type: ignore[no-untyped-def]
    """Common, rare and unreadable characters of uint8 (n,), read-only, by uint8 tables."""
    size = sample.shape[0]
    common = 0
    rare = 0
    unreadable = 0
    place = 0
    while place < size:
        one = np.int64(sample[place])
        two = np.int64(sample[place + 1]) if place + 1 < size else np.int64(_GAP)
        kind = pairs[256 * one + two]
        width = 2
        if kind == UNREADABLE:
            kind = singles[one]
            width = 1
            if longest == 4 and _is_four_bytes(sample, place):
                kind = RARE
                width = 4
            elif longest == 3 and one == 0x8F and two >= 0xA1 and _high_byte(sample, place + 2):
                kind = RARE
                width = 3
        common += kind == COMMON
        rare += kind == RARE
        unreadable += kind == UNREADABLE
        place += width
    return common, rare, unreadable


@inlined
def _high_byte(sample, place):  # type: ignore[no-untyped-def]
    return place < sample.shape[0] and sample[place] >= 0xA1


@inlined
def _is_four_bytes(sample, place):  # type: ignore[no-untyped-def]
    """Whether four bytes have the form of GB18030's longest characters."""
    if place + 4 > sample.shape[0]:
        return False
    for offset in (0, 2):
        lead = sample[place + offset]
        digit = sample[place + offset + 1]
        if lead < 0x81 or lead > 0xFE or digit < 0x30 or digit > 0x39:
            return False
    return True


@kernel
def _read_utf8(sample):  # type: ignore[no-untyped-def]
    """Bytes of uint8 (n,), read-only, in well-formed sequences, and other bytes beyond ASCII."""
    size = sample.shape[0]
    readable = 0
    stray = 0
    place = 0
    while place < size:
        if sample[place] < 0x80:
            place += 1
            continue
        length = _sequence_length(sample, place)
        if length == 0:
            stray += 1
            place += 1
        else:
            readable += length
            place += length
    return readable, stray


@inlined
def _sequence_length(sample, place):  # type: ignore[no-untyped-def]
    """Bytes of the well-formed sequence that begins here (Unicode, table 3-7); 0 if none does."""
    lead = sample[place]
    if lead < 0xC2 or lead > 0xF4:
        return 0
    length = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    if place + length > sample.shape[0]:
        return 0
    least = 0xA0 if lead == 0xE0 else 0x90 if lead == 0xF0 else 0x80
    most = 0x9F if lead == 0xED else 0x8F if lead == 0xF4 else 0xBF
    if sample[place + 1] < least or sample[place + 1] > most:
        return 0
    for index in range(place + 2, place + length):
        if sample[index] & 0xC0 != 0x80:
            return 0
    return length
