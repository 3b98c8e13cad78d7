"""Whole runs against an older one: index, books, tables, report and what commands say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from crawl.build import Crawl

import pangu
from pangu_settings import UserError
from runs import FinishedRun, run_recipe, write_recipe

OVERRIDES = ("deduplicate.index=true",)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(pangu.program, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def older(crawl: Crawl, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A run that left its band index afterwards; tests must not change it."""
    folder = tmp_path_factory.mktemp("older")
    recipe = write_recipe(folder, crawl)
    run_recipe(recipe, folder / "run")
    with pytest.raises(UserError, match=r"has no band index; write it with: pangu run .*=true"):
        run_recipe(recipe, folder / "new", overrides=(f'deduplicate.against=["{folder}/run"]',))
    resolved = folder / "run" / "recipe.yaml"
    # Of a finished run only the index is made, and the report, which shows the recipe.
    assert run_recipe(resolved, folder / "run", overrides=OVERRIDES) == ["index_corpus", "report"]
    return FinishedRun(folder / "run", resolved)


def test_the_same_crawl_again_leaves_nothing(older: FinishedRun, tmp_path: Path) -> None:
    against = f'deduplicate.against=["{older.path}"]'
    other = FinishedRun(tmp_path / "new", older.recipe)
    planned = call("plan", older.recipe, "--out", other.path, "--set", against)
    assert f"merge what the corpus of {older.path} holds into it" in planned.output
    with pytest.raises(UserError, match="no document"):
        run_recipe(older.recipe, other.path, overrides=(against,))
    ledger = json.loads((other.path / "ledger.json").read_text())
    (entry,) = (stage for stage in ledger["stages"] if stage["stage"] == "deduplicate")
    for books in entry["sources"].values():
        assert books["kept"]["documents"] == 0
        kinds = set(books["merged"])
        assert kinds <= {"older_exact", "older_url", "older_near"}
    dropped = [row for row in other.rows("dropped") if row["verdict"] == "merged"]
    known = {row["id"] for row in older.rows("corpus")}
    assert {row["merged_into"] for row in dropped} == known
    assert all(row["value"].endswith(f"in {older.path}") for row in dropped)
    shown = call("inspect", other.path, dropped[0]["id"]).output
    assert f"merged into {dropped[0]['merged_into']} of the older run {older.path}" in shown


def test_new_documents_stay_and_the_report_counts_the_others(
    older: FinishedRun, crawl: Crawl, tmp_path: Path
) -> None:
    rows = older.rows("corpus")
    texts = [row["text"] for row in rows[:5]]
    new = [f"第{number}篇新的文章。" + text[::-1] for number, text in enumerate(texts)]
    lines = [json.dumps({"text": text}, ensure_ascii=False) for text in [*texts, *new * 3]]
    (tmp_path / "more.jsonl").write_text("\n".join(lines), encoding="utf-8")
    changes: dict[str, Any] = {
        "root": str(tmp_path),
        "filters": None,
        "sources": [{"name": "more", "paths": ["more.jsonl"], "clean": False}],
        "tokenizer": {"vocabulary_size": 820},
        "deduplicate": {"against": [str(older.path)], "index": True},
    }
    recipe = write_recipe(tmp_path, crawl, **changes)
    run_recipe(recipe, tmp_path / "run")
    found = FinishedRun(tmp_path / "run", recipe)
    assert sorted(row["text"] for row in found.rows("corpus")) == sorted(new)
    card = (found.path / "datacard.md").read_text()
    assert "of them into older corpora: 5" in card
    assert "older_" in (found.path / "report" / "index.html").read_text()
    # The next dump names both.
    against = json.dumps([str(older.path), str(found.path)])
    assert call("plan", recipe, "--out", tmp_path / "n", "--set", f"deduplicate.against={against}")
    with pytest.raises(UserError, match="is the directory of this run itself"):
        run_recipe(recipe, found.path, overrides=(f"deduplicate.against=[{found.path}]",))
