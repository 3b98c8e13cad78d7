"""Documents of large clusters are written more than once: which, where, and counted how."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import pangu
from pangu_settings import SettingsError
from pipeline.recipe import load_recipe
from pipeline.repetition import explain_table, times_written
from runs import FinishedRun, digest_of_results, run_recipe
from tokenizer.shard_set import ShardSet
from tokenizer.tokenizer import Tokenizer

TABLE = {2: 2, 3: 4}
REPEATED = ("shards.repeat_clusters.2=2", "shards.repeat_clusters.3=4")


@pytest.fixture(scope="module")
def repeated(finished: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A run of the small crawl that repeats documents of clusters."""
    out = tmp_path_factory.mktemp("repeated") / "small"
    run_recipe(finished.recipe, out, overrides=REPEATED)
    return FinishedRun(out, finished.recipe)


def documents(folder: Path) -> dict[str, list[tuple[bytes, bool]]]:
    """Of each source, in reading order: ids of a document, whether its shard is a repeated one."""
    found: dict[str, list[tuple[bytes, bool]]] = {}
    for shard in ShardSet.open(folder, verify=True).shards:
        first = 0
        for end in shard.document_ends:
            entry = (shard.tokens[first:end].tobytes(), shard.facts.repeated)
            found.setdefault(shard.source, []).append(entry)
            first = end
    return found


@given(
    table=st.dictionaries(st.integers(1, 50), st.integers(1, 9), max_size=6),
    sizes=st.lists(st.integers(1, 80), max_size=40),
)
def test_the_largest_size_that_is_reached_decides(table: dict[int, int], sizes: list[int]) -> None:
    expected = [
        max(((least, times) for least, times in table.items() if least <= size), default=(0, 1))[1]
        for size in sizes
    ]
    assert times_written(np.array(sizes, np.int32), table).tolist() == expected


def test_each_document_is_written_as_often_as_its_cluster_says(repeated: FinishedRun) -> None:
    tokenizer = Tokenizer(str(repeated.path / "tokenizer" / "tokenizer.model"))
    expected: dict[str, Counter[bytes]] = {}
    repetitions: Counter[str] = Counter()
    for row in repeated.rows("corpus"):
        times = {1: 1, 2: 2}.get(row["cluster_size"], 4)
        ids = np.append(tokenizer.encode(row["text"]), tokenizer.facts.separator)
        expected.setdefault(row["source"], Counter())[ids.astype("<u2").tobytes()] += times
        repetitions["documents"] += times - 1
        repetitions["tokens"] += (times - 1) * len(ids)
    assert {times for source in expected.values() for times in source.values()} >= {1, 2}
    found = documents(repeated.path / "shards")
    assert {name: Counter(ids for ids, _ in rows) for name, rows in found.items()} == expected
    index = json.loads((repeated.path / "shards" / "index.json").read_text())
    counted: Counter[str] = Counter()
    for source in index["sources"].values():
        counted.update(source.get("repetitions", {}))
    assert counted == repetitions


def test_text_with_copies_lies_in_front_of_text_without(repeated: FinishedRun) -> None:
    for rows in documents(repeated.path / "shards").values():
        marks = [is_repeated for _, is_repeated in rows]
        assert marks == sorted(marks, reverse=True)
        copies = Counter(ids for ids, _ in rows)
        assert all(copies[ids] > 1 for ids, is_repeated in rows if is_repeated)


def test_only_the_shards_change(finished: FinishedRun, repeated: FinishedRun) -> None:
    before, after = (digest_of_results(run.path) for run in (finished, repeated))
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert changed
    assert all(name.startswith("shards/") for name in changed)
    index = (finished.path / "shards" / "index.json").read_text()
    assert "repe" not in index


def test_a_table_of_ones_changes_nothing(finished: FinishedRun, tmp_path: Path) -> None:
    run_recipe(finished.recipe, tmp_path / "run", overrides=("shards.repeat_clusters.2=1",))
    assert digest_of_results(tmp_path / "run") == digest_of_results(finished.path)


@pytest.mark.slow
def test_workers_do_not_change_the_copies(repeated: FinishedRun, tmp_path: Path) -> None:
    run_recipe(repeated.recipe, tmp_path / "run", workers=2, overrides=REPEATED)
    assert digest_of_results(tmp_path / "run") == digest_of_results(repeated.path)


def test_people_are_told(repeated: FinishedRun) -> None:
    card = (repeated.path / "datacard.md").read_text(encoding="utf-8")
    page = (repeated.path / "report" / "index.html").read_text(encoding="utf-8")
    assert "further copies" in card
    assert "further copies" in page
    row = next(row for row in repeated.rows("corpus") if row["cluster_size"] == 2)
    shown = CliRunner().invoke(pangu.program, ["inspect", str(repeated.path), row["id"]]).output
    (line,) = (line for line in shown.splitlines() if line.startswith("shards "))
    assert line.endswith("written 2 times")
    place, document, _ = line.split(", ")
    number = int(document.removeprefix("document "))
    shards = ShardSet.open(repeated.path / "shards")
    (shard,) = (entry for entry in shards.shards if place.endswith(f"/{entry.facts.name}.bin"))
    start, end = [0, *shard.document_ends.tolist()][number : number + 2]
    tokenizer = Tokenizer(str(repeated.path / "tokenizer" / "tokenizer.model"))
    assert shard.tokens[start : end - 1].tolist() == tokenizer.encode(row["text"]).tolist()


def test_plan_shows_the_table(finished: FinishedRun) -> None:
    sets = [word for override in REPEATED for word in ("--set", override)]
    shown = (
        CliRunner()
        .invoke(pangu.program, ["plan", str(finished.recipe), "--out", str(finished.path), *sets])
        .output
    )
    assert f"write again by cluster: {explain_table(TABLE)}" in shown
    assert explain_table(TABLE) == "2 documents: 2×, 3 or more documents: 4×"


@pytest.mark.parametrize("override", ["0=2", "2=0", "2=101", "two=2"])
def test_nonsense_is_refused(finished: FinishedRun, override: str) -> None:
    with pytest.raises(SettingsError, match="repeat_clusters"):
        load_recipe(finished.recipe, (f"shards.repeat_clusters.{override}",))
