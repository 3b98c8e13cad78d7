"""The whole road on the small crawl: every record's fate, resuming, and equal bytes."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import fsspec
import pytest
import yaml
from crawl.build import Crawl

from benchmarks.same_bytes import STAGES as STAGE_COUNT
from benchmarks.same_bytes import command, run_with_kills
from pangu_settings import UserError
from pipeline import cuts
from pipeline.run import ROAD
from runs import SAME_BYTES, FinishedRun, digest_of_results, run_recipe, write_recipe
from tokenizer.shard_set import ShardSet
from tokenizer.tokenizer import Tokenizer

STAGES = [stage.name for stage in ROAD]


def outcomes(finished: FinishedRun) -> Counter[str]:
    counts = Counter({"kept": len(finished.rows("corpus"))})
    for row in finished.rows("dropped"):
        counts["merged" if row["verdict"] == "merged" else f"dropped:{row['rule']}"] += 1
    counts.update(f"dead:{row['error']}" for row in finished.rows("dead_letters"))
    return counts


def test_every_reason_has_exactly_the_expected_count(crawl: Crawl, finished: FinishedRun) -> None:
    assert dict(sorted(outcomes(finished).items())) == crawl.counts()


def test_every_page_has_the_expected_fate(crawl: Crawl, finished: FinishedRun) -> None:
    kept = Counter(row["url"] for row in finished.rows("corpus"))
    others: dict[str, list[str]] = {}
    for row in finished.rows("dropped"):
        fate = "merged" if row["verdict"] == "merged" else f"dropped:{row['rule']}"
        others.setdefault(row["url"], []).append(fate)
    wrong = []
    for expected in crawl.expectations:
        if not expected.url or expected.fate.startswith(("one_of:", "dead:")):
            continue
        found = [*(["kept"] * kept[expected.url]), *others.get(expected.url, [])]
        if expected.fate not in found:
            wrong.append(f"{expected.url}: expected {expected.fate}, found {found}")
    assert wrong == []


def test_kept_text_has_the_right_characters(crawl: Crawl, finished: FinishedRun) -> None:
    text_of = {row["url"]: row["text"] for row in finished.rows("corpus")}
    wrong = [
        f"{expected.url}: {expected.says}"
        for expected in crawl.expectations
        if expected.says and expected.says not in text_of[expected.url]
    ]
    assert wrong == []


def test_dead_letters_name_file_offset_and_reason(finished: FinishedRun) -> None:
    letters = finished.rows("dead_letters")
    assert letters
    for letter in letters:
        assert letter["file"].startswith(("web/", "encyclopedia/"))
        assert letter["offset"] >= 0
        assert letter["stage"] == "extract"
        assert letter["detail"]


def test_each_merged_document_names_one_that_is_kept(finished: FinishedRun) -> None:
    kept = {row["id"]: row for row in finished.rows("corpus")}
    merged = [row for row in finished.rows("dropped") if row["verdict"] == "merged"]
    sizes = Counter(row["merged_into"] for row in merged)
    assert sizes
    for survivor, members in sizes.items():
        assert kept[survivor]["cluster_size"] == members + 1
    assert sum(row["cluster_size"] for row in kept.values()) == len(kept) + len(merged)


def test_dropped_documents_show_value_and_limit(finished: FinishedRun) -> None:
    rows = [row for row in finished.rows("dropped") if row["rule"] == "too_short"]
    assert rows
    for row in rows:
        assert row["limit"] == "characters 150"
        assert row["value"] == f"characters {row['characters']}"


def test_ledger_closes_and_agrees_with_the_tables(finished: FinishedRun) -> None:
    ledger = json.loads((finished.path / "ledger.json").read_text(encoding="utf-8"))
    stages = {entry["stage"]: entry["sources"] for entry in ledger["stages"]}
    for name, sources in stages.items():
        for source, books in sources.items():
            for unit in ("documents", "characters", "bytes"):
                ended = books["kept"][unit] + sum(
                    count[unit]
                    for outcome in ("dropped", "merged", "dead", "removed")
                    for count in books[outcome].values()
                )
                assert books["in"][unit] == ended, (name, source, unit)

    def total(outcome: str) -> int:
        return sum(
            count["documents"]
            for sources in stages.values()
            for books in sources.values()
            for count in books[outcome].values()
        )

    dropped = finished.rows("dropped")
    assert total("dropped") == sum(row["verdict"] == "dropped" for row in dropped)
    assert total("merged") == sum(row["verdict"] == "merged" for row in dropped)
    assert total("dead") == len(finished.rows("dead_letters"))
    corpus = finished.rows("corpus")
    kept = [books["kept"] for books in stages["mix"].values()]
    assert sum(count["documents"] for count in kept) == len(corpus)
    assert sum(count["characters"] for count in kept) == sum(len(row["text"]) for row in corpus)


def test_shards_hold_the_corpus(finished: FinishedRun) -> None:
    shards = ShardSet.open(finished.path / "shards", verify=True)
    tokenizer = Tokenizer(finished.path / "tokenizer" / "tokenizer.model")
    assert shards.tokenizer_sha256 == tokenizer.sha256
    texts = []
    for shard in shards.shards:
        first = 0
        for end in shard.document_ends:
            *ids, last = shard.tokens[first:end].tolist()
            assert last == shards.separator
            texts.append(tokenizer.decode(ids))
            first = int(end)
    assert len(shards.shards) > len({shard.source for shard in shards.shards}), "none rolled over"
    corpus = {row["text"] for row in finished.rows("corpus")}
    assert len(texts) == len(finished.rows("corpus"))
    assert set(texts) == corpus


def test_second_run_does_nothing(finished: FinishedRun) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.path.rglob("*.parquet")}
    assert run_recipe(finished.recipe, finished.path) == []
    assert before == {path: path.stat().st_mtime_ns for path in finished.path.rglob("*.parquet")}


def test_changed_limit_runs_again_from_decide(copy_of_finished: Any) -> None:
    run = copy_of_finished()
    short = len([row for row in run.rows("dropped") if row["rule"] == "too_short"])
    ran = run_recipe(run.recipe, run.path, overrides=("rules.too_short.min=40",))
    assert ran == STAGES[STAGES.index("decide") :]
    assert len([row for row in run.rows("dropped") if row["rule"] == "too_short"]) < short
    # Going back costs nothing: the earlier outputs are still there and are published again.
    before = digest_of_results(run.path)
    assert run_recipe(run.recipe, run.path) == []
    assert digest_of_results(run.path) != before


def test_resolved_recipe_gives_the_same_run(finished: FinishedRun, tmp_path: Path) -> None:
    run_recipe(finished.path / "recipe.yaml", tmp_path / "again")
    assert digest_of_results(tmp_path / "again") == digest_of_results(finished.path)


def test_two_workers_give_the_same_bytes(finished: FinishedRun, tmp_path: Path) -> None:
    run_recipe(finished.recipe, tmp_path / "two", workers=2)
    assert digest_of_results(tmp_path / "two") == digest_of_results(finished.path)


def test_run_that_is_killed_and_resumed_gives_the_same_bytes(
    finished: FinishedRun, tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    run_with_kills(command(finished.recipe, out, workers=1), out, 5, random.Random(7))
    assert digest_of_results(out) == digest_of_results(finished.path)
    assert not list(out.rglob(".*.part"))


def test_kills_are_spread_over_all_stages() -> None:
    assert len(STAGES) == STAGE_COUNT


def test_damaged_output_is_made_again(copy_of_finished: Any, finished: FinishedRun) -> None:
    run = copy_of_finished()
    victim = next((run.path / "stages").glob("clean-*/documents/*.parquet"))
    victim.unlink()
    ran = run_recipe(run.recipe, run.path)
    assert "clean" in ran
    assert "extract" not in ran
    assert digest_of_results(run.path) == digest_of_results(finished.path)


def test_damaged_record_of_a_part_is_made_again(
    copy_of_finished: Any, finished: FinishedRun
) -> None:
    run = copy_of_finished()
    (folder,) = (run.path / "stages").glob("clean-*")
    (folder / "manifest.json").write_text('{"broken')
    next(folder.glob("parts/*.json")).write_text('{"bro')
    assert run_recipe(run.recipe, run.path) == ["clean"]
    assert digest_of_results(run.path) == digest_of_results(finished.path)


def test_more_input_is_read_and_the_rest_reused_or_made_again(crawl: Crawl, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, crawl)
    content = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    del content["sources"][1]
    recipe.write_text(yaml.safe_dump(content), encoding="utf-8")
    out = tmp_path / "run"
    run_recipe(recipe, out)
    before = len(FinishedRun(out, recipe).rows("corpus"))
    run_recipe(write_recipe(tmp_path, crawl), out)
    assert len(FinishedRun(out, recipe).rows("corpus")) > before


def test_pretrain_settings_fit_the_shards(finished: FinishedRun) -> None:
    settings = yaml.safe_load((finished.path / "pretrain.yaml").read_text(encoding="utf-8"))
    index = json.loads((finished.path / "shards" / "index.json").read_text(encoding="utf-8"))
    assert settings["model"]["vocabulary"] == index["tokenizer"]["vocabulary_size"]
    assert (finished.path / settings["data"]["tokenizer"]).is_file()


@pytest.mark.parametrize("stage", STAGES)
def test_manifest_lists_every_file_with_its_digest(finished: FinishedRun, stage: str) -> None:
    (folder,) = (finished.path / "stages").glob(f"{stage}-*")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    # The recipe leaves off what takes something away after deduplication, and the index.
    assert bool(manifest["files"]) == (stage not in (*cuts.STAGES, "index_corpus"))
    for entry in manifest["files"]:
        assert (folder / entry["path"]).stat().st_size == entry["bytes"]


def test_nothing_kept_is_said_and_explained(crawl: Crawl, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, crawl)
    with pytest.raises(UserError, match="no document was kept"):
        run_recipe(recipe, tmp_path / "run", overrides=("rules.too_short.min=100000",))
    ledger = json.loads((tmp_path / "run" / "ledger.json").read_text(encoding="utf-8"))
    decided = next(entry for entry in ledger["stages"] if entry["stage"] == "decide")
    assert decided["sources"]["web"]["dropped"]["too_short"]["documents"] > 20
    assert list((tmp_path / "run" / "dropped").glob("*.parquet"))


def test_failed_change_leaves_no_old_results_beside_new_ones(copy_of_finished: Any) -> None:
    run = copy_of_finished()
    with pytest.raises(UserError):
        run_recipe(run.recipe, run.path, overrides=("rules.too_short.min=100000",))
    assert not (run.path / "shards").exists()
    assert not (run.path / "pretrain.yaml").exists()
    assert run_recipe(run.recipe, run.path) == []
    assert (run.path / "shards" / "index.json").exists()
    assert (run.path / "pretrain.yaml").exists()


def test_object_store_gives_the_same_bytes_as_disk(
    crawl: Crawl, finished: FinishedRun, tmp_path: Path
) -> None:
    store = fsspec.filesystem("memory")
    for source, files in crawl.files.items():
        for path in files:
            store.pipe(f"/pages/{source}/{path.name}", path.read_bytes())
    recipe = write_recipe(tmp_path, crawl, root="memory://pages")
    assert run_recipe(recipe, "memory://run") == STAGES
    assert run_recipe(recipe, "memory://run") == []
    found = {
        name.removeprefix("/run/"): hashlib.sha256(store.cat(name)).hexdigest()
        for name in store.find("/run")
        if name.removeprefix("/run/").partition("/")[0] in SAME_BYTES
    }
    assert found == digest_of_results(finished.path)
