"""What stages take away from documents before the corpus is written."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cuts import CUTS, VERDICTS, Dropped, Span, cut, read_removals, stages_on


def kept(text: str, *spans: tuple[int, int]) -> str:
    return cut(text, [Span(start, end, "why") for start, end in spans])[0]


def test_a_span_is_taken_out() -> None:
    assert kept("春天来了，花开了。", (0, 5)) == "花开了。"


def test_a_line_goes_with_its_line_break() -> None:
    assert kept("一\n二\n三", (2, 3)) == "一\n三"
    assert kept("一\n二\n三", (0, 1)) == "二\n三"


def test_the_last_line_goes_with_the_line_break_before_it() -> None:
    assert kept("一\n二\n三", (4, 5)) == "一\n二"
    assert kept("一\n二\n三", (2, 3), (4, 5)) == "一"
    assert kept("一\n二", (0, 1), (2, 3)) == ""


def test_part_of_a_line_leaves_the_line_break() -> None:
    assert kept("春天。夏天。\n秋天。", (3, 6)) == "春天。\n秋天。"


def test_where_spans_overlap_the_first_counts() -> None:
    text, taken = cut("甲乙丙丁戊", [Span(1, 4, "b"), Span(0, 2, "a"), Span(1, 2, "c")])
    assert text == "戊"
    assert taken == [Span(0, 2, "a"), Span(2, 4, "b")]


@given(
    st.text("字。\n", max_size=30),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 8), st.sampled_from("ab")), max_size=6),
)
def test_what_remains_and_what_was_taken_make_up_the_text(
    text: str, drawn: list[tuple[int, int, str]]
) -> None:
    spans = [
        Span(min(start, len(text)), min(start + size, len(text)), reason)
        for start, size, reason in drawn
    ]
    remaining, taken = cut(text, spans)
    assert all(one.end <= other.start for one, other in pairwise(taken))
    assert all(0 <= span.start < span.end <= len(text) for span in taken)
    holes = {place for span in taken for place in range(span.start, span.end)}
    assert remaining == "".join(text[place] for place in range(len(text)) if place not in holes)
    wanted = {place for span in spans for place in range(span.start, span.end)}
    assert wanted <= holes
    assert {text[place] for place in holes - wanted} <= {"\n"}
    assert cut(text, []) == (text, [])


def write_stage(folder: Path, verdicts: list[dict[str, object]], cuts: list[tuple]) -> None:
    for name, schema, rows in (
        ("verdicts", VERDICTS, verdicts),
        ("cuts", CUTS, [dict(zip(CUTS.names, row, strict=True)) for row in cuts]),
    ):
        (folder / name).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / name / "p.parquet")


def verdict(kept: bool, rule: str = "", value: str = "", limit: str = "") -> dict[str, object]:
    return {"id": "", "kept": kept, "rule": rule, "value": value, "limit": limit}


def test_removals_of_two_stages_are_read_together(tmp_path: Path) -> None:
    lines, sets = tmp_path / "lines", tmp_path / "sets"
    write_stage(
        lines,
        [verdict(True), verdict(False, "short", "3", "9"), verdict(False), verdict(True)],
        [(0, 4, 9, "line"), (3, 0, 2, "line")],
    )
    write_stage(
        sets,
        [verdict(False, "leak", "0.9", "0.5"), verdict(False), verdict(False), verdict(True)],
        [(3, 1, 5, "leak")],
    )
    folders = {"deduplicate_lines": str(lines), "decontaminate": str(sets), "mix": str(tmp_path)}
    stages = stages_on(folders)
    assert stages == ("deduplicate_lines", "decontaminate")
    removals = read_removals(folders, stages, "p", np.array([True, True, False, True]))
    assert removals.kept.tolist() == [False, False, False, True]
    assert removals.dropped == {
        0: Dropped("decontaminate", "leak", "0.9", "0.5"),
        1: Dropped("deduplicate_lines", "short", "3", "9"),
    }
    assert removals.spans(1, 3) == {3: [Span(0, 2, "line"), Span(1, 5, "leak")]}
    assert removals.spans(0, 3) == {0: [Span(4, 9, "line")]}


def test_stages_that_are_off_take_nothing_away(tmp_path: Path) -> None:
    assert stages_on({"decontaminate": str(tmp_path)}) == ()
    kept = np.array([True, False])
    removals = read_removals({}, (), "p", kept)
    assert removals.kept.tolist() == [True, False]
    assert removals.spans(0, 2) == {}
    assert removals.dropped == {}
