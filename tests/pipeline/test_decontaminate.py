"""The stage decontaminate: what it takes away, what it says of it, and that it is free when off."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from crawl.build import Crawl

from filters.decontamination_settings import explain
from pangu_settings import SettingsError, UserError
from pipeline.inspection.document_life import describe
from pipeline.recipe import load_recipe
from pipeline.run import make_plan
from pipeline.run_directory import RunDirectory
from runs import FinishedRun, digest_of_results, run_recipe, write_recipe

# A passage of one document of the small crawl, in traditional characters and with other spaces.
LEAKED = (
    "苔藓依靠孢子繁殖。孢子落在合适的地方，先长成丝状的原丝体，再从上面长出新的植株。"
    "雌雄配子的结合需要水，一场小雨往往就能完成。"
)
TRADITIONAL = (
    "苔蘚 依靠 孢子 繁殖。孢子 落在 合適的 地方，先 長成 絲狀的 原絲體，再 從 上面 長出 新的 植株。"
    "雌雄 配子 的 結合 需要 水，一場 小雨 往往 就能 完成。"
)
CLEAN = "这一题问的是一件语料里哪里也没有写过的事：第七十三个守夜人到底把那把钥匙藏在了哪里？"


def write_sets(folder: Path) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    items = [{"context": TRADITIONAL, "question": "苔藓靠什么繁殖？"}, {"question": CLEAN}]
    lines = [json.dumps(item, ensure_ascii=False) for item in [*items, {"question": "短"}]]
    (folder / "moss.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "riddles.txt").write_text(CLEAN + "\n\n" + "灯谜" * 20, encoding="utf-8")
    return {
        "moss": {"paths": [str(folder / "moss.jsonl")]},
        "riddles": {"paths": [str(folder / "riddles.txt")]},
    }


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return write_sets(tmp_path_factory.mktemp("sets"))


@pytest.fixture(scope="module")
def leaking(crawl: Crawl, sets: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipe")
    return write_recipe(folder, crawl, decontaminate={"sets": sets})


@pytest.fixture(scope="module")
def cut_run(leaking: Path, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    out = tmp_path_factory.mktemp("run") / "cut"
    run_recipe(leaking, out)
    return FinishedRun(out, leaking)


def mosses(run: FinishedRun, table: str) -> list[dict[str, Any]]:
    return [row for row in run.rows(table) if row["url"].endswith("/moss")]


def test_the_passage_is_cut_out_and_the_rest_stays(
    cut_run: FinishedRun, finished: FinishedRun
) -> None:
    (before,), (after,) = mosses(finished, "corpus"), mosses(cut_run, "corpus")
    assert LEAKED in before["text"]
    # It is a whole line, so its line break goes too.
    assert after["text"] == before["text"].replace(LEAKED + "\n", "")
    assert after["characters"] == len(after["text"])
    assert after["text_bytes"] == len(after["text"].encode())
    assert {k: v for k, v in after.items() if "text" not in k and k != "characters"} == {
        k: v for k, v in before.items() if "text" not in k and k != "characters"
    }


def test_no_other_document_changes(cut_run: FinishedRun, finished: FinishedRun) -> None:
    def others(run: FinishedRun) -> list[dict[str, Any]]:
        return [row for row in run.rows("corpus") if not row["url"].endswith("/moss")]

    assert others(cut_run) == others(finished)
    assert cut_run.rows("dropped") == finished.rows("dropped")


def test_the_books_close_and_count_what_was_removed(cut_run: FinishedRun) -> None:
    ledger = json.loads((cut_run.path / "ledger.json").read_text(encoding="utf-8"))
    stages = {entry["stage"]: entry["sources"] for entry in ledger["stages"]}
    passed = stages["decontaminate"]["encyclopedia"]
    assert passed["in"] == passed["kept"]
    books = stages["mix"]["encyclopedia"]
    assert books["removed"] == {
        "evaluation_text": {
            "documents": 0,
            "characters": len(LEAKED) + 1,
            "bytes": len(LEAKED.encode()) + 1,
        }
    }


def test_the_summary_counts_items_and_shows_samples(cut_run: FinishedRun) -> None:
    summary = json.loads((cut_run.path / "decontamination.json").read_text(encoding="utf-8"))
    assert summary["searched_documents"] == len(cut_run.rows("corpus"))
    assert (summary["cut_documents"], summary["dropped_documents"]) == (1, 0)
    moss, riddles = summary["sets"]["moss"], summary["sets"]["riddles"]
    (sample,) = moss.pop("samples")
    (file,) = moss.pop("files")
    assert moss == {
        "items": 3,
        "looked_for": 2,
        "too_short": 1,
        "common_texts": 0,
        "found": 1,
        "documents": 1,
    }
    assert sample["id"] == mosses(cut_run, "corpus")[0]["id"]
    assert sample["item"] == f"{file}: line 1"
    assert sample["excerpt"].startswith(LEAKED[:40])
    assert (riddles["items"], riddles["found"], riddles["samples"]) == (2, 0, [])


def test_every_find_is_a_row_of_leaks(cut_run: FinishedRun) -> None:
    (leak,) = cut_run.rows("leaks")
    assert (leak["set"], leak["items"], leak["outcome"]) == ("moss", 1, "cut")
    assert leak["found"] == leak["of"]


def test_documents_can_be_dropped_whole(
    leaking: Path, cut_run: FinishedRun, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(cut_run.path, out)
    ran = run_recipe(leaking, out, overrides=("decontaminate.action=drop",))
    assert ran[:2] == ["decontaminate", "mix"]
    run = FinishedRun(out, leaking)
    assert mosses(run, "corpus") == []
    (row,) = mosses(run, "dropped")
    assert (row["stage"], row["verdict"], row["rule"]) == (
        "decontaminate",
        "dropped",
        "evaluation_text",
    )
    assert (row["value"], row["limit"]) == ("1.000 of a passage of moss", "0.5")
    assert [leak["outcome"] for leak in run.rows("leaks")] == ["dropped"]


def test_a_document_of_which_too_little_remains_is_dropped(
    leaking: Path, cut_run: FinishedRun, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(cut_run.path, out)
    (kept,) = mosses(cut_run, "corpus")
    least = kept["characters"] + 1
    run_recipe(leaking, out, overrides=(f"decontaminate.min_remaining_characters={least}",))
    run = FinishedRun(out, leaking)
    (row,) = mosses(run, "dropped")
    assert (row["rule"], row["value"], row["limit"]) == (
        "little_beside_evaluation_text",
        f"{least - 1} characters beside moss",
        str(least),
    )
    lines = list(describe(RunDirectory(str(out)), row["id"]))
    dropped = next(n for n, line in enumerate(lines) if line.startswith("decontaminate dropped by"))
    assert lines[dropped - 1].startswith("leak         holds ")
    assert "moss.jsonl: line 1: " in lines[dropped - 1]


@pytest.mark.slow
def test_two_workers_give_the_same_bytes(
    leaking: Path, cut_run: FinishedRun, tmp_path: Path
) -> None:
    out = tmp_path / "two"
    run_recipe(leaking, out, workers=2)
    assert digest_of_results(out) == digest_of_results(cut_run.path)
    for name in ("decontamination.json", "leaks/encyclopedia*"):
        (one,), (two,) = cut_run.path.glob(name), out.glob(name)
        assert one.read_bytes() == two.read_bytes()


def test_without_sets_nothing_is_written(finished: FinishedRun) -> None:
    folder = Path(RunDirectory(str(finished.path)).current_folder("decontaminate"))
    assert [path.name for path in folder.iterdir()] == ["manifest.json"]
    assert not (finished.path / "decontamination.json").exists()
    assert not (finished.path / "leaks").exists()


def test_taking_the_sets_away_gives_the_run_without_them(
    crawl: Crawl, cut_run: FinishedRun, finished: FinishedRun, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(cut_run.path, out)
    run_recipe(write_recipe(tmp_path, crawl), out)
    assert digest_of_results(out) == digest_of_results(finished.path)
    assert not (out / "decontamination.json").exists()


def digests(recipe: Path, run: Path) -> dict[str, str]:
    plan = make_plan(load_recipe(recipe), RunDirectory(str(run)))
    return {planned.stage.name: planned.identity.digest for planned in plan.stages}


def test_a_changed_set_is_looked_for_again(crawl: Crawl, tmp_path: Path) -> None:
    sets = write_sets(tmp_path / "sets")
    recipe = write_recipe(tmp_path, crawl, decontaminate={"sets": sets})
    before = digests(recipe, tmp_path)
    with (tmp_path / "sets" / "moss.jsonl").open("a", encoding="utf-8") as file:
        file.write('\n{"question": "另一题"}')
    after = digests(recipe, tmp_path)
    changed = [stage for stage in before if before[stage] != after[stage]]
    # It and all that comes after it, and nothing before.
    assert changed == list(before)[list(before).index("decontaminate") :]


def test_without_sets_the_other_settings_do_not_count(crawl: Crawl, tmp_path: Path) -> None:
    off = write_recipe(tmp_path, crawl)
    before = digests(off, tmp_path)
    also_off = write_recipe(tmp_path, crawl, decontaminate={"ngram": 8})
    after = digests(also_off, tmp_path)
    assert before["mix"] == after["mix"]


def test_mistakes_are_named(leaking: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="min_characters: 12 is less than ngram"):
        load_recipe(leaking, ["decontaminate.min_characters=12"])
    with pytest.raises(SettingsError, match=r"decontaminate\.sets\.moss\.path: unknown key"):
        load_recipe(leaking, ["decontaminate.sets.moss.path=a"])
    missing = load_recipe(leaking, ["decontaminate.sets.moss.paths=[none.json]"])
    with pytest.raises(UserError, match=r"sets\.moss\.paths\.0: 'none\.json' names no file"):
        make_plan(missing, RunDirectory(str(tmp_path)))


def test_the_texts_of_the_sets_are_kept_once(cut_run: FinishedRun) -> None:
    folder = Path(RunDirectory(str(cut_run.path)).current_folder("decontaminate"))
    texts = pq.read_table(folder / "known" / "texts.parquet").column("text").to_pylist()
    assert len(texts) == len(set(texts)) == 5


def test_inspect_shows_what_was_cut_and_where_the_rest_is(cut_run: FinishedRun) -> None:
    row = mosses(cut_run, "corpus")[0]
    output = "\n".join(describe(RunDirectory(str(cut_run.path)), row["id"]))
    assert f"{len(LEAKED) + 1} characters at" in output
    assert f"(evaluation_text): {LEAKED[:20]}" in output
    assert " n-grams of a passage of moss, " in output
    assert "moss.jsonl: line 1: " in output
    (part,) = {name.stem for name in (cut_run.path / "corpus").glob("encyclopedia*")}
    place = [other["id"] for other in part_rows(cut_run, part)].index(row["id"])
    assert f"corpus/{part}.parquet, row {place}" in output


def part_rows(run: FinishedRun, part: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(run.path / "corpus" / f"{part}.parquet").to_pylist()
    return rows


def test_report_and_data_card_show_each_set(cut_run: FinishedRun, finished: FinishedRun) -> None:
    page = (cut_run.path / "report" / "index.html").read_text(encoding="utf-8")
    table = page[page.index('id="evaluation-sets"') :].partition("</table>")[0]
    cells = [cell.partition("<")[0] for cell in table.split("<td")[1:]]
    assert [cell.rpartition(">")[2] for cell in cells] == [
        *("moss", "3", "1", "1", "50.0%", "1"),
        # A word repeated is too little to look for.
        *("riddles", "2", "1", "0", "0.0%", "0"),
    ]
    assert LEAKED[:40] in page
    card = (cut_run.path / "datacard.md").read_text(encoding="utf-8")
    assert "| moss | 3 | 1 | 1 | 1 |" in card
    assert "overlap with evaluation sets is not removed" not in card
    card = (finished.path / "datacard.md").read_text(encoding="utf-8")
    assert "overlap with evaluation sets is not removed" in card


def test_plan_says_what_is_looked_for(leaking: Path) -> None:
    (line,) = explain(load_recipe(leaking).decontaminate)
    assert line == "cut the sentences of moss, riddles: 50% of a passage's 13-grams"
