"""Reading WARC: every form of an intact file, every field of a record."""

from __future__ import annotations

import gzip
import io
import random
import struct
import tracemalloc
from datetime import UTC, datetime

import pytest
import zstandard
from fastwarc.warc import ArchiveIterator
from warc_bytes import FORMS, gzip_members, gzip_whole, http, page, plain, read, record, response

from pipeline.reading.input_files import ReadLimits, Record, read_records

WARCINFO = record(b"software: test\r\n", "", "warcinfo", ["Content-Type: application/warc-fields"])
REQUEST = record(b"GET / HTTP/1.1\r\n\r\n", kind="request")
RECORDS = [WARCINFO, response(1), REQUEST, response(2), response(3), response(4)]


def only(content: bytes) -> Record:
    (item,) = read(content)
    assert isinstance(item, Record)
    return item


@pytest.mark.parametrize("form", FORMS)
def test_pages_are_the_same_in_every_form_of_file(form: str) -> None:
    items = read(FORMS[form](RECORDS))
    assert [(item.url, item.body) for item in items] == [
        (f"https://example.cn/{number}", page(number)) for number in (1, 2, 3, 4)
    ]


def test_fastwarc_reads_the_same_from_intact_files() -> None:
    for content in (plain(RECORDS), gzip_members(RECORDS)):
        theirs = [
            (one.stream_pos, one.headers["WARC-Target-URI"], one.record_date, one.reader.read())
            for one in ArchiveIterator(io.BytesIO(content))
            if one.http_headers is not None and one.headers["WARC-Type"] == "response"
        ]
        ours = [(item.offset, item.url, item.captured_at, item.body) for item in read(content)]
        assert ours == theirs


def test_offsets_are_those_of_the_stored_record() -> None:
    content = gzip_members(RECORDS)
    for item in read(content):
        first = read(content[item.offset :])[0]
        assert (first.offset, first.url, first.body) == (0, item.url, item.body)


def test_offsets_in_a_file_compressed_as_a_whole_are_those_of_the_plain_file() -> None:
    of_plain = [item.offset for item in read(plain(RECORDS))]
    assert [item.offset for item in read(gzip_whole(RECORDS))] == of_plain


@pytest.mark.parametrize("form", FORMS)
def test_offsets_are_unique_and_grow(form: str) -> None:
    offsets = [item.offset for item in read(FORMS[form](RECORDS * 3))]
    assert offsets == sorted(set(offsets))


def test_zstd_with_a_dictionary_in_its_first_frame() -> None:
    dictionary = zstandard.train_dictionary(2000, [response(number) for number in range(200)])
    compressor = zstandard.ZstdCompressor(dict_data=dictionary)
    stored = zstandard.ZstdCompressor().compress(dictionary.as_bytes())
    content = struct.pack("<II", 0x184D2A5D, len(stored)) + stored
    content += b"".join(compressor.compress(one) for one in RECORDS)
    assert [item.body for item in read(content)] == [page(number) for number in (1, 2, 3, 4)]


def test_zero_bytes_after_the_last_member_are_padding() -> None:
    assert len(read(gzip_members(RECORDS) + bytes(3000))) == 4


def test_gzip_members_may_carry_names() -> None:
    buffer = io.BytesIO()
    for number in (1, 2):
        with gzip.GzipFile("a name.warc", "wb", fileobj=buffer) as member:
            member.write(response(number))
    assert len(read(buffer.getvalue())) == 2


def test_fields_of_a_response() -> None:
    headers = ["Content-Type: Text/HTML; Charset=GB2312", "Server: nginx"]
    item = only(record(http(b"<p>", headers), "<http://example.cn/a b>"))
    assert item == Record(
        offset=0,
        kind="html",
        url="http://example.cn/a b",
        captured_at=datetime(2024, 5, 18, 1, 58, 10, tzinfo=UTC),
        content_type="text/html",
        charset="gb2312",
        http_status=200,
        record_type="response",
        body=b"<p>",
    )


