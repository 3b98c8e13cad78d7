"""What becomes of one page record: text, a reason to drop it, or a dead letter."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from typing import Any

import pytest

from pangu_settings import UserError
from pipeline.reading.extract_settings import ExtractSettings
from pipeline.reading.page_extraction import Dropped, Extracted, PageExtractor, Unreadable
from pipeline.reading.record import Record
from pipeline.recipe import Recipe
from pipeline.stages.extract import STAGE

TEXT = "清晨的渡口还没有人，老船工把缆绳解开，又重新系好。他说水涨的时候船最容易走。" * 4
PAGE = f"<html><head><title>渡口</title></head><body><p>{TEXT}</p></body></html>"
RECORD = Record(
    0, "html", "https://example.cn/", content_type="text/html", http_status=200, body=PAGE.encode()
)
ENGLISH = b"<html><body>" + b"<p>The old pier at the river is quiet. </p>" * 40 + b"</body></html>"


def extract(record: Record, **settings: object) -> Extracted | Dropped | Unreadable:
    return PageExtractor(ExtractSettings.model_validate(settings)).extract(record)


@pytest.mark.parametrize("codec", ["utf-8", "gb18030", "utf-16"])
def test_a_page_becomes_title_and_text(codec: str) -> None:
    result = extract(replace(RECORD, body=PAGE.encode(codec)))
    assert isinstance(result, Extracted)
    assert (result.title, result.text, result.replaced) == ("渡口", TEXT, 0)
    assert result.method == "density"


def test_a_page_written_in_character_references_is_not_lost() -> None:
    result = extract(replace(RECORD, body=PAGE.encode("ascii", "xmlcharrefreplace")))
    assert isinstance(result, Extracted)
    assert (result.title, result.text) == ("渡口", TEXT)


def test_text_records_pass_as_they_are() -> None:
    record = Record(0, "text", title="题", content_type="text/plain", text="正文 text only")
    assert extract(record) == Extracted("题", "正文 text only")


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"record_type": "revisit", "body": b""}, "revisit"),
        ({"http_status": 404}, "http_status"),
        ({"content_type": "image/jpeg"}, "content_type"),
        ({"content_type": "text/plain", "body": TEXT.encode()}, "content_type"),
        ({"body": ENGLISH}, "no_chinese_bytes"),
        ({"body": b""}, "no_chinese_bytes"),
        ({"body": "<p>新闻 <a href=/>滚动新闻国内国际社会</a></p>".encode()}, "no_main_text"),
    ],
)
def test_reasons_to_drop_a_page(changes: dict[str, object], rule: str) -> None:
    result = extract(replace(RECORD, **changes))
    assert isinstance(result, Dropped)
    assert result.rule == rule
    assert result.value
    assert result.limit


def test_the_look_at_bytes_can_be_switched_off_or_made_stricter() -> None:
    english = replace(RECORD, body=ENGLISH)
    assert extract(english, chinese_prefilter=20) == Dropped(
        "no_chinese_bytes", "0 characters", "20 characters"
    )
    result = extract(english, chinese_prefilter=0)
    assert not isinstance(result, Dropped) or result.rule != "no_chinese_bytes"
    assert isinstance(extract(RECORD, chinese_prefilter=1000), Dropped)


@pytest.mark.parametrize("body", [b"<html>" + bytes(10_000), b"\xff\xfe" + bytes(range(256)) * 40])
def test_bytes_that_are_no_text_are_dead_letters(body: bytes) -> None:
    result = extract(replace(RECORD, body=body))
    assert isinstance(result, Unreadable)
    assert result.error == "undecodable"


# Nested as deep as libraries are given, many times: half a minute for resiliparse.
HOSTILE = (b"<div>" * 1990 + "渡口。".encode() + b"</div>" * 1990) * 300


def test_a_library_works_in_a_process_of_its_own() -> None:
    extractor = PageExtractor(
        ExtractSettings.model_validate({"main_text": {"method": "resiliparse"}})
    )
    result = extractor.extract(RECORD)
    assert isinstance(result, Extracted)
    assert (result.title, result.method) == ("渡口", "resiliparse")
    assert TEXT in result.text
    extractor.close()


def test_a_page_that_holds_a_library_up_is_a_dead_letter() -> None:
    settings = {"main_text": {"method": "resiliparse"}, "max_record_seconds": 2}
    extractor = PageExtractor(ExtractSettings.model_validate(settings))
    page = b"<html><body>" + HOSTILE + b"</body></html>"
    assert extractor.extract(replace(RECORD, body=page)) == Unreadable(
        "too_slow", "not finished after 2 seconds"
    )
    assert isinstance(extractor.extract(RECORD), Extracted)
    extractor.close()


def test_a_library_that_crashes_costs_only_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.reading.page_extraction.library_text", _crash)
    extractor = PageExtractor(
        ExtractSettings.model_validate({"main_text": {"method": "resiliparse"}})
    )
    result = extractor.extract(RECORD)
    assert isinstance(result, Unreadable)
    assert result.error == "extraction_failed"
    assert "resiliparse" in result.detail
    extractor.close()


def test_a_missing_library_is_told_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("pipeline.stages.extract.version", missing)
    content: dict[str, Any] = {"name": "x", "sources": [{"name": "a", "paths": ["a.warc"]}]}
    assert STAGE.settings(Recipe.model_validate(content))["extract"]["chinese_prefilter"] == 10
    content["extract"] = {"main_text": {"method": "trafilatura"}}
    with pytest.raises(UserError, match="trafilatura is not installed"):
        STAGE.settings(Recipe.model_validate(content))


def _crash(library: str, page: bytes, url: str) -> str:
    os._exit(9)
