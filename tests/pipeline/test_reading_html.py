"""HTML pages in files of their own, and how bytes are told to be HTML."""

from __future__ import annotations

import gzip
import io
import time

import pytest
import zstandard

from pipeline.reading.html_page import looks_like_html, read_html
from pipeline.reading.input_files import Damage, ReadLimits, Record, detect_format, read_records

PAGE = "<!DOCTYPE html><title>渡口</title><p>清晨的渡口还没有人。</p>".encode("gb18030")


@pytest.mark.parametrize(
    "stored", [PAGE, gzip.compress(PAGE), zstandard.ZstdCompressor().compress(PAGE)]
)
def test_a_file_is_one_page(stored: bytes) -> None:
    assert detect_format("saved/page.html", stored) == "html"
    (record,) = read_records(io.BytesIO(stored), "page.html", "auto", ReadLimits())
    assert record == Record(0, "html", content_type="text/html", record_type="page", body=PAGE)


@pytest.mark.parametrize(
    ("stored", "error"),
    [
        (b"", "damaged_file"),
        (gzip.compress(b""), "damaged_file"),
        (gzip.compress(PAGE)[:-30], "damaged_file"),
        (gzip.compress(PAGE) + b"noise", "damaged_file"),
        (PAGE * 80, "too_large"),
        (gzip.compress(b" " * 10_000_000), "too_large"),
    ],
)
def test_what_is_no_whole_page_is_damage(stored: bytes, error: str) -> None:
    (damage,) = read_html(io.BytesIO(stored), ReadLimits(max_record_bytes=3000))
    assert isinstance(damage, Damage)
    assert (damage.offset, damage.error) == (0, error)
    assert damage.detail


@pytest.mark.parametrize(
    "start",
    [
        b"<!DOCTYPE HTML PUBLIC>",
        b" \r\n<html lang=zh>",
        b"<!-- saved --> <!-- twice -->\n<HEAD>",
        b"<title>a",
        b'<?xml version="1.0" encoding="gbk"?>\n<!DOCTYPE html>',
        "\ufeff<html>".encode(),
        "<html>".encode("utf-16"),
    ],
)
def test_html_is_told_by_its_start(start: bytes) -> None:
    assert looks_like_html(start)
    assert detect_format("page.php", start) == "html"


@pytest.mark.parametrize(
    "start",
    [b"", b"plain", b"<rss>", b'<?xml version="1.0"?><feed>', b"<htmlx>", b"%PDF-1.4", b"<!-- -->"],
)
def test_other_files_are_not_html(start: bytes) -> None:
    assert not looks_like_html(start)


@pytest.mark.parametrize("piece", [b"<!---->", b"<!-- -->\n", b"<!--", b"-->", b" ", b"<?xml "])
def test_no_start_takes_long_to_judge(piece: bytes) -> None:
    start = time.perf_counter()
    assert not looks_like_html(piece * 3000 + b"x")
    assert time.perf_counter() - start < 0.5
