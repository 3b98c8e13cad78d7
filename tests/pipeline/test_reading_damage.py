"""Reading damaged WARC files: what is broken is told, and what comes after it is read."""

from __future__ import annotations

import functools
import gzip
import io
import time
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from warc_bytes import (
    FORMS,
    errors_of,
    gzip_blocks,
    gzip_members,
    gzip_whole,
    http,
    page,
    pages_of,
    plain,
    read,
    record,
    response,
    zstd_frames,
)

from pipeline.reading.input_files import Damage, ReadLimits, Record, read_records

# Without the time in the header: the same bytes in every process that collects the tests.
compress = functools.partial(gzip.compress, mtime=0)

NUMBERS = (1, 2, 3, 4)
RECORDS = [response(number) for number in NUMBERS]
PAGES = [page(number) for number in NUMBERS]
WITHOUT_SECOND = [PAGES[0], PAGES[2], PAGES[3]]


def with_second(second: bytes) -> list[bytes]:
    return [RECORDS[0], second, RECORDS[2], RECORDS[3]]


@pytest.mark.parametrize("compress", [gzip_members, zstd_frames])
@pytest.mark.parametrize("place", [0.3, 0.6, 0.95])
def test_a_corrupt_member_costs_its_record_only(
    compress: Callable[[list[bytes]], bytes], place: float
) -> None:
    members = [bytearray(compress([one])) for one in RECORDS]
    spot = int(len(members[1]) * place)
    members[1][spot : spot + 6] = bytes(byte ^ 0xA5 for byte in members[1][spot : spot + 6])
    items = read(b"".join(members))
    assert pages_of(items) == WITHOUT_SECOND
    assert errors_of(items) == ["damaged_record"]
    assert [item.offset for item in items if isinstance(item, Damage)] == [len(members[0])]


def test_a_wrong_checksum_is_damage_although_the_bytes_are_there() -> None:
    members = [bytearray(compress(one)) for one in RECORDS]
    members[1][-6] ^= 1
    items = read(b"".join(members))
    assert (pages_of(items), errors_of(items)) == (WITHOUT_SECOND, ["damaged_record"])


@pytest.mark.parametrize("form", ["plain", "gzip_members", "gzip_whole", "zstd_frames"])
def test_a_cut_off_tail_costs_the_last_record(form: str) -> None:
    whole = FORMS[form](RECORDS)
    items = read(whole[:-20])
    assert pages_of(items) == PAGES[:3]
    assert errors_of(items) == ["damaged_record"]


@pytest.mark.parametrize(
    "form", ["plain", "gzip_members", "gzip_whole", "gzip_blocks", "zstd_whole"]
)
@pytest.mark.parametrize("lie", [-300, -17, 60, 777])
def test_a_wrong_content_length_costs_its_record_only(form: str, lie: int) -> None:
    length = len(http(PAGES[1])) + lie
    items = read(FORMS[form](with_second(response(2, declared=length))))
    assert pages_of(items) == WITHOUT_SECOND
    assert errors_of(items) == ["damaged_record"]


@pytest.mark.parametrize("form", ["plain", "gzip_members", "gzip_whole", "zstd_frames"])
@pytest.mark.parametrize("lie", [2_000_000, 10**15])
def test_a_length_beyond_the_limit_that_is_a_lie_hides_nothing(form: str, lie: int) -> None:
    items = read(FORMS[form](with_second(response(2, declared=lie))))
    assert pages_of(items) == WITHOUT_SECOND
    assert errors_of(items) == ["too_large"]


@pytest.mark.parametrize("value", ["", "-5", "12 bytes", "1" * 5000, "٣"])
@pytest.mark.parametrize("form", ["plain", "gzip_members"])
def test_a_length_that_is_no_number(form: str, value: str) -> None:
    items = read(FORMS[form](with_second(response(2, declared=value))))
    assert (pages_of(items), errors_of(items)) == (WITHOUT_SECOND, ["damaged_record"])


@pytest.mark.parametrize("form", ["plain", "gzip_members", "gzip_whole"])
def test_no_content_length_and_a_header_without_end(form: str) -> None:
    nameless = RECORDS[1].replace(b"Content-Length", b"Length")
    endless = b"WARC/1.1\r\nWARC-Type: response\r\n" + b"X: y\r\n" * 20_000
    for second in (nameless, endless):
        items = read(FORMS[form](with_second(second)))
        assert (pages_of(items), errors_of(items)) == (WITHOUT_SECOND, ["damaged_record"])


@pytest.mark.parametrize("form", ["plain", "gzip_members", "gzip_whole"])
def test_junk_between_records(form: str) -> None:
    items = read(FORMS[form]([RECORDS[0], b"<p>lost</p>\n" * 30, *RECORDS[1:]]))
    assert (pages_of(items), errors_of(items)) == (PAGES, ["damaged_record"])


def test_junk_between_members() -> None:
    content = gzip_members(RECORDS[:2]) + b"not gzip at all" * 40 + gzip_members(RECORDS[2:])
    items = read(content)
    assert (pages_of(items), errors_of(items)) == (PAGES, ["damaged_record"])


def test_records_before_damage_in_a_file_compressed_as_a_whole_are_read() -> None:
    records = [response(number) for number in range(40)]
    content = bytearray(gzip_whole(records))
    content[-8] ^= 0xFF
    items = read(bytes(content))
    assert len(pages_of(items)) == 39
    cut = gzip_whole(records)[:1200]
    begun = zlib.decompressobj(wbits=31).decompress(cut).count(b"WARC/1.1")
    items = read(cut)
    assert len(pages_of(items)) == begun - 1
    assert errors_of(items) == ["damaged_record"]


