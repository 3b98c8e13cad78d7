"""The report's section on lines that cleaning took out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from made_up_run import ENCODINGS, recipe, write_run

from filters.clean import Cleaner, CleanSettings
from filters.kernels.text_batch import TextBatch
from pipeline.inspection.removed_lines import RemovedLines
from pipeline.report import gather_report, removed_for_reasons, render_data_card, render_report
from pipeline.report.cleaning import LINE_CHARACTERS, SHOWN_LINES
from runs import FinishedRun

STORY = "很久以前，山脚下住着一位老石匠，他每天清早上山采石，天黑才回家。"


def removed_from(*texts: str) -> dict[str, Any]:
    """What the stage clean notes of a source with these documents."""
    removed = RemovedLines()
    batch = TextBatch.from_arrow(pa.array(texts))
    removed.add(Cleaner(CleanSettings()).clean_batch(batch))
    return removed.to_json()


def page(run: Path, by_source: dict[str, Any]) -> str:
    reasons = removed_for_reasons(by_source)
    html = render_report(gather_report(str(run), recipe(), ENCODINGS, reasons))
    return html.partition('<section id="cleaning">')[2].partition("</section>")[0]


def test_reasons_count_the_lines_of_all_sources_most_first() -> None:
    web = removed_from(f"{STORY}\n★★★★★★", f"{STORY}\n******\n上一篇：老桥重新开放")
    books = removed_from(f"{STORY}\n- - - - - -")
    found = removed_for_reasons({"books": books, "web": web, "empty": removed_from(STORY)})
    symbols = found[0]
    assert (symbols.reason, symbols.lines) == ("symbols", 3)
    assert symbols.by_source == (("web", 2), ("books", 1))
    # Ornaments are taken out before lines are looked at: of the first line nothing is left to show.
    assert set(symbols.samples) == {"***", "- - - - - -"}
    assert [entry.lines for entry in found] == [3, 1]


def test_personal_data_are_masked_and_long_lines_cut() -> None:
    long = "联系我们：" + "欢迎投稿" * 60
    notice = "版权所有 未经许可不得转载 联系邮箱 someone@example.cn 电话 13812345678"
    by_source = {"web": removed_from(f"{STORY}\n{notice}")}
    (found,) = removed_for_reasons(by_source)
    assert "example.cn" not in found.samples[0]
    assert "13812345678" not in found.samples[0]
    assert "[邮箱]" in found.samples[0]
    by_source["web"]["samples"][found.reason].append(["00000000000000ff", long])
    (found,) = removed_for_reasons(by_source)
    assert max(map(len, found.samples)) == LINE_CHARACTERS


def test_samples_are_few_and_do_not_depend_on_the_order_of_sources() -> None:
    lines = [
        f"上一篇：{name}重新开放"
        for name in [
            "老桥",
            "老街",
            "灯塔",
            "渡口",
            "茶馆",
            "学堂",
            "戏台",
            "磨坊",
            "书局",
            "码头",
            "粮仓",
            "驿站",
        ]
    ]
    sources = {name: removed_from(*(f"{STORY}\n{line}" for line in lines)) for name in "ab"}
    (found,) = removed_for_reasons(sources)
    (turned,) = removed_for_reasons(dict(reversed(sources.items())))
    assert found == turned
    assert len(found.samples) == SHOWN_LINES


def test_the_page_escapes_lines_and_says_when_there_are_none(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    hostile = removed_from(STORY)
    hostile["counts"]["copyright"] = 1
    hostile["samples"]["copyright"] = [["0000000000000001", "版权所有 <script>alert(1)</script>"]]
    assert "版权所有 &lt;script&gt;" in page(run, {"web": hostile})
    assert "Cleaning took out no line." in page(run, {})


def test_the_data_card_counts_lines_by_reason(tmp_path: Path) -> None:
    reasons = removed_for_reasons({"web": removed_from(f"{STORY}\n上一篇：老桥重新开放")})
    card = render_data_card(gather_report(str(write_run(tmp_path)), recipe(), ENCODINGS, reasons))
    assert f"- {reasons[0].reason}: 1\n" in card


@pytest.mark.slow
def test_the_report_of_a_run_has_the_counts_of_its_clean_stage(finished: FinishedRun) -> None:
    (manifest,) = (finished.path / "stages").glob("clean-*/manifest.json")
    by_source = json.loads(manifest.read_text("utf-8"))["facts"]["removed_lines"]
    expected: dict[str, int] = {}
    for removed in by_source.values():
        for reason, lines in removed["counts"].items():
            expected[reason] = expected.get(reason, 0) + lines
    html = (finished.path / "report" / "index.html").read_text("utf-8")
    shown = re.findall(r'data-reason="(\w+)"><summary>.*?<span class="n">([\d,]+) 行', html)
    assert {reason: int(lines.replace(",", "")) for reason, lines in shown} == {
        reason: lines for reason, lines in expected.items() if lines
    }
    assert shown
