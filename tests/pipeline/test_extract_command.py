"""`pangu extract`: the same documents as the stage, in any format, appearing whole."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from crawl.build import Crawl

import pangu
from pangu_settings import UserError
from pipeline.parts import Part, PartOutput
from pipeline.reading.extract_settings import ExtractSettings
from pipeline.recipe import Source
from pipeline.stages.extract import ExtractPart

PAGE = "<html><head><title>渡口</title></head><body><p>{}</p></body></html>".format(
    "清晨的渡口还没有人，老船工把缆绳解开，又重新系好。他说水涨的时候船最容易走。" * 5
)


def extract(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(pangu.program, ["extract", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, UserError | SystemExit):
        raise result.exception
    return result


def error(*arguments: str | Path) -> str:
    result = extract(*arguments)
    assert isinstance(result.exception, UserError), result.output
    return str(result.exception)


def rows_of(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    return [json.loads(line) for line in content.decode().splitlines()]


def test_documents_are_those_of_the_stage(crawl: Crawl, tmp_path: Path) -> None:
    out, beside = tmp_path / "out.parquet", tmp_path / "out.dead_letters.parquet"
    result = extract(*crawl.files["web"], "-o", out)
    assert result.exit_code == 0
    stage = ExtractPart((Source(name="web", paths=["*"]),), ExtractSettings())
    stage.setup()
    for path in crawl.files["web"]:
        part = Part(path.name, "web", path.name, str(path), 0)
        with PartOutput(str(tmp_path), "parts", part) as output:
            stage.process(part, output)
    documents, dropped, letters = (
        [row for path in sorted((tmp_path / table).glob("*.parquet")) for row in rows_of(path)]
        for table in ("documents", "dropped", "dead_letters")
    )
    columns = ("url", "title", "text", "captured_at", "encoding", "replaced", "method", "raw_bytes")
    assert [[row[c] for c in columns] for row in rows_of(out)] == [
        [row[c] for c in columns] for row in documents
    ]
    columns = ("offset", "error", "detail")
    assert [[row[c] for c in columns] for row in rows_of(beside)] == [
        [row[c] for c in columns] for row in letters
    ]
    assert f"{len(documents)} documents" in result.output
    for rule, count in Counter(row["rule"] for row in dropped).items():
        assert f"{rule} {count}" in result.output


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz", "out.parquet"])
def test_formats_hold_the_same_rows_and_the_same_bytes_every_time(
    crawl: Crawl, tmp_path: Path, name: str
) -> None:
    digests = []
    for folder in ("first", "second"):
        out = tmp_path / folder / name
        extract(crawl.files["web"][0], "-o", out)
        digests.append(hashlib.sha256(out.read_bytes()).hexdigest())
        (row,) = (row for row in rows_of(out) if row["url"].endswith("/morning-market/"))
        assert row["title"] == "清晨的菜市场"
        assert "锅里的水开了" in row["text"]
        assert str(row["captured_at"]).startswith("2024-05-20")
    assert digests[0] == digests[1]


def test_a_page_in_a_file_goes_to_the_standard_output(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_bytes(PAGE.encode("gb18030"))
    result = extract(page, "-o", "-")
    (line, *others) = result.stdout.splitlines()
    assert others == []
    row = json.loads(line)
    assert (row["title"], row["encoding"], row["file"]) == ("渡口", "gb18030", str(page))
    assert "1 documents" in result.stderr


def test_folders_and_patterns_name_files(tmp_path: Path) -> None:
    pages = tmp_path / "pages" / "deep"
    pages.mkdir(parents=True)
    for index in range(3):
        (pages / f"{index}.html").write_text(PAGE, encoding="utf-8")
    (pages / "image.png").write_bytes(b"\x89PNG")
    (pages / ".hidden.html").write_text(PAGE, encoding="utf-8")
    for argument in (tmp_path / "pages", pages / "*.html"):
        out = tmp_path / "out.jsonl"
        extract(argument, "-o", out)
        assert [Path(row["file"]).name for row in rows_of(out)] == ["0.html", "1.html", "2.html"]
    # What it wrote itself is no input.
    extract(tmp_path, "-o", tmp_path / "out.jsonl")
    assert len(rows_of(tmp_path / "out.jsonl")) == 3


def test_every_odd_file_is_a_dead_letter_and_not_the_end(tmp_path: Path) -> None:
    files = {
        "empty.html": b"",
        "bomb.html.gz": gzip.compress(b" " * 40_000_000),
        "cut.html.gz": gzip.compress(PAGE.encode() * 50)[:150],
        "nul.html": b"<html>" + bytes(100_000),
        "large.html": b"<p>" + "大".encode() * 8_000_000,
        "good.html": PAGE.encode(),
        "row.jsonl": b'{"text": "\\ud83d ' + "渡口".encode() + b'"}\n',
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    out = tmp_path / "out.jsonl"
    extract(*(tmp_path / name for name in files), "-o", out)
    letters = rows_of(tmp_path / "out.dead_letters.jsonl")
    assert {Path(row["file"]).name: row["error"] for row in letters} == {
        "empty.html": "damaged_file",
        "bomb.html.gz": "too_large",
        "cut.html.gz": "damaged_file",
        "nul.html": "undecodable",
        "large.html": "too_large",
    }
    assert [row["text"][:2] for row in rows_of(out)] == ["清晨", "\ufffd "]
    extract(tmp_path / "good.html", "-o", out)
    assert not (tmp_path / "out.dead_letters.jsonl").exists()


def test_settings_of_the_recipe_can_be_given(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<p>The old pier at the mouth of the river is quiet. </p>" * 20)
    out = tmp_path / "out.jsonl"
    assert "no_chinese_bytes 1" in extract(page, "-o", out).output
    assert "1 documents" in extract(page, "-o", out, "--set", "chinese_prefilter=0").output


def test_mistakes_are_answered_with_the_way_out(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(PAGE, encoding="utf-8")
    assert "did you mean 'page.html'" in error(tmp_path / "pge.html", "-o", tmp_path / "o.jsonl")
    assert ".parquet, .jsonl.gz, .jsonl" in error(page, "-o", tmp_path / "out.csv")
    assert "unknown format 'csv'" in error(page, "-o", tmp_path / "o.jsonl", "--format", "csv")
    assert "did you mean 'max_record_bytes'?" in error(
        page, "-o", tmp_path / "o.jsonl", "--set", "max_record_byte=1"
    )
    (tmp_path / "empty").mkdir()
    assert "names no file" in error(tmp_path / "empty", "-o", tmp_path / "o.jsonl")
    assert list(tmp_path.glob("o.jsonl*")) == []
