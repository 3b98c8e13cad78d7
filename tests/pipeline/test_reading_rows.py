"""Reading JSONL, Parquet and text; telling formats apart."""

from __future__ import annotations

import functools
import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from warc_bytes import STORIES, gzip_members, response

from pangu_settings import UserError
from pipeline.reading.input_files import (
    Damage,
    ReadLimits,
    Record,
    TextFields,
    detect_format,
    read_records,
)

# Without the time in the header: the same bytes in every process that collects the tests.
compress = functools.partial(gzip.compress, mtime=0)


def read(content: bytes, format: str, limit: int = 100_000, **fields: str) -> list[Record | Damage]:
    limits = ReadLimits(max_record_bytes=limit)
    return list(read_records(io.BytesIO(content), "f", format, limits, TextFields(**fields)))


def jsonl(*rows: object) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def parquet(rows: list[dict[str, object]], **options: object) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer, **options)
    return buffer.getvalue()


def texts_of(items: list[Record | Damage]) -> list[str]:
    return [item.text for item in items if isinstance(item, Record)]


def damages_of(items: list[Record | Damage]) -> list[tuple[int, str]]:
    return [(item.offset, item.error) for item in items if isinstance(item, Damage)]


@pytest.mark.parametrize(
    "store", [bytes, compress, zstandard.ZstdCompressor().compress], ids=["plain", "gz", "zst"]
)
def test_jsonl_rows_become_records(store) -> None:
    rows = [{"text": story, "url": f"https://e.cn/{i}"} for i, story in enumerate(STORIES)]
    items = read(store(jsonl(*rows)), "jsonl")
    assert items[1] == Record(
        offset=1, kind="text", url="https://e.cn/1", content_type="text/plain", text=STORIES[1]
    )
    assert texts_of(items) == list(STORIES)


def test_jsonl_fields_have_names() -> None:
    content = jsonl({"content": "正文", "link": "u", "headline": "题"})
    (item,) = read(content, "jsonl", text="content", url="link", title="headline")
    assert (item.text, item.url, item.title) == ("正文", "u", "题")


def test_bad_jsonl_lines_are_told_and_the_rest_is_read() -> None:
    lines = [
        jsonl({"text": "一"}),
        b"not json\n",
        b"\n",
        b'["a list"]\n',
        jsonl({"url": "no text"}),
        jsonl({"text": 7}),
        jsonl({"text": None}),
        b'{"text": "\xb2\xe2\xca\xd4"}\n',
        b"[" * 100_000 + b"\n",
        jsonl({"text": "长" * 50_000}),
        jsonl({"text": "二"}).rstrip(b"\n"),
    ]
    items = read(b"".join(lines), "jsonl", limit=120_000)
    assert texts_of(items) == ["一", "二"]
    assert items[-1].offset == 10
    assert damages_of(items) == [
        (1, "bad_row"),
        (3, "bad_row"),
        (4, "bad_row"),
        (5, "bad_row"),
        (6, "bad_row"),
        (7, "bad_row"),
        (8, "bad_row"),
        (9, "too_large"),
    ]


def test_single_surrogates_do_not_get_into_texts() -> None:
    content = b'{"text": "a\\ud83d\\ude00b\\ud83dc", "title": "\\udc00"}\n'
    (item,) = read(content, "jsonl")
    assert (item.text, item.title) == ("a😀b\ufffdc", "\ufffd")


