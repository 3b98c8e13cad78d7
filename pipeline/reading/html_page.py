"""HTML pages: told from other files by how they begin, and read from files of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from pipeline.reading.members import DamagedMemberError, MemberStream
from pipeline.reading.record import Damage, ReadLimits, Record

START_BYTES = 4096
# What a compressed page may unpack to before its file counts as damaged; the limit comes first.
ALLOWANCE_LIMITS = 64

# Possessive (*+): of many comments in a row each is tried once, not in every combination.
_HTML_START = re.compile(
    rb"\s*+(?:<!--.*?-->\s*+)*+(?:<\?xml[^>]*+>\s*+)?+<(?:!doctype\s+html|html|head|body|meta|title)\b",
    re.IGNORECASE | re.DOTALL,
)


def looks_like_html(content: bytes) -> bool:
    """Whether bytes begin as an HTML page does, in any encoding.

    Args:
      content: the page, or its first START_BYTES.
    """
    # Without zero bytes the start of UTF-16 reads as ASCII.
    start = content[:START_BYTES].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe")
    return _HTML_START.match(start) is not None


def read_html(file: BinaryIO, limits: ReadLimits) -> Iterator[Record | Damage]:
    """Reads a file, compressed or not, that is one page; its offset is 0.

    A page that is damaged inside is Damage, not half a page.
    """
    stream = MemberStream(file, allowance=ALLOWANCE_LIMITS * limits.max_record_bytes)
    parts, size = list[bytes](), 0
    try:
        while piece := stream.read():
            parts.append(piece.data)
            size += len(piece.data)
            if size > limits.max_record_bytes:
                yield Damage(0, "too_large", f"more than {limits.max_record_bytes:,} bytes")
                return
    except DamagedMemberError as problem:
        yield Damage(0, "damaged_file", problem.detail)
        return
    if not size:
        yield Damage(0, "damaged_file", "the file, or what it unpacks to, is empty")
        return
    yield Record(0, "html", content_type="text/html", record_type="page", body=b"".join(parts))
