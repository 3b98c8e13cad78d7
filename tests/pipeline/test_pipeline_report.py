"""The report and the data card, on a run that never was."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_run import (
    ENCODINGS,
    HOSTILE_TITLE,
    SOURCES,
    MadeUpDocument,
    documents,
    recipe,
    write_run,
)

from pipeline.inspection.row_sample import RowSample
from pipeline.report import gather_report, render_data_card, render_report
from pipeline.report.content import StageBooks
from pipeline.report.sample import Histogram, LargestRows, ValueRange

UNITS = ("documents", "characters", "bytes")


class Tables(HTMLParser):
    """Collects the rows of every table: attributes of the row, and the text of its cells."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[tuple[dict[str, str | None], list[str]]] = []
        self.sources: list[str | None] = []
        self.loaded: list[str] = []
        self._table: dict[str, str | None] = {}
        self._in_cell = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        for name in ("src", "href", "xlink:href", "data", "action", "poster"):
            if name in attributes:
                self.loaded.append(attributes[name] or "")
        if tag == "table":
            self._table = attributes
        elif tag == "tr":
            self.rows.append(({**self._table, **attributes}, []))
        elif tag == "td":
            self.rows[-1][1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "td":
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][1][-1] += data


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("made-up"))


@pytest.fixture(scope="module")
def html(run: Path) -> str:
    return render_report(gather_report(str(run), recipe(), ENCODINGS))


def ledger_rows(html: str, source: str, stage: str) -> dict[tuple[str, str], dict[str, int]]:
    """Counts of one stage in the books of one source, by kind of row and reason."""
    found = {}
    for attributes, cells in Tables(html).rows:
        if attributes.get("data-source") == source and attributes.get("data-stage") == stage:
            numbers = (int(cell.replace(",", "")) for cell in cells[-3:])
            key = (attributes["class"] or "", attributes["data-reason"] or "")
            found[key] = dict(zip(UNITS, numbers, strict=True))
    return found


def test_books_in_the_page_are_those_of_the_ledger(run: Path, html: str) -> None:
    stages = json.loads((run / "ledger.json").read_text(encoding="utf-8"))["stages"]
    for stage in stages:
        for source, books in stage["sources"].items():
            shown = ledger_rows(html, source, stage["stage"])
            expected = {("in", ""): books["in"], ("kept", ""): books["kept"]}
            expected[("sum", "closes")] = books["in"]
            for outcome in ("dropped", "merged", "dead", "removed"):
                for reason, count in books[outcome].items():
                    if any(count.values()):
                        expected[(outcome, reason)] = count
            if len(expected) == 3:
                expected = {("passed", ""): books["kept"]}
            assert shown == expected


def test_books_of_all_sources_are_their_sums(run: Path, html: str) -> None:
    for stage in json.loads((run / "ledger.json").read_text(encoding="utf-8"))["stages"]:
        total = ledger_rows(html, "", stage["stage"])
        came_in = total.get(("in", "")) or total[("passed", "")]
        for unit in UNITS:
            parts = sum(books["in"][unit] for books in stage["sources"].values())
            assert came_in[unit] == parts


def test_each_reason_counts_its_documents_and_shows_three(run: Path) -> None:
    report = gather_report(str(run), recipe(), ENCODINGS)
    found = {(r.stage, r.verdict, r.rule): r for r in report.reasons}
    expected: dict[tuple[str, str, str], set[str]] = {}
    for document in documents():
        if document.fate[1] in ("dropped", "merged"):
            expected.setdefault(document.fate, set()).add(document.id)
    assert {key: reason.documents for key, reason in found.items()} == {
        key: len(ids) for key, ids in expected.items()
    }
    for key, reason in found.items():
        assert len(reason.examples) == 3
        assert {example.id for example in reason.examples} <= expected[key]


def test_text_of_pages_is_escaped(html: str) -> None:
    assert "&lt;script&gt;alert(" in html
    assert HOSTILE_TITLE not in html
    assert "<script" not in html.lower()
    assert "noise &lt;b&gt;" in html


def test_page_loads_nothing_and_links_only_into_the_run(html: str) -> None:
    loaded = Tables(html).loaded
    assert all(target.startswith(("#", "../", "data:,")) for target in loaded)
    assert not re.search(r"url\(\s*['\"]?(?!#)", html)
    assert "@import" not in html
    assert "Content-Security-Policy" in html


def test_two_renderings_are_the_same_bytes(run: Path, html: str) -> None:
    again = gather_report(str(run), recipe(), ENCODINGS)
    assert render_report(again) == html
    assert render_data_card(again) == render_data_card(gather_report(str(run), recipe(), ENCODINGS))


def test_order_of_rows_does_not_change_the_report(html: str, tmp_path: Path) -> None:
    backwards = list(reversed(documents()))
    turned = render_report(gather_report(str(write_run(tmp_path, backwards)), recipe(), ENCODINGS))
    without_sizes = re.compile(r"[\d.]+ k?B</td>")
    assert without_sizes.sub("", turned) == without_sizes.sub("", html)


def test_histograms_hold_every_document_with_a_text_on_its_side_of_the_limit(run: Path) -> None:
    report = gather_report(str(run), recipe(), ENCODINGS)
    with_text = [d for d in documents() if d.fate[0] != "extract"]
    assert report.lengths.documents == report.qualities.documents == len(with_text)
    below = report.lengths.edges < 150
    assert report.lengths.counts["kept"][below[:-1]].sum() == 0
    too_short = sum(d.fate[2] == "too_short" for d in with_text)
    assert report.lengths.counts["dropped"][below[:-1]].sum() == too_short