def test_records_that_run_over_members_are_found_again_after_damage() -> None:
    records = [response(number) for number in range(30)]
    content = bytearray(gzip_blocks(records))
    content[len(content) // 2] ^= 0xFF
    items = read(bytes(content))
    assert len(pages_of(items)) >= 22
    assert errors_of(items) == ["damaged_record"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (compress(b""), "empty"),
        (b"<!DOCTYPE html><html>just a page</html>", "no WARC record begins here"),
        (compress(b"\n\n<html>just a page</html>"), "no WARC record begins here"),
        (b"filedesc://a.arc 127.0.0.1 20140301000000 text/plain -1\n1 0 x\n", "ARC file"),
        (compress(b"filedesc://a.arc 127.0.0.1 20140301 text/plain 9\n1"), "ARC file"),
        (bytes(5000), "no WARC record begins here"),
    ],
)
def test_files_that_are_no_warc(content: bytes, says: str) -> None:
    (item,) = read(content)
    assert isinstance(item, Damage)
    assert (item.offset, item.error) == (0, "damaged_file")
    assert says in item.detail


def test_a_first_record_that_is_damaged_is_not_a_foreign_file() -> None:
    items = read(plain([response(2, declared=5), *RECORDS[2:]]))
    assert (pages_of(items), errors_of(items)) == (PAGES[2:], ["damaged_record"])


@pytest.mark.parametrize("form", ["plain", "gzip_members", "gzip_whole", "zstd_frames"])
def test_a_record_beyond_the_limit_is_passed_over(form: str) -> None:
    large = record(http(b"<p>" + b"x" * 50_000), "https://example.cn/large")
    items = read(FORMS[form](with_second(large)), limit=20_000)
    assert pages_of(items) == WITHOUT_SECOND
    (damage,) = [item for item in items if isinstance(item, Damage)]
    assert damage.error == "too_large"
    assert "https://example.cn/large" in damage.detail


@pytest.mark.parametrize("form", ["plain", "gzip_members", "zstd_frames"])
def test_a_warc_inside_a_large_record_is_not_read(form: str) -> None:
    inner = plain([response(number) for number in range(100)])
    items = read(FORMS[form](with_second(record(http(inner)))), limit=20_000)
    assert (pages_of(items), errors_of(items)) == (WITHOUT_SECOND, ["too_large"])


def test_large_records_of_other_types_are_not_told() -> None:
    large = record(b"x" * 50_000, kind="metadata", headers=["Content-Type: text/plain"])
    items = read(gzip_members(with_second(large)), limit=20_000)
    assert (pages_of(items), errors_of(items)) == (WITHOUT_SECOND, [])


@pytest.mark.parametrize("length", ["50000000", "999999999999"])
def test_a_member_that_is_a_bomb_costs_little(length: str) -> None:
    head = f"WARC/1.1\r\nWARC-Type: response\r\nContent-Length: {length}\r\n\r\n".encode()
    bomb = compress(head + bytes(50_000_000), compresslevel=1, mtime=0)
    content = gzip_members(RECORDS[:1]) + bomb + gzip_members(RECORDS[2:])
    tracemalloc.start()
    start = time.perf_counter()
    items = read(content, limit=20_000)
    seconds = time.perf_counter() - start
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (pages_of(items), errors_of(items)) == (WITHOUT_SECOND, ["too_large"])
    assert seconds < 1
    assert peak < 2**20


def test_a_bomb_without_any_record_costs_little() -> None:
    content = compress(bytes(50_000_000), compresslevel=1) + gzip_members(RECORDS)
    start = time.perf_counter()
    items = read(content, limit=20_000)
    assert pages_of(items) == PAGES
    assert time.perf_counter() - start < 1


def test_damage_never_ends_in_an_exception_or_a_loop() -> None:
    for form, build in FORMS.items():
        whole = build(RECORDS)
        for place in range(0, len(whole), max(1, len(whole) // 60)):
            broken = bytearray(whole)
            broken[place] ^= 0x5A
            items = read(bytes(broken))
            offsets = [item.offset for item in items]
            assert offsets == sorted(set(offsets)), (form, place)
            cut = read(whole[:place])
            assert pages_of(cut) == PAGES[: len(pages_of(cut))], (form, place)


@settings(max_examples=150, deadline=None)
@given(
    place=st.integers(0, 10_000),
    junk=st.binary(max_size=40),
    removed=st.integers(0, 40),
)
def test_one_hole_in_a_crawl_costs_at_most_the_records_it_touches(
    place: int, junk: bytes, removed: int
) -> None:
    whole = gzip_members(RECORDS * 3)
    place %= len(whole)
    items = read(whole[:place] + junk + whole[place + removed :])
    pages = pages_of(items)
    assert len(pages) >= 10
    assert set(pages) <= set(PAGES)
    assert len(errors_of(items)) <= 2


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=600),
    st.sampled_from([b"", b"WARC/1.0\r\n", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"]),
)
def test_any_bytes_can_be_read(content: bytes, start: bytes) -> None:
    for item in read(start + content):
        assert isinstance(item, Record | Damage)


def test_errors_of_the_storage_are_not_taken_for_damage() -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 0:
                raise OSError("connection reset")
            return super().read(100)

    with pytest.raises(OSError, match="connection reset"):
        list(read_records(Failing(plain(RECORDS)), "x.warc", "warc", ReadLimits()))