def test_lines_before_damage_in_compressed_jsonl_are_read() -> None:
    rows = [{"text": f"{number * number} 号", "n": number} for number in range(20_000)]
    stored = compress(jsonl(*rows))
    items = read(stored[: len(stored) // 2], "jsonl")
    assert texts_of(items) == [row["text"] for row in rows[: len(items) - 1]]
    assert len(items) > 5000
    assert damages_of(items) == [(len(items) - 1, "damaged_record")]


def test_a_jsonl_file_of_several_members_goes_on_after_damage() -> None:
    members = [compress(jsonl({"text": story})) for story in STORIES]
    members[1] = members[1][:12] + bytes(len(members[1]) - 12)
    items = read(b"".join(members), "jsonl")
    assert texts_of(items) == [STORIES[0], *STORIES[2:]]
    assert [error for _, error in damages_of(items)] == ["damaged_record"]


@given(st.lists(st.dictionaries(st.sampled_from(["text", "url", "x"]), st.text(max_size=30))))
def test_every_jsonl_row_is_a_record_or_damage(rows: list[dict[str, str]]) -> None:
    items = read(jsonl(*rows), "jsonl")
    assert [item.offset for item in items] == list(range(len(rows)))
    assert texts_of(items) == [row["text"] for row in rows if "text" in row]


def test_parquet_rows_become_records() -> None:
    rows = [{"text": story, "url": f"u{i}", "other": i} for i, story in enumerate(STORIES * 40)]
    items = read(parquet(rows, row_group_size=70), "parquet")
    assert texts_of(items) == [row["text"] for row in rows]
    assert [item.offset for item in items] == list(range(200))
    assert items[7].url == "u7"


def test_parquet_rows_without_text_are_told() -> None:
    items = read(
        parquet([{"text": "一"}, {"text": None}, {"text": "二" * 50}]), "parquet", limit=99
    )
    assert texts_of(items) == ["一"]
    assert damages_of(items) == [(1, "bad_row"), (2, "too_large")]


def test_a_parquet_file_without_the_column_names_those_it_has() -> None:
    (item,) = read(parquet([{"content": "一", "url": "u"}]), "parquet")
    assert isinstance(item, Damage)
    assert (item.error, "content, url" in item.detail) == ("damaged_file", True)


def test_a_damaged_row_group_costs_its_rows() -> None:
    rows = [{"text": f"{number * number}" * 20} for number in range(300)]
    content = bytearray(parquet(rows, row_group_size=100, use_dictionary=False))
    column = pq.ParquetFile(io.BytesIO(bytes(content))).metadata.row_group(1).column(0)
    start = column.data_page_offset
    content[start : start + 60] = bytes(60)
    items = read(bytes(content), "parquet")
    texts = texts_of(items)
    assert texts[:100] == [row["text"] for row in rows[:100]]
    assert texts[-100:] == [row["text"] for row in rows[200:]]
    assert damages_of(items) == [(100, "damaged_record")]


def test_a_file_that_is_no_parquet() -> None:
    for content in (b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1"):
        assert damages_of(read(content, "parquet")) == [(0, "damaged_file")]


def test_text_documents_are_separated_by_blank_lines() -> None:
    content = "第一篇\n第二行\n\n \n第二篇\r\n\r\n第三篇".encode()
    items = read(content, "text", documents="blank_line")
    assert texts_of(items) == ["第一篇\n第二行", "第二篇", "第三篇"]
    assert [content[item.offset :].decode()[:3] for item in items] == ["第一篇", "第二篇", "第三篇"]


def test_a_text_file_may_be_one_document() -> None:
    content = "第一段\n\n第二段\n".encode()
    assert texts_of(read(content, "text", documents="file")) == ["第一段\n\n第二段"]
    utf16 = "第一段\n\n第二段".encode("utf-16")
    assert texts_of(read(utf16, "text", documents="file")) == ["第一段\n\n第二段"]


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8", "utf-8-sig"])
def test_text_files_may_be_in_other_encodings(encoding: str) -> None:
    content = "\n\n".join([*STORIES, "短"]).encode(encoding)
    assert texts_of(read(content, "text")) == [*STORIES, "短"]


def test_text_that_cannot_be_read_is_told() -> None:
    content = f"{STORIES[0]}\n\n{'长' * 500}\n{'长' * 500}\n\n{STORIES[1]}".encode()
    items = read(content, "text", limit=1000)
    assert texts_of(items) == [STORIES[0], STORIES[1]]
    assert [error for _, error in damages_of(items)] == ["too_large"]
    items = read("一\n\n二".encode("utf-16"), "text")
    assert damages_of(items) == [(0, "damaged_file")]
    assert damages_of(read(b"\x00\x01\x02\x03" * 100, "text")) == [(0, "undecodable")]


def test_an_empty_file_of_rows_holds_nothing() -> None:
    assert read(b"", "jsonl") == read(b"", "text") == []


@pytest.mark.parametrize(
    ("name", "head", "format"),
    [
        ("a/crawl-00000.warc.gz", gzip_members([response(1)]), "warc"),
        ("s3://b/CC-MAIN-1.warc.wet.gz", gzip_members([response(1)]), "wet"),
        ("misnamed.txt", response(1), "warc"),
        ("misnamed", gzip_members([response(1)]), "warc"),
        ("page.warc.gz", compress(b"<html>"), "warc"),
        ("empty.warc.gz", b"", "warc"),
        ("old.arc.gz", compress(b"filedesc://"), "warc"),
        ("part-0.parquet", b"PAR1\x15", "parquet"),
        ("part-0", b"PAR1\x15", "parquet"),
        ("x.jsonl.zst", zstandard.ZstdCompressor().compress(b'{"text": 1}'), "jsonl"),
        ("x.ndjson", b"", "jsonl"),
        ("x", b' {"text": "a"}', "jsonl"),
        ("红楼梦.txt.gz", compress("第一回".encode("gb18030")), "text"),
        ("红楼梦", "第一回".encode(), "text"),
        ("红楼梦", "第一回".encode("utf-16"), "text"),
    ],
)
def test_formats_are_told_by_content_and_name(name: str, head: bytes, format: str) -> None:
    assert detect_format(name, head) == format


@pytest.mark.parametrize(
    ("name", "head"), [("x", b""), ("x.png", b"\x89PNG\0"), ("a.xml", b"<rss>")]
)
def test_formats_that_cannot_be_told(name: str, head: bytes) -> None:
    with pytest.raises(UserError, match=f"{name}: cannot tell what format"):
        detect_format(name, head)


def test_an_unknown_format_is_the_user_s_mistake() -> None:
    with pytest.raises(UserError, match="unknown format 'csv'"):
        read(b"", "csv")


def test_auto_tells_the_format() -> None:
    assert texts_of(read(jsonl({"text": "一"}), "auto")) == ["一"]