def test_clusters_count_what_was_merged(run: Path) -> None:
    clusters = gather_report(str(run), recipe(), ENCODINGS).clusters
    merged = [d for d in documents() if d.survivor is not None]
    assert sum(away for _, _, _, away in clusters.by_size) == len(merged)
    assert [cluster.size for cluster in clusters.largest] == sorted(
        (sum(d.survivor == s for d in merged) + 1 for s in (3, 9)), reverse=True
    )
    for cluster in clusters.largest:
        assert len(cluster.members) == 3


def test_dead_letters_are_shown_with_their_place(html: str) -> None:
    dead = [d for d in documents() if d.fate[1] == "dead"]
    shown = [cells for row, cells in Tables(html).rows if row.get("id") == "dead-letters" and cells]
    assert shown[0][:2] == ["damaged_record", str(len(dead))]
    assert len(shown) == 5
    assert {cells[2] for cells in shown} <= {f"crawl/0.warc.gz @ {1000 * d.number}" for d in dead}


def test_a_run_in_which_nothing_happened(tmp_path: Path) -> None:
    kept = [MadeUpDocument("books", 1, ("kept", "", ""), 900)]
    html = render_report(gather_report(str(write_run(tmp_path, kept)), recipe(), {}))
    for sentence in (
        "No document was dropped.",
        "No duplicates were found.",
        "Every record could be read.",
        "No pages had to be decoded.",
    ):
        assert sentence in html


def test_an_empty_corpus_still_gives_a_report(tmp_path: Path) -> None:
    report = gather_report(str(write_run(tmp_path, [])), recipe(), {})
    assert "No documents to count." in render_report(report)
    assert "documents: 0" in render_data_card(report)


def test_size_does_not_grow_with_texts_of_pages(tmp_path: Path) -> None:
    made = documents()
    run = write_run(tmp_path, made)
    usual = len(render_report(gather_report(str(run), recipe(), ENCODINGS)))

    def lengthen(name: str, columns: tuple[str, ...]) -> None:
        path = next((run / name).glob("b.parquet"))
        table = pa.parquet.read_table(path)
        for column in columns:
            place = table.schema.get_field_index(column)
            field = table.schema.field(place)
            values = pa.array([str(v) + "很长" * 2_000 for v in table.column(column).to_pylist()])
            table = table.set_column(place, field, values)
        pa.parquet.write_table(table, path)

    lengthen("dropped", ("url", "title", "value", "limit", "excerpt"))
    lengthen("dead_letters", ("detail",))
    long = len(render_report(gather_report(str(run), recipe(), ENCODINGS)))
    assert long < usual + 40_000


def test_size_is_bounded_for_hundreds_of_sources(run: Path) -> None:
    report = gather_report(str(run), recipe(), ENCODINGS)
    names = [f"source-{number}" for number in range(400)]
    many = replace(
        report,
        recipe=recipe(sources=[{"name": name, "paths": ["a.txt"]} for name in names]),
        stages=tuple(
            StageBooks(books.stage, dict.fromkeys(names, books.sources["crawl"]))
            for books in report.stages
        ),
    )
    html = render_report(many)
    assert all(f"<td>{name}</td>" in html for name in names)
    assert "The books of the other 340 sources" in html
    assert len(html.encode()) < 3_000_000


def test_data_card_names_sources_rules_and_gaps(run: Path) -> None:
    card = render_data_card(gather_report(str(run), recipe(), ENCODINGS))
    for source in SOURCES:
        assert f"| {source} |" in card
    assert "| too_short | characters ≥ 150 |" in card
    assert "16 bands of 8 rows" in card
    assert "## Known gaps" in card
    assert card.endswith("\n")


def batch(ids: list[str], **columns: Any) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"id": ids, **columns})


@given(st.lists(st.text(min_size=1), unique=True, min_size=1), st.integers(0, 5), st.data())
def test_row_sample_is_the_same_for_any_order_and_split(
    ids: list[str], size: int, data: st.DataObject
) -> None:
    whole, split = RowSample(size), RowSample(size)
    whole.offer(batch(ids), ids)
    shuffled = data.draw(st.permutations(ids))
    cut = data.draw(st.integers(0, len(ids)))
    for part in (shuffled[:cut], shuffled[cut:]):
        split.offer(batch(part), part)
    assert whole.rows() == split.rows()
    assert len(whole.rows()) == min(size, len(ids))
    assert whole.offered == split.offered == len(ids)


def test_largest_rows_break_ties_by_id() -> None:
    largest = LargestRows(2, "size")
    largest.offer(batch(["c", "a"], size=[5, 9]))
    largest.offer(batch(["b", "d"], size=[5, 1]))
    assert largest.rows() == [{"id": "a", "size": 9}, {"id": "b", "size": 5}]


@given(st.lists(st.none() | st.floats(-10, 10) | st.just(float("nan"))))
def test_histogram_counts_every_number_once(values: list[float | None]) -> None:
    histogram = Histogram.empty(np.linspace(-1, 1, 5), ["kept"])
    histogram.add("kept", pa.array(values, pa.float32()))
    assert histogram.documents == sum(v is not None and not np.isnan(v) for v in values)


def test_value_range_passes_over_what_is_not_a_number() -> None:
    found = ValueRange()
    found.add(pa.array([None, float("nan"), 0.5, 0.25], pa.float32()))
    found.add(pa.array([None], pa.float32()))
    assert (found.smallest, found.largest) == (0.25, 0.5)
