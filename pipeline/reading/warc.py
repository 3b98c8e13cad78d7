"""Records out of WARC files (ISO 28500), also out of damaged ones.

The reader trusts a record only when something confirms it: its block is followed by a blank
line, by the next record, or by the end of its compressed member, whose checksum was right. After
anything else it looks for the next place where a record begins and goes on there.

Offsets. A record at the start of a compressed member has that member's offset in the file, which
is what CDX indexes hold; in a plain file its own offset. A record further inside a member (files
compressed as a whole) has its distance from the member's start added, in decompressed bytes:
for a file of one member this is its offset in the decompressed file. Offsets only ever grow, by
one at least, which keeps them unique in files that mix both.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pipeline.reading.http_message import parse_headers
from pipeline.reading.members import DamagedMemberError, MemberStream
from pipeline.reading.record import Damage, ReadLimits

PAGE_TYPES = ("response", "resource", "conversion", "revisit")
MAX_HEADER_BYTES = 64 * 1024
# A record of more than this many times the limit is given up together with its member, so that
# a decompression bomb costs seconds.
SKIPPED_LIMITS = 64

_VERSION = re.compile(rb"WARC/\d+\.\d+[ \t]*\r*\n")
_LONGEST_VERSION = 32
# A blank line; or, where that was lost, the next record.
_HEADER_END = re.compile(rb"\n(?:\r*\n|WARC/\d)")
_BLANK = re.compile(rb"[\r\n]*")
_RECORD_START = re.compile(rb"[\r\n]*WARC/")
_RECORD_END = re.compile(rb"\r*\n\r*\n|[\r\n]*(?:WARC/|\Z)")
_LOOK_BEHIND_RECORD = 16


@dataclass(frozen=True, slots=True)
class WarcRecord:
    """One intact record of a page type.

    Attributes:
      offset: see the module's docstring.
      headers: WARC headers by lower-case name.
      block: its content, for responses with the HTTP headers.
    """

    offset: int
    headers: dict[str, str]
    block: bytes


def read_warc_records(file: BinaryIO, limits: ReadLimits) -> Iterator[WarcRecord | Damage]:
    """Reads the page records of a WARC, plain or compressed, and notes what is damaged.

    Args:
      file: binary and seekable. At most a few times the record limit is held in memory.
      limits: a record with a longer block is Damage `too_large`.
    """
    yield from _WarcReader(file, limits)


class _UnreadableError(Exception):
    """The bytes at the start of the window are no intact record."""


class _ForeignFormatError(Exception):
    """The file is of another format, which is known but not read."""


class _Window:
    """The decompressed bytes at hand, from the record that is being read onwards."""

    def __init__(self, stream: MemberStream) -> None:
        self.data = bytearray()
        self.position = 0
        self._stream = stream
        # (position in the decompressed stream, offset of the member that starts there); the
        # first is the member of data[0].
        self._members: deque[tuple[int, int]] = deque([(0, 0)])

    def pull(self) -> bool:
        """Adds the next piece of the file; False at its end."""
        piece = self._stream.read()
        if piece is None:
            return False
        if piece.begins:
            self._members.append((self.position + len(self.data), piece.member))
            self._forget_members()
        self.data += piece.data
        return True

    def reach(self, count: int) -> bool:
        """Pulls until count bytes are at hand; False where the file ends before."""
        while len(self.data) < count:
            if not self.pull():
                return False
        return True

    def copy(self, start: int, end: int) -> bytes:
        """data[start:end], copied once."""
        with memoryview(self.data) as view:
            return view[start:end].tobytes()

    def drop(self, count: int) -> None:
        """Leaves the first count bytes behind."""
        del self.data[:count]
        self.position += count
        self._forget_members()

    def restart(self, position: int | None = None) -> None:
        """Empties the window, as reading goes on elsewhere; in a plain file, at position."""
        self.drop(len(self.data))
        if position is not None:
            self.position = position
            self._stream.seek_plain(position)

    def skip_blank(self) -> bool:
        """Drops line breaks; False at the end of the file."""
        while True:
            match = _BLANK.match(self.data)
            count = match.end() if match else 0
            blank_end = self.position + count
            # Line breaks that a member begins with do not move its record away from its start.
            for index, (position, offset) in enumerate(self._members):
                if self.position <= position < blank_end:
                    self._members[index] = (blank_end, offset)
            self.drop(count)
            if self.data:
                return True
            if not self.pull():
                return False

    @property
    def offset(self) -> int:
        """Offset of the first byte at hand, as records are numbered."""
        position, offset = self._members[0]
        return offset + self.position - position

    @property
    def at_member_start(self) -> bool:
        return self._members[0][0] == self.position

    def member_of(self, index: int) -> int:
        """Offset of the member that data[index] comes from."""
        return max(
            offset for position, offset in self._members if position <= self.position + index
        )

    def member_starts(self) -> list[int]:
        """Where in data members begin."""
        starts = (position - self.position for position, _ in self._members)
        return [start for start in starts if start >= 0]

    def _forget_members(self) -> None:
        while len(self._members) > 1 and self._members[1][0] <= self.position:
            self._members.popleft()


class _WarcReader:
    """Walks a window from record to record; see the module's docstring."""

    def __init__(self, file: BinaryIO, limits: ReadLimits) -> None:
        self._limit = limits.max_record_bytes
        self._stream = MemberStream(file, allowance=SKIPPED_LIMITS * self._limit)
        self._window = _Window(self._stream)
        self._last_offset = -1
        self._met_records = False
        self._records_cross_members = False
        # Offset of a damaged member that was already told of, with the record that it broke.
        self._told_member = -1
        # What to do before the next record is read: look for its beginning from this place of
        # the window on; pass over a large record (where its block begins, its length).
        self._search_from: int | None = None
        self._large: tuple[int, int] | None = None

    def __iter__(self) -> Iterator[WarcRecord | Damage]:
        empty = True
        while True:
            try:
                if not self._go_to_next_record():
                    break
            except DamagedMemberError as problem:
                empty = False
                if problem.offset != self._told_member:
                    yield self._damage(problem.offset, "damaged_record", problem.detail)
                self._window.restart()
                self._search_from = 0
                if not self._stream.resume(b"" if self._records_cross_members else b"WARC/"):
                    break
                continue
            empty = False
            offset = self._window.offset
            try:
                item = self._read_record()
            except DamagedMemberError as problem:
                self._told_member = problem.offset
                self._search_from = 1
                item = self._damage(offset, "damaged_record", problem.detail)
            except _UnreadableError as problem:
                self._told_member = self._window.member_of(0)
                self._search_from = 1
                cause = self._stream.damage
                own_member = cause is not None and cause.offset == self._told_member
                detail = cause.detail if cause and own_member else str(problem)
                is_warc = self._met_records or self._window.data.startswith(b"WARC/")
                error = "damaged_record" if is_warc else "damaged_file"
                item = self._damage(offset, error, detail)
            except _ForeignFormatError as problem:
                yield self._damage(offset, "damaged_file", str(problem))
                return
            if item is not None:
                yield item
        if empty:
            yield self._damage(0, "damaged_file", "the file, or what it unpacks to, is empty")

    def _go_to_next_record(self) -> bool:
        """Moves the window to the next record; False at the end of the file."""
        if self._large is not None:
            block_start, length = self._large
            self._large = None
            self._pass_over(block_start, length)
        if self._search_from is not None:
            start, self._search_from = self._search_from, None
            self._search(start)
        return self._window.skip_blank()

    def _read_record(self) -> WarcRecord | Damage | None:
        """The record that the window starts with; None if it is not a page."""
        window = self._window
        headers, block_start = self._read_header()
        length = _content_length(headers)
        self._stream.renew_allowance()
        is_page = headers.get("warc-type", "").lower() in PAGE_TYPES
        if length > self._limit:
            self._large = (block_start, length)
            self._told_member = window.member_of(0)
            if not is_page:
                return None
            url = headers.get("warc-target-uri", "")
            detail = f"{url}: {length:,} bytes, the limit is {self._limit:,}"
            return self._damage(window.offset, "too_large", detail)
        block_end = block_start + length
        if not window.reach(block_end):
            raise _UnreadableError(
                f"cut off: {len(window.data) - block_start:,} of {length:,} bytes are there"
            )
        if not self._ends_well(block_end):
            raise _UnreadableError(f"Content-Length {length:,} is wrong: no record ends there")
        self._told_member = -1
        self._met_records = True
        if window.member_of(block_end - 1) != window.member_of(0):
            self._records_cross_members = True
        record = None
        if is_page:
            block = window.copy(block_start, block_end)
            record = WarcRecord(self._unique(window.offset), headers, block)
        window.drop(block_end)
        return record

    def _read_header(self) -> tuple[dict[str, str], int]:
        """WARC headers at the start of the window, and where its block begins."""
        window = self._window
        window.reach(_LONGEST_VERSION)
        if window.data.startswith(b"filedesc://"):
            raise _ForeignFormatError(
                "an ARC file, the format before WARC, is not read; convert it first, "
                "for instance with `warcio recompress`"
            )
        if not _VERSION.match(window.data):
            raise _UnreadableError(f"no WARC record begins here: {bytes(window.data[:24])!r}")
        while not (end := _HEADER_END.search(window.data, 0, MAX_HEADER_BYTES)):
            if len(window.data) >= MAX_HEADER_BYTES or not window.pull():
                break
        if end is None or b"WARC" in end[0]:
            raise _UnreadableError("its header has no end")
        return parse_headers(bytes(window.data[: end.start()])), end.end()

    def _ends_well(self, end: int) -> bool:
        """Whether a block that ends at this place of the window is confirmed by what follows."""
        window = self._window
        try:
            window.reach(end + _LOOK_BEHIND_RECORD)
        except DamagedMemberError as problem:
            if problem.offset == window.member_of(end - 1):
                raise
        tail = bytes(window.data[end : end + _LOOK_BEHIND_RECORD])
        if _RECORD_END.match(tail):
            return True
        line_breaks = len(tail) - len(tail.lstrip(b"\r\n"))
        return any(end <= start <= end + line_breaks for start in window.member_starts())

    def _search(self, index: int) -> None:
        """Moves the window to the next beginning of a record, or to the end of the file.

        Args:
          index: where in the window to look first.
        """
        window = self._window
        while True:
            window.reach(index + _LONGEST_VERSION)
            index = window.data.find(b"WARC/", index)
            if index < 0:
                # Some bytes stay: they may be the first half of what is looked for.
                window.drop(max(0, len(window.data) - _LONGEST_VERSION))
                index = 1
                if not window.pull():
                    window.drop(len(window.data))
                    return
                continue
            window.reach(index + _LONGEST_VERSION)
            begins_line = window.data[index - 1 : index] == b"\n" or index in window.member_starts()
            if begins_line and _VERSION.match(window.data, index):
                window.drop(index)
                return
            index += 1

    def _pass_over(self, block_start: int, length: int) -> None:
        """Leaves a record behind that is too large to hold, whether or not its length is true."""
        window = self._window
        if not self._stream.compression:
            start = window.position
            end = start + block_start + length
            if end <= self._stream.size:
                window.restart(end)
                window.reach(_LOOK_BEHIND_RECORD)
                if _RECORD_END.match(window.data[:_LOOK_BEHIND_RECORD]):
                    return
            window.restart(start + block_start)
            self._search_from = 0
        elif not window.at_member_start:
            # Many records in one member: there is no second sign that the length is true, and
            # no way back if it is not.
            self._search_from = block_start
        else:
            window.drop(block_start)
            remaining = length
            while remaining > 0:
                # The member of another record is a sign that the length is not true.
                for start in window.member_starts():
                    window.reach(start + _LOOK_BEHIND_RECORD)
                    if start < remaining and _RECORD_START.match(window.data, start):
                        window.drop(start)
                        return
                step = min(remaining, len(window.data))
                window.drop(step)
                remaining -= step
                if remaining and not window.pull():
                    return

    def _damage(self, offset: int, error: str, detail: str) -> Damage:
        return Damage(self._unique(offset), error, detail)

    def _unique(self, offset: int) -> int:
        self._last_offset = max(offset, self._last_offset + 1)
        return self._last_offset


def _content_length(headers: dict[str, str]) -> int:
    value = headers.get("content-length", "")
    if not (value.isascii() and value.isdigit() and len(value) < 19):
        raise _UnreadableError(f"Content-Length is {value!r}" if value else "no Content-Length")
    return int(value)
