"""HTTP messages as crawlers store them: headers read tolerantly, bodies decoded in bounded size.

Servers and crawlers break the rules (RFC 9112) in many ways: lines end in LF, the reason phrase
is missing, a body was already decoded but its headers still say gzip or chunked. Whatever can be
read is read.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import zstandard
from fastwarc.stream_io import BrotliReader
from isal import isal_zlib

from pipeline.reading.members import DECODE_ERRORS, ZSTD_STEP_BYTES

# More codings than this on one body are no server's doing.
MAX_CODINGS = 4
STEP_BYTES = 16 * 1024

_HEADER_END = re.compile(rb"\n\r*\n")
_STATUS_LINE = re.compile(rb"HTTP/\d(?:\.\d)?[ \t]+(\d{3})(?!\d)")
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\n]*)?\r*\n")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([^\s\"';,]+)", re.IGNORECASE)


class BodyTooLargeError(Exception):
    """A body decodes to more bytes than allowed."""


@dataclass(frozen=True, slots=True)
class HttpMessage:
    """A response taken apart.

    Attributes:
      status: None where there is no readable status line.
      headers: by lower-case name.
      body: as sent, encodings still on it.
    """

    status: int | None
    headers: dict[str, str]
    body: bytes


def parse_headers(lines: bytes) -> dict[str, str]:
    """Returns header values by lower-case name; the first line (version or status) is ignored.

    Values of a repeated name are joined with ", " (RFC 9110 §5.3), folded lines with a space.
    Bytes that are not UTF-8 are read as Latin-1.
    """
    try:
        text = lines.decode("utf-8")
    except UnicodeDecodeError:
        text = lines.decode("latin-1")
    headers: dict[str, str] = {}
    name = ""
    for line in text.split("\n")[1:]:
        if line[:1] in (" ", "\t") and name:
            headers[name] += " " + line.strip()
            continue
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if not colon or not name:
            name = ""
        elif name in headers:
            headers[name] += ", " + value.strip()
        else:
            headers[name] = value.strip()
    return headers


def parse_http(block: bytes) -> HttpMessage:
    """Takes a stored response apart; a block without a status line is all body."""
    status = _STATUS_LINE.match(block)
    if not block.startswith(b"HTTP/"):
        return HttpMessage(None, {}, block)
    end = _HEADER_END.search(block)
    head, body = (block[: end.start()], block[end.end() :]) if end else (block, b"")
    return HttpMessage(int(status[1]) if status else None, parse_headers(head), body)


@lru_cache(maxsize=256)  # a crawl repeats a handful of values
def parse_content_type(value: str) -> tuple[str, str | None]:
    """Returns media type and charset label, both lower case; ("", None) where there is none.

    Of a header that was sent several times the last type counts, as in browsers.
    """
    charset = _CHARSET.search(value)
    types = [part.split(";")[0].strip().lower() for part in value.split(",")]
    types = [name for name in types if "/" in name]
    return types[-1] if types else "", charset[1].lower() if charset else None


def decode_body(message: HttpMessage, limit: int) -> bytes:
    """Returns the body without its transfer and content encodings.

    A body that is not encoded as its headers say is returned as it is; of one that is damaged or
    cut off, what can be decoded.

    Raises:
      BodyTooLargeError: more than limit bytes come out.
    """
    body = message.body
    if "chunked" in message.headers.get("transfer-encoding", "").lower():
        body = _join_chunks(body)
    codings = message.headers.get("content-encoding", "").lower().split(",")
    for coding in reversed([name.strip() for name in codings][:MAX_CODINGS]):
        for decoder in _DECODERS.get(coding, ()):
            decoded = decoder(body, limit)
            if decoded:
                body = decoded
                break
    if len(body) > limit:
        raise BodyTooLargeError(f"{len(body):,} bytes, the limit is {limit:,}")
    return body


def _join_chunks(body: bytes) -> bytes:
    """The chunks of a chunked body; from a size line that lies on, the bytes as they are."""
    chunks, position = [], 0
    while position < len(body):
        line = _CHUNK_SIZE.match(body, position)
        if line is None:
            chunks.append(body[position:])
            break
        size = int(line[1], 16)
        if size == 0:
            break
        end = line.end() + size
        chunks.append(body[line.end() : end])
        position = end
        for line_break in (b"\r\n", b"\n"):
            if body.startswith(line_break, position):
                position += len(line_break)
                break
    return b"".join(chunks)


def _collect(decode: Callable[[bytes], bytes], body: bytes, step: int, limit: int) -> bytes:
    """Decodes body step by step until its end or damage."""
    parts, total = [], 0
    for start in range(0, len(body), step):
        try:
            part = decode(body[start : start + step])
        except DECODE_ERRORS:
            break
        total += len(part)
        if total > limit:
            raise BodyTooLargeError(f"decompresses to more than the limit of {limit:,} bytes")
        parts.append(part)
    return b"".join(parts)


def _inflater(window_bits: int) -> Callable[[bytes, int], bytes]:
    def inflate(body: bytes, limit: int) -> bytes:
        decoder = isal_zlib.decompressobj(wbits=window_bits)
        return _collect(lambda data: decoder.decompress(data, limit + 1), body, STEP_BYTES, limit)

    return inflate


def _decode_zstd(body: bytes, limit: int) -> bytes:
    frame = zstandard.ZstdDecompressor().decompressobj()

    def decode(data: bytes) -> bytes:
        return b"" if frame.eof else frame.decompress(data)

    return _collect(decode, body, ZSTD_STEP_BYTES, limit)


def _decode_brotli(body: bytes, limit: int) -> bytes:
    reader = BrotliReader(io.BytesIO(body))
    parts, total = [], 0
    try:
        while part := reader.read(STEP_BYTES):
            total += len(part)
            if total > limit:
                raise BodyTooLargeError(f"decompresses to more than the limit of {limit:,} bytes")
            parts.append(part)
    except OSError:
        # Damaged or cut off: what came before counts.
        pass
    return b"".join(parts)


# `deflate` means zlib's format, but some servers send the bare stream.
_DECODERS: dict[str, tuple[Callable[[bytes, int], bytes], ...]] = {
    "gzip": (_inflater(31),),
    "x-gzip": (_inflater(31),),
    "deflate": (_inflater(15), _inflater(-15)),
    "br": (_decode_brotli,),
    "zstd": (_decode_zstd,),
}
