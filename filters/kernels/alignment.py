"""Takes stray bytes out of rows of double-byte characters.

In GB18030 one byte too many or too few shifts all that follows by half a character, up to the next
ASCII character, and the shifted bytes read as rare characters without any error. A run of bytes
beyond ASCII with an odd number of them has such a place. Of each one byte is taken out: the one
behind which the other alignment gives the most common characters, if it gives more of them than
leaving the run alone.
"""

from __future__ import annotations

import itertools
import re

import numpy as np

from filters.kernels.charset import COMMON, ReadingTable
from filters.kernels.compiling import inlined, kernel

# Shorter runs have no alignment to tell.
LEAST_RUN = 5
# Common characters that taking out a byte must bring.
LEAST_GAIN = 2

_HIGH_RUN = re.compile(rb"[\x81-\xfe]{%d,}" % LEAST_RUN)


def take_out_stray_bytes_reference(body: bytes, table: ReadingTable) -> bytes:
    """What `take_out_stray_bytes` computes, in plain Python."""

    def repair(match: re.Match[bytes]) -> bytes:
        run = match[0]
        if len(run) % 2 == 0:
            return run
        pairs = [table.pairs[256 * one + two] == COMMON for one, two in itertools.pairwise(run)]
        # Common characters when 0, 1, 2 … characters are read before the byte is taken out.
        gains = [sum(pairs[1::2])]
        for here, there in zip(pairs[::2], pairs[1::2], strict=True):
            gains.append(gains[-1] + int(here) - int(there))
        best = max(gains)
        if best < gains[-1] + LEAST_GAIN:
            return run
        place = 2 * gains.index(best)
        return run[:place] + run[place + 1 :]

    return _HIGH_RUN.sub(repair, body)


def take_out_stray_bytes(body: bytes, table: ReadingTable) -> bytes:
    """A page without the bytes that shift a row of double-byte characters.

    Args:
      body: in an encoding whose pairs of bytes may both lie beyond ASCII.
      table: of that encoding.
    """
    if not body:
        return b""
    repaired = np.empty(len(body), np.uint8)
    size = _take_out(np.frombuffer(body, np.uint8), table.pairs, repaired)
    return repaired[:size].tobytes()


@kernel
def _take_out(body, pairs, repaired):  # type: ignore[no-untyped-def]
    """Writes uint8 (n,), read-only, without stray bytes; returns how many bytes that are."""
    size = 0
    place = 0
    while place < body.shape[0]:
        end = place
        while end < body.shape[0] and body[end] >= 0x81 and body[end] <= 0xFE:
            end += 1
        if end == place:
            repaired[size] = body[place]
            size += 1
            place += 1
            continue
        stray = -1
        if end - place >= LEAST_RUN and (end - place) % 2 == 1:
            stray = _stray_byte(body, pairs, place, end)
        for index in range(place, end):
            if index != stray:
                repaired[size] = body[index]
                size += 1
        place = end
    return size


@inlined
def _stray_byte(body, pairs, start, end):  # type: ignore[no-untyped-def]
    """The byte of an odd run to take out; -1 for none."""
    # Against taking out the first byte; only differences matter.
    gain = 0
    best = 0
    stray = start
    for place in range(start, end - 1, 2):
        gain += _is_common(body, pairs, place)
        gain -= _is_common(body, pairs, place + 1)
        if gain > best:
            best = gain
            stray = place + 2
    return stray if best >= gain + LEAST_GAIN else -1


@inlined
def _is_common(body, pairs, place):  # type: ignore[no-untyped-def]
    """1 if the two bytes from here on are a common character, else 0."""
    pair = np.int64(256) * np.int64(body[place]) + np.int64(body[place + 1])
    return np.int64(pairs[pair] == COMMON)
