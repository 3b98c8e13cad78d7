"""Bodies of HTTP responses: transfer and content encodings, true ones and untrue ones."""

from __future__ import annotations

import functools
import gzip
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from warc_bytes import STORIES, errors_of, gzip_members, http, pages_of, read, record, response

from pipeline.reading.http_message import decode_body, parse_http
from pipeline.reading.input_files import Record

# Without the time in the header: the same bytes in every process that collects the tests.
compress = functools.partial(gzip.compress, mtime=0)

BODY = ("<html><p>" + "</p><p>".join(STORIES * 3) + "</p></html>").encode()


def chunked(body: bytes, size: int = 100) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])


def deflate_bare(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(body) + compressor.flush()


def body_of(stored: bytes, *headers: str) -> bytes:
    (item,) = read(record(http(stored, ["Content-Type: text/html", *headers])))
    assert isinstance(item, Record)
    return item.body


ENCODERS = {
    "gzip": compress,
    "x-gzip": compress,
    "deflate": zlib.compress,
    "Deflate": deflate_bare,
    "br": functools.partial(brotli.compress, quality=3),
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("coding", ENCODERS)
def test_content_encodings_are_taken_off(coding: str) -> None:
    assert body_of(ENCODERS[coding](BODY), f"Content-Encoding: {coding}") == BODY


def test_several_codings_are_taken_off_in_their_order() -> None:
    stored = chunked(brotli.compress(compress(BODY)))
    headers = ("Content-Encoding: gzip, br", "Transfer-Encoding: chunked")
    assert body_of(stored, *headers) == BODY


@pytest.mark.parametrize("coding", [*ENCODERS, "identity", "utf-8", "none", "gzip, gzip"])
def test_a_body_that_is_not_encoded_as_declared_is_kept(coding: str) -> None:
    assert body_of(BODY, f"Content-Encoding: {coding}") == BODY


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd", "br"])
def test_of_a_body_that_is_cut_off_the_beginning_is_kept(coding: str) -> None:
    text = "".join(f"{number * number} " for number in range(60_000)).encode()
    stored = ENCODERS[coding](text)
    body = body_of(stored[: len(stored) * 4 // 5], f"Content-Encoding: {coding}")
    assert len(body) > len(text) // 4
    assert text.startswith(body)


def test_of_a_damaged_body_the_beginning_is_kept() -> None:
    text = "".join(f"{number * number} " for number in range(60_000)).encode()
    stored = bytearray(compress(text))
    stored[len(stored) // 2] ^= 0xFF
    assert body_of(bytes(stored), "Content-Encoding: gzip")[:100_000] == text[:100_000]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_body_that_is_a_bomb_is_too_large(coding: str) -> None:
    bomb = record(http(ENCODERS[coding](bytes(8_000_000)), [f"Content-Encoding: {coding}"]))
    items = read(gzip_members([response(1), bomb, response(2)]), limit=100_000)
    assert len(pages_of(items)) == 2
    assert errors_of(items) == ["too_large"]


def test_chunks_are_joined() -> None:
    assert body_of(chunked(BODY), "Transfer-Encoding: chunked") == BODY
    extended = b"5;name=value\r\nhello\r\n0\r\nTrailer: x\r\n\r\n"
    assert body_of(extended, "Transfer-Encoding: chunked") == b"hello"


def test_a_body_that_is_not_chunked_as_declared_is_kept() -> None:
    assert body_of(BODY, "Transfer-Encoding: chunked") == BODY


def test_chunks_that_lie_lose_no_text() -> None:
    too_long = b"5\r\nhello\r\nfffff\r\n world"
    assert body_of(too_long, "Transfer-Encoding: chunked") == b"hello world"
    too_short = b"5\r\nhello\r\n3\r\n world\r\n0\r\n\r\n"
    assert body_of(too_short, "Transfer-Encoding: chunked").startswith(b"hello world")
    cut_off = chunked(BODY)[:-300]
    assert BODY.startswith(body_of(cut_off, "Transfer-Encoding: chunked"))


@given(st.binary(max_size=300), st.sampled_from([*ENCODERS, "gzip,deflate,br,zstd"]))
def test_any_bytes_give_a_body(content: bytes, coding: str) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert isinstance(decode_body(parse_http(head.encode() + content), 10_000_000), bytes)
