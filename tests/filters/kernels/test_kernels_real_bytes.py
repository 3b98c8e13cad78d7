"""Kernels over the bytes of real pages: equal to their references, right about what is Chinese."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from filters.charset_labels import codec_of_label
from filters.chinese_prefilter import chinese_in_bytes
from filters.encoding import (
    _COMMON_OF_CODEC,
    RUN_BYTES,
    SAMPLE_BYTES,
    _character_table,
    _reading_table,
    decode_page,
)
from filters.kernels.alignment import take_out_stray_bytes, take_out_stray_bytes_reference
from filters.kernels.charset import (
    read_utf8,
    read_utf8_reference,
    read_with_table,
    read_with_table_reference,
    take_sample,
    take_sample_reference,
)
from filters.kernels.chinese_bytes import count_chinese, count_chinese_reference
from filters.kernels.double_byte import double_byte_to_utf8, double_byte_to_utf8_reference
from pipeline.reading.extract_settings import ExtractSettings
from pipeline.reading.input_files import ReadLimits, Record, read_records

FOLDER = Path(os.environ.get("PANGU_SHARED_DATA", "")) / "web"
CHINESE = ("zh-hans", "zh-hant")

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(
        "PANGU_SHARED_DATA" not in os.environ, reason="PANGU_SHARED_DATA does not name real pages"
    ),
]


def pages(name: str) -> Iterator[tuple[dict[str, object], Record]]:
    """Index row and record of each page of a file."""
    index = "smoke" if name.startswith("smoke") else "crawl"
    with gzip.open(FOLDER / f"{index}.index.jsonl.gz", "rt", encoding="utf-8") as rows:
        entries = {(row["warc"], row["offset"]): row for row in map(json.loads, rows)}
    with open(FOLDER / name, "rb") as file:
        for record in read_records(file, name, "warc", ReadLimits()):
            if isinstance(record, Record) and (name, record.offset) in entries:
                yield entries[name, record.offset], record


def test_kernels_equal_their_references() -> None:
    found = 0
    for entry, record in pages("smoke.warc.gz"):
        body = record.body
        found += 1
        assert count_chinese(body, 10**9) == count_chinese_reference(body, 10**9)
        sample = take_sample(body, RUN_BYTES, SAMPLE_BYTES)
        assert sample == take_sample_reference(body, RUN_BYTES, SAMPLE_BYTES)
        assert read_utf8(sample) == read_utf8_reference(sample)
        for codec in _COMMON_OF_CODEC:
            table = _reading_table(codec)
            assert read_with_table(sample, table) == read_with_table_reference(sample, table)
        if entry["charset"] in ("gbk", "gb2312", "gb18030", "big5hkscs"):
            codec = "big5hkscs" if entry["charset"] == "big5hkscs" else "gb18030"
            characters, table = _character_table(codec), _reading_table(codec)
            utf8 = double_byte_to_utf8(body, characters)
            assert utf8 == double_byte_to_utf8_reference(body, characters)
            damaged = body[: len(body) // 2] + b"\xb5" + body[len(body) // 2 :]
            assert take_out_stray_bytes(damaged, table) == take_out_stray_bytes_reference(
                damaged, table
            )
    assert found > 100


@pytest.mark.parametrize("name", ["crawl-00000.warc.gz", "crawl-00001.warc.gz"])
def test_no_chinese_page_is_lost_by_the_look_at_its_bytes(name: str) -> None:
    enough = ExtractSettings().chinese_prefilter
    passed: dict[str, list[bool]] = {}
    for entry, record in pages(name):
        passes = chinese_in_bytes(record.body, enough) >= enough
        passed.setdefault(str(entry["lang"]), []).append(passes)
    for language in CHINESE:
        assert len(passed[language]) > 50
        assert all(passed[language])
    assert sum(passed["latin"]) < 0.2 * len(passed["latin"])


@pytest.mark.parametrize("name", ["crawl-00000.warc.gz", "crawl-00001.warc.gz"])
def test_undeclared_pages_are_read_in_their_charset(name: str) -> None:
    wrong = []
    for entry, record in pages(name):
        codec = codec_of_label(str(entry["charset"]))
        assert codec
        page = decode_page(record.body, None)
        if page.encoding != codec and page.text != record.body.decode(codec, "replace"):
            wrong.append(record.url)
    # A German page, of which the index says gb18030.
    assert [url for url in wrong if "eBay" not in url] == []
