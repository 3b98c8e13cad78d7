"""The report's section on classifiers: what they are, how they learned, how sources scored."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from crawl.build import Crawl
from hypothesis import given
from hypothesis import strategies as st
from made_up_run import CLASSIFIER_FACTS, ENCODINGS, recipe, write_run

from pipeline.parts import Part
from pipeline.recipe import Recipe
from pipeline.report import gather_report, render_data_card, render_report, summarise_classifiers
from pipeline.report.content import SCORE_QUANTILES, ClassifierSummary
from runs import run_recipe, write_recipe

TRAINED = {"train": {"positives": ["books"]}}
SCORES = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=60)


def with_quality(classifier: Mapping[str, Any] = TRAINED, **changes: Any) -> Recipe:
    return recipe(classifiers={"quality": classifier}, **changes)


def summaries(
    folder: Path,
    scores: Sequence[tuple[str, Sequence[float]]],
    of: Recipe,
    facts: Mapping[str, Any] = CLASSIFIER_FACTS,
) -> tuple[ClassifierSummary, ...]:
    """Of parts with these sources and scores."""
    parts = []
    for number, (source, values) in enumerate(scores):
        part = Part(f"{source}-{number}", source, "", "", 0)
        parts.append(part)
        path = folder / "scores" / f"{part.name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"quality_score": pa.array(values, pa.float32())}), path)
    return summarise_classifiers(str(folder), of, parts, {"quality": facts})


@given(SCORES, st.integers(0, 60))
def test_quantiles_and_bins_are_those_of_the_scores(
    tmp_path_factory: pytest.TempPathFactory, values: list[float], cut: int
) -> None:
    folder = tmp_path_factory.mktemp("scores")
    parts = [("crawl", values[:cut]), ("crawl", values[cut:]), ("books", [])]
    (summary,) = summaries(folder, parts, with_quality())
    (scores,) = summary.scores
    assert (scores.source, scores.documents) == ("crawl", len(values))
    assert sum(scores.bins) == len(values)
    exact = np.quantile(values, SCORE_QUANTILES, method="inverted_cdf")
    assert scores.quantiles == pytest.approx(exact, abs=1.01e-3)


def test_sources_come_in_the_order_of_the_recipe(tmp_path: Path) -> None:
    parts = [("books", [0.9]), ("crawl", [0.1, 1.0])]
    (summary,) = summaries(tmp_path, parts, with_quality())
    assert [scores.source for scores in summary.scores] == ["crawl", "books"]
    assert summary.scores[0].bins[2] == summary.scores[0].bins[-1] == 1


def page(run: Path, of: Recipe, found: Sequence[ClassifierSummary]) -> str:
    html = render_report(gather_report(str(run), of, ENCODINGS, (), found))
    return html.partition('<section id="classifiers">')[2].partition("</section>")[0]


def test_a_model_that_the_run_trained_shows_its_training_and_its_rule(tmp_path: Path) -> None:
    rule = {"low_quality": {"signal": "quality_score", "min": 0.05}}
    of = with_quality(rules=rule)
    shown = page(write_run(tmp_path / "run"), of, summaries(tmp_path, [("crawl", [0.5])], of))
    assert "low_quality: quality_score ≥ 0.05" in shown
    assert "trained by this run" in shown
    assert "625 + 613" in shown
    assert "positives: encyclopedia; " in shown
    held_out = shown.partition("data-held-out")[2]
    for row in CLASSIFIER_FACTS["held_out"]["thresholds"]:
        assert re.search(rf"<td class=\"n\">{row['threshold']}\b.*{row['f1']:.3f}", held_out)
    assert held_out.count("最佳 best") == 1


def test_the_data_card_names_the_classifier_and_its_best_figures(tmp_path: Path) -> None:
    of = with_quality()
    found = summaries(tmp_path, [("crawl", [0.5])], of)
    card = render_data_card(
        gather_report(str(write_run(tmp_path / "run")), of, ENCODINGS, (), found)
    )
    assert "- quality: trained by this run, on characters; encyclopedia told from crawl" in card
    assert "precision 0.920, recall 0.960 at 0.4" in card


def test_a_given_model_shows_its_file(tmp_path: Path) -> None:
    of = with_quality({"model": "models/<quality>.bin"})
    facts = {name: CLASSIFIER_FACTS[name] for name in ("features", "label", "sha256")}
    found = summaries(tmp_path, [("crawl", [0.25])], of, facts)
    shown = page(write_run(tmp_path / "run"), of, found)
    assert "models/&lt;quality&gt;.bin" in shown
    assert "data-held-out" not in shown


def test_without_classifiers_the_page_says_so(tmp_path: Path) -> None:
    assert summarise_classifiers(str(tmp_path), recipe(), [], {}) == ()
    assert "No classifier was used." in page(write_run(tmp_path / "run"), recipe(), ())


@pytest.mark.slow
def test_the_report_of_a_run_shows_the_classifier_that_it_trained(
    crawl: Crawl, tmp_path: Path
) -> None:
    training = {"positives": ["encyclopedia"], "epochs": 5, "buckets": 1024, "dimension": 4}
    made = write_recipe(tmp_path, crawl, classifiers={"quality": {"train": training}})
    run_recipe(made, tmp_path / "run")
    html = (tmp_path / "run" / "report" / "index.html").read_text("utf-8")
    table = html.partition('data-classifier="quality"')[2].partition("</table>")[0]
    for source in ("web", "encyclopedia", "stories"):
        assert f"<td>{source}</td>" in table