@pytest.mark.parametrize(
    ("status_line", "status"),
    [
        ("HTTP/1.1 404 Not Found", 404),
        ("HTTP/1.0 302", 302),
        ("HTTP/1.1 200 ", 200),
        ("HTTP/2 200", 200),
        ("HTTP/1.1 OK", None),
    ],
)
def test_status_lines_are_read_tolerantly(status_line: str, status: int | None) -> None:
    assert only(record(http(b"x", status=status_line))).http_status == status


@pytest.mark.parametrize("line_break", ["\r\n", "\n", "\r\r\n"])
def test_lines_of_headers_may_end_in_other_ways(line_break: str) -> None:
    block = http(b"<p>body</p>", line_break=line_break)
    items = read(record(block, line_break=line_break) * 2)
    assert [(item.http_status, item.charset, item.body) for item in items] == [
        (200, "utf-8", b"<p>body</p>")
    ] * 2


def test_repeated_and_folded_headers() -> None:
    headers = [
        "Content-Type: text/plain",
        "X-Long: one",
        "\ttwo",
        "content-type: text/html;",
        " charset=big5",
    ]
    item = only(record(http(b"x", headers)))
    assert (item.content_type, item.charset) == ("text/html", "big5")


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("2024-05-18T01:58:10.123456Z", datetime(2024, 5, 18, 1, 58, 10, tzinfo=UTC)),
        ("2024-05-18T09:58:10+08:00", datetime(2024, 5, 18, 1, 58, 10, tzinfo=UTC)),
        ("2024-05-18T01:58:10", datetime(2024, 5, 18, 1, 58, 10, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", None),
        ("yesterday", None),
    ],
)
def test_dates_become_utc_or_none(date: str, expected: datetime | None) -> None:
    content = response(1).replace(b"2024-05-18T01:58:10Z", date.encode())
    assert only(content).captured_at == expected


def test_resource_and_revisit_records() -> None:
    resource = record(b"<html>", kind="resource", headers=["Content-Type: text/html; charset=GBK"])
    revisit = record(http(b"", status="HTTP/1.1 304 Not Modified"), kind="revisit")
    first, second = read(resource + revisit)
    assert (first.record_type, first.content_type, first.charset, first.body) == (
        "resource",
        "text/html",
        "gbk",
        b"<html>",
    )
    assert (second.record_type, second.http_status, second.body) == ("revisit", 304, b"")


def test_a_wet_file_gives_text() -> None:
    headers = ["Content-Type: text/plain"]
    content = record("正文第一行\n正文第二行".encode(), kind="conversion", headers=headers)
    item = only(content)
    assert (item.kind, item.text, item.body) == ("text", "正文第一行\n正文第二行", b"")


def test_a_response_without_http_headers_is_all_body() -> None:
    assert only(record(b"<html>no headers</html>")).body == b"<html>no headers</html>"


def test_memory_does_not_grow_with_the_file() -> None:
    body = random.Random(1).randbytes(30_000).hex().encode()
    stored = gzip_members([record(http(body))])

    class Endless(io.RawIOBase):
        """3,000 times the same record, made while it is read: 180 MB."""

        size = len(stored) * 3_000
        position = 0

        def readable(self) -> bool:
            return True

        def seekable(self) -> bool:
            return True

        def seek(self, offset: int, whence: int = 0) -> int:
            self.position = offset + (self.size if whence == 2 else 0)
            return self.position

        def readinto(self, buffer) -> int:
            count = min(len(buffer), self.size - self.position)
            start = self.position % len(stored)
            repeated = stored * ((start + count) // len(stored) + 1)
            buffer[:count] = repeated[start : start + count]
            self.position += count
            return count

    tracemalloc.start()
    count = sum(1 for _ in read_records(Endless(), "endless.warc.gz", "warc", ReadLimits()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 3_000
    assert peak < 2 * 2**20
