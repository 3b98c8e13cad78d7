"""`pangu filter` tells the way of one page, and gives files of documents the verdicts of a run."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from crawl.build import HERE, Crawl

import pangu
from filters.presets import load_preset, preset_names
from pangu_settings import UserError
from runs import FinishedRun

PAGES = HERE / "pages"
PROSE = "白石渡老桥经过两年修缮，昨天上午重新开放，许多老人一早就来到桥头等候，直到傍晚才散去。" * 5
SENSITIVE = PROSE + "百家乐、赌球、老虎机、六合彩。"


def call(*arguments: str | Path, given: bytes | None = None) -> str:
    result = CliRunner().invoke(pangu.program, ["filter", *map(str, arguments)], input=given)
    assert result.exit_code == 0, result.output
    return result.output


def error(*arguments: str | Path) -> str:
    result = CliRunner().invoke(pangu.program, ["filter", *map(str, arguments)])
    assert isinstance(result.exception, UserError), result.output
    return str(result.exception)


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(lines, encoding="utf-8")
    return path


def read_rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_page_shows_encoding_removed_lines_signals_rules_and_verdict(crawl: Crawl) -> None:
    output = call(crawl.files["web"][0], "--row", "9")
    assert "declared gbk" in output
    assert "gb18030" in output
    assert "漕运与运河" in output
    assert "  ✓ too_short " in output
    assert "chinese_share 0." in output
    assert "verdict     kept by all" in output


def test_page_that_a_rule_drops_shows_the_phrases_it_found() -> None:
    output = call(PAGES / "gambling.html")
    assert "  ✗ sensitive " in output
    assert "found: " in output
    assert "六合彩" in output
    assert "verdict     dropped by sensitive: sensitive_words" in output


def test_removed_lines_name_their_reason() -> None:
    output = call("-", given=f"首页 新闻 体育 财经\n{PROSE}\n★★★★★\n".encode())
    assert "2 of 3 lines removed" in output
    assert "  - 首页 新闻 体育 财经  [" in output
    assert "  - ★★★★★  [symbols]" in output


def test_long_texts_are_shown_in_part_unless_asked_for() -> None:
    given = "\n".join(f"第{number}段，{PROSE}" for number in range(30)).encode()
    assert "… 26 lines" in call("-", given=given)
    assert "第17段" in call("-", "--all-lines", given=given)


def test_nothing_that_a_terminal_obeys_is_printed() -> None:
    output = call("-", "--no-clean", given=f"\x1b[31m红色\x07{PROSE}".encode())
    assert "\x1b" not in output
    assert "\x07" not in output


def test_page_without_text_ends_where_extraction_ends() -> None:
    output = call(PAGES / "captcha.html")
    assert "verdict     dropped by no_" in output
    assert "rules" not in output


def test_verdicts_are_those_of_the_run(crawl: Crawl, finished: FinishedRun, tmp_path: Path) -> None:
    extracted, out = tmp_path / "documents.jsonl", tmp_path / "filtered.parquet"
    pages = [str(path) for path in crawl.files["web"]]
    limit = ["--set", "max_record_bytes=10000000"]
    result = CliRunner().invoke(pangu.program, ["extract", *pages, "-o", str(extracted), *limit])
    assert result.exit_code == 0, result.output
    call(extracted, "-o", out)
    found = {row["url"]: row for row in read_rows(out)}
    dropped = {
        row["url"]: (row["rule"], row["value"])
        for row in finished.rows("dropped")
        if row["stage"] == "decide" and row["source"] == "web"
    }
    assert len(dropped) > 4
    assert {
        url: (row["rule"], _with_signal(row)) for url, row in found.items() if row["rule"]
    } == dropped
    kept = [row for row in finished.rows("corpus") if row["source"] == "web"]
    assert all(found[row["url"]]["text"] == row["text"] for row in kept)


def _with_signal(row: dict[str, Any]) -> str:
    return f"{load_preset('pangu_alpha').rules[row['rule']].signal} {row['value']}"


ROWS = [
    {"text": PROSE, "title": "老桥", "id": 1, "tags": ["a"], "more": {"x": 1}},
    {"text": SENSITIVE, "title": "娱乐", "id": 2, "tags": []},
    {"text": "停水。", "id": 3, "seen": "昨天"},
]


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".parquet"])
def test_rows_keep_their_fields_and_get_verdicts(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"out{suffix}"
    output = call(write_rows(tmp_path / "in.jsonl", ROWS), "-o", out)
    assert "3 documents" in output
    rows = read_rows(out)
    assert [row["id"] for row in rows] == [1, 2, 3]
    assert [row["verdict"] for row in rows] == ["kept", "dropped", "dropped"]
    assert [row["rule"] for row in rows] == [None, "sensitive", "title_only"]
    assert (rows[1]["value"], rows[1]["limit"]) == ("4", "3")
    assert rows[0]["characters"] == len(PROSE)
    assert rows[0]["more"] == {"x": 1}
    assert list(rows[0])[:3] == ["text", "title", "id"]
    assert rows[2]["seen"] == "昨天"


def test_a_field_that_begins_late_is_an_error_not_a_loss(tmp_path: Path) -> None:
    rows = [{"text": PROSE * 40, "id": number} for number in range(3_000)]
    path = write_rows(tmp_path / "in.jsonl", [*rows, {"text": PROSE, "late": 1}])
    message = error(path, "-o", tmp_path / "out.parquet")
    assert "'late'" in message
    assert ".jsonl" in message
    assert not (tmp_path / "out.parquet").exists()


def test_parquet_gives_what_jsonl_gives_whatever_the_batches(tmp_path: Path) -> None:
    rows = [{**row, "id": index} for index, row in enumerate(ROWS * 200)]
    lines = write_rows(tmp_path / "in.jsonl", [{k: r[k] for k in ("text", "id")} for r in rows])
    table = pa.table({"text": [r["text"] for r in rows], "id": [r["id"] for r in rows]})
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=70)
    for name in ("in.jsonl", "in.parquet"):
        call(tmp_path / name, "-o", tmp_path / f"{name}.out.parquet")
    first, second = (
        pq.read_table(tmp_path / f"{name}.out.parquet") for name in (lines.name, "in.parquet")
    )
    assert first.equals(second.select(first.column_names))


def test_only_kept_leaves_out_the_others(tmp_path: Path) -> None:
    rows = [ROWS[1], ROWS[0], ROWS[2]]
    out = tmp_path / "out.parquet"
    call(write_rows(tmp_path / "in.jsonl", rows), "-o", out, "--only-kept")
    assert [row["id"] for row in read_rows(out)] == [1]


def test_text_stays_as_it_is_if_asked(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "in.jsonl", [{"text": f"首页 新闻 体育 财经\n{PROSE}"}])
    call(path, "-o", tmp_path / "a.jsonl")
    call(path, "-o", tmp_path / "b.jsonl", "--no-clean")
    assert read_rows(tmp_path / "a.jsonl")[0]["text"] == PROSE
    assert read_rows(tmp_path / "b.jsonl")[0]["text"].startswith("首页")


def test_lines_that_are_no_documents_are_counted_and_named(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    good = json.dumps({"text": PROSE + "\ud83d"})
    path.write_text(f'{good}\nnot json\n{{"txt": "x"}}\n[1]\n', encoding="utf-8")
    output = call(path, "-o", tmp_path / "out.jsonl")
    assert "1 documents" in output
    assert "left out: 3 lines" in output
    assert "line 2" in output
    assert len(read_rows(tmp_path / "out.jsonl")) == 1


def test_no_documents_give_an_empty_table_with_all_columns(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("", encoding="utf-8")
    call(tmp_path / "in.jsonl", "-o", tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.num_rows == 0
    assert {"characters", "verdict", "rule"} <= set(table.column_names)


def test_replaced_fields_are_named(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "in.jsonl", [{"text": PROSE, "quality": "mine"}])
    assert "replaced fields: quality" in call(path, "-o", tmp_path / "out.jsonl")


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_can_be_asked(tmp_path: Path, name: str) -> None:
    path = write_rows(tmp_path / "in.jsonl", ROWS)
    output = call(path, "--preset", name)
    assert f"rules       {name}" in output


def test_recipe_and_overrides_are_followed(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "in.jsonl", ROWS)
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        "name: mine\nfilters: null\nwords: {mine: mine.txt}\n"
        "rules: {bridge: {signal: mine_hits, max: 3}}\nsources: [{name: a, paths: [x]}]\n",
        encoding="utf-8",
    )
    (tmp_path / "mine.txt").write_text("老桥\n", encoding="utf-8")
    output = call(path, "--recipe", recipe)
    assert "dropped by bridge: mine_hits 6 (limit 3)" in output
    assert "found: 老桥" in output
    assert "kept by all 1 rules" in call(path, "--recipe", recipe, "--set", "rules.bridge.max=9")


def test_mistakes_are_answered(tmp_path: Path, crawl: Crawl) -> None:
    path = write_rows(tmp_path / "in.jsonl", ROWS)
    assert "did you mean 'c4_zh'" in error(path, "--preset", "c4zh")
    assert "pangu extract" in error(crawl.files["web"][0], "-o", tmp_path / "out.jsonl")
    assert "has 3 documents" in error(path, "--row", "4")
    assert ".parquet" in error(path, "-o", tmp_path / "out.csv")
    pq.write_table(pa.table({"content": ["x"]}), tmp_path / "in.parquet")
    assert "did you mean" in error(tmp_path / "in.parquet", "-o", tmp_path / "out.jsonl") or (
        "valid: content" in error(tmp_path / "in.parquet", "-o", tmp_path / "out.jsonl")
    )
