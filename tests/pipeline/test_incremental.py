"""A run against the band index of an older one: what the older corpus holds is merged into it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from document_tables import Document, Tables, write_tables
from test_deduplicate import crowd, divided, edited, family, random_text, similarity

from filters.duplicate_settings import Deduplicate
from pangu_settings import UserError
from pipeline.duplicates.band_index import OlderCorpus, check_not_itself, describe_index, open_older
from pipeline.duplicates.older_corpora import find_in_older
from pipeline.execution import Execution
from pipeline.ledger import Books
from pipeline.parts import read_part_record
from pipeline.stage import outcome_of_parts
from pipeline.stages.deduplicate import MergePart, find_duplicates, keep_only_this_layout
from pipeline.stages.index_corpus import Fates, IndexPart

SETTINGS = Deduplicate()


@dataclass(frozen=True)
class Run:
    """Verdicts of deduplication by document, and where the run's tables are."""

    folder: Path
    tables: Tables
    verdicts: dict[str, dict[str, Any]]
    settings: Deduplicate

    @property
    def survivors(self) -> dict[str, str]:
        """Of each document that came in, the one that stands for it, here or in an older run."""
        return {
            name: row["merged_into"] or name
            for name, row in self.verdicts.items()
            if row["kept"] or row["merged_into"]
        }

    @property
    def merged(self) -> dict[str, tuple[str, str]]:
        """(kind, id) of the documents that were merged into one of an older run."""
        rows = self.verdicts.items()
        return {name: (row["kind"], row["merged_into"]) for name, row in rows if row["older_run"]}


def run(
    folder: Path,
    parts: dict[str, list[Document]],
    settings: Deduplicate = SETTINGS,
    older: Sequence[OlderCorpus] = (),
    execution: Execution | None = None,
    sources: tuple[str, ...] = (),
) -> Run:
    """Deduplicates documents as the stage does it."""
    tables = write_tables(folder / "tables", parts, settings)
    execution = execution or Execution()
    inputs = replace(tables.inputs, sources=sources or tables.inputs.sources)
    numbered, work = inputs.number(tables.parts), str(folder / "work")
    if older:
        keep_only_this_layout(execution, settings, work)
        found = find_in_older(execution, inputs, numbered, older, settings, work)
        inputs = replace(inputs, older=found)
    results = find_duplicates(execution, inputs, numbered, settings, work)
    first = {entry.part.name: (entry.first, entry.rows) for entry in numbered}
    out = str(folder / "deduplicate")
    execution.map_parts(MergePart(inputs, results, first), tables.parts, out)
    verdicts = {
        row["id"]: row
        for part in tables.parts
        for row in pq.read_table(f"{out}/verdicts/{part.name}.parquet").to_pylist()
    }
    return Run(folder, tables, verdicts, settings)


def index(finished: Run, name: str = "older") -> OlderCorpus:
    """Leaves the band index of a run, and opens it as a later run does."""
    fates = Fates({"deduplicate": str(finished.folder / "deduplicate")}, ())
    near, parts = finished.settings.near, finished.tables.parts
    place = str(finished.folder / name)
    Execution().map_parts(IndexPart(finished.tables.inputs, fates, (), near), parts, place)
    _, files, _ = outcome_of_parts("index_corpus", place, parts)
    describe_index(place, near, files)
    (corpus,) = open_older(str(finished.folder), [name])
    corpus.check(near)
    return corpus


def halves(documents: Sequence[Document]) -> tuple[list[Document], list[Document]]:
    """An older and a newer part; captures of the older one are later, as it counts before."""
    older = [d for d in documents if sum(d.id.encode()) % 3]
    newer = [d for d in documents if sum(d.id.encode()) % 3 == 0]
    return [replace(d, day=d.day and d.day + 10) for d in older], newer


def clear_crowd() -> list[Document]:
    """The crowd without texts whose similarity to others is near the limit."""
    distinct = [d for d in crowd() if d.id[0] not in "cdy"] + family("c", 3, 20, 0.004)
    texts = {document.text for document in distinct}
    return distinct + [d for d in crowd() if d.id[0] == "y" and d.text in texts]


def test_two_runs_keep_what_one_run_over_both_keeps(tmp_path: Path) -> None:
    older, newer = halves(clear_crowd())
    before = run(tmp_path / "older", divided(older, 2))
    after = run(tmp_path / "newer", divided(newer, 2), older=[index(before)])
    settings = Deduplicate(keep=["source_priority", "quality", "length", "id"])
    parts = {f"old.{n}": docs for n, docs in divided(older, 1).items()}
    parts |= {f"new.{n}": docs for n, docs in divided(newer, 1).items()}
    both = run(tmp_path / "both", parts, settings, sources=("old", "new"))
    stays = {name for name, row in both.verdicts.items() if row["kept"]}
    assert stays == {
        name for found in (before, after) for name, row in found.verdicts.items() if row["kept"]
    }
    assert len(after.merged) > 10
    assert {kind for kind, _ in after.merged.values()} >= {"older_exact", "older_near"}
    # Where one run merges into a document of the older half, so do two.
    for name, (_, survivor) in after.merged.items():
        assert both.survivors[name] == survivor or both.verdicts[survivor]["kept"]


def test_every_kind_is_found_and_named(tmp_path: Path) -> None:
    text, page = random_text(1, 800), random_text(2, 800)
    older = [
        Document("a", text),
        Document("b", page, "http://example.cn/b", 1),
        Document("c", random_text(3)),
        Document("dropped", random_text(4), kept=False),
    ]
    newer = [
        Document("copy", text),
        Document("near", edited(text, 0.005, 1)),
        Document("near2", edited(text, 0.005, 2)),
        Document("capture", random_text(5), "https://example.cn/b#x", 2),
        Document("row", random_text(6), "https://example.cn/b"),
        Document("dropped2", older[3].text),
        Document("gone", text, kept=False),
        Document("empty", ""),
    ]
    corpus = index(run(tmp_path / "older", {"web.a": [*older, Document("empty0", "")]}))
    found = run(tmp_path / "newer", {"web.a": newer}, older=[corpus])
    assert found.merged == {
        "copy": ("older_exact", "a"),
        "near": ("older_near", "a"),
        "near2": ("older_near", "a"),
        "capture": ("older_url", "b"),
    }
    assert {row["older_run"] for row in found.verdicts.values()} == {"", "older"}
    assert found.verdicts["copy"]["similarity"] == 1
    assert found.verdicts["capture"]["similarity"] is None
    expected = similarity(text, newer[1].text)
    assert found.verdicts["near"]["similarity"] == pytest.approx(expected, abs=0.06)
    assert all(found.verdicts[name]["kept"] for name in ("row", "dropped2", "empty"))
    assert found.verdicts["copy"]["cluster_size"] == 0
    assert not found.verdicts["gone"]["kept"]
    assert found.verdicts["gone"]["kind"] == ""


def test_books_of_a_run_against_an_older_one_close(tmp_path: Path) -> None:
    older, newer = halves(crowd())
    corpus = index(run(tmp_path / "older", divided(older, 1)))
    found = run(tmp_path / "newer", divided(newer, 2), older=[corpus])
    merged: dict[str, int] = {}
    for part in found.tables.parts:
        record = read_part_record(str(tmp_path / "newer" / "deduplicate"), "parts", part)
        books = Books.from_json(record["books"])
        books.check(part.name)
        for kind, count in books.outcomes["merged"].items():
            merged[kind] = merged.get(kind, 0) + count.documents
    for kind in ("older_exact", "older_near"):
        assert merged[kind] == [of for of, _ in found.merged.values()].count(kind) > 0


def test_a_chain_that_begins_in_the_older_corpus(tmp_path: Path) -> None:
    """What is like the older document goes; what is only like a document that went stays."""
    first = random_text(1, 1000)
    second = first[80:] + random_text(2, 80)
    third = second[80:] + random_text(3, 80)
    assert similarity(first, second) > 0.84
    assert similarity(second, third) > 0.84
    assert similarity(first, third) < 0.74
    corpus = index(run(tmp_path / "older", {"web.a": [Document("o", first)]}))
    newer = [Document("n2", second), Document("n3", third)]
    found = run(tmp_path / "newer", {"web.a": newer}, older=[corpus])
    assert found.survivors == {"n2": "o", "n3": "n3"}
    # Without the older corpus the two of them are one.
    assert len(set(run(tmp_path / "alone", {"web.a": newer}).survivors.values())) == 1


def test_what_an_older_run_merged_is_known_by_its_hash_and_address(tmp_path: Path) -> None:
    text = random_text(1, 1000)
    version = edited(text, 0.01, 1)
    older = [
        Document("a", text, quality=0.9),
        Document("b", version, "http://example.cn/b", 1, quality=0.1),
    ]
    before = run(tmp_path / "older", {"web.a": older})
    assert before.survivors == {"a": "a", "b": "a"}
    newer = [
        Document("x", version),
        Document("y", random_text(2), "http://example.cn/b", 2),
    ]
    settings = Deduplicate.model_validate({"near": {"enabled": False}})
    found = run(tmp_path / "newer", {"web.a": newer}, settings, older=[index(before)])
    assert found.merged == {"x": ("older_exact", "a"), "y": ("older_url", "a")}


def test_switches_of_the_recipe_count_for_older_corpora_too(tmp_path: Path) -> None:
    text = random_text(1, 800)
    older = [Document("a", text), Document("b", random_text(2), "http://example.cn/b", 1)]
    corpus = index(run(tmp_path / "older", {"web.a": older}))
    newer = [
        Document("copy", text),
        Document("near", edited(text, 0.005, 1)),
        Document("capture", random_text(5), "http://example.cn/b", 2),
    ]
    for number, (settings, merged) in enumerate(
        [
            ({"url": "off"}, {"copy": "older_exact", "near": "older_near"}),
            ({"exact": False}, {"copy": "older_near", "near": "older_near"}),
            ({"near": {"verify": "off"}}, {"copy": "older_exact", "near": "older_near"}),
            ({"near": {"enabled": False}}, {"copy": "older_exact"}),
            ({"near": {"similarity": 0.99}}, {"copy": "older_exact"}),
        ]
    ):
        chosen = Deduplicate.model_validate(settings)
        found = run(tmp_path / str(number), {"web.a": newer}, chosen, older=[corpus])
        expected = merged if settings.get("url") == "off" else {**merged, "capture": "older_url"}
        assert {name: kind for name, (kind, _) in found.merged.items()} == expected


def test_the_first_of_several_older_runs_counts(tmp_path: Path) -> None:
    text = random_text(1, 800)
    first = index(run(tmp_path / "1", {"web.a": [Document("a", text)]}), "first")
    near = edited(text, 0.004, 1)
    second = index(run(tmp_path / "2", {"web.a": [Document("b", text), Document("c", near)]}))
    newer = [Document("x", text), Document("y", near)]
    for number, (older, expected) in enumerate(
        [([first, second], {"x": "a", "y": "c"}), ([second, first], {"x": "b", "y": "b"})]
    ):
        found = run(tmp_path / f"newer{number}", {"web.a": newer}, older=older)
        merged = {name: into for name, (_, into) in found.merged.items()}
        # In the second run c itself was merged into b, and is known by the hash of its text.
        assert merged == ({"x": "a", "y": "b"} if expected["y"] == "c" else expected)


@pytest.mark.parametrize("memory", [1 << 16, 1 << 30])
def test_memory_workers_and_files_do_not_matter(tmp_path: Path, memory: int) -> None:
    newer, older = halves(crowd())
    corpus = index(run(tmp_path / "older", divided(older, 3)))
    expected = run(tmp_path / "expected", divided(newer, 1), older=[corpus])
    settings = Deduplicate.model_validate({"memory": memory})
    execution = Execution(workers=2)
    try:
        found = run(tmp_path / "newer", divided(newer, 3), settings, [corpus], execution)
    finally:
        execution.close()
    assert found.verdicts == expected.verdicts
    units = list((tmp_path / "newer" / "work" / "older").glob("*.json"))
    assert len(units) > 1 or memory > 1 << 16
    again = run(tmp_path / "again", divided(newer, 3), SETTINGS, [corpus])
    tables = sorted((tmp_path / "newer/deduplicate").rglob("*.parquet"))
    for path in tables:
        same = tmp_path / "again" / path.relative_to(tmp_path / "newer")
        assert path.read_bytes() == same.read_bytes()
    assert again.verdicts == expected.verdicts


def test_an_index_is_the_same_bytes_for_any_number_of_files_read(tmp_path: Path) -> None:
    older, _ = halves(crowd())
    one, other = (run(tmp_path / name, divided(older, 3)) for name in ("one", "other"))
    assert index(one).digest == index(other).digest


def test_an_index_that_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    finished = run(tmp_path / "run", {"web.a": [Document("a", random_text(1))]})
    corpus = index(finished)
    near = Deduplicate.model_validate({"near": {"rows": 4, "seed": 2}}).near
    message = (
        r"older: its band index was made with rows 8, seed 1 and this recipe has rows 4, seed 2; "
        r".* --set deduplicate\.near\.rows=4 --set deduplicate\.near\.seed=2"
    )
    with pytest.raises(UserError, match=message):
        corpus.check(near)
    # Where nothing is compared by bands, how they were made does not matter.
    corpus.check(near.model_copy(update={"enabled": False}))
    with pytest.raises(UserError, match="folds or hashes texts differently"):
        replace(corpus, description={**corpus.description, "folding": "0"}).check_folding()
    with pytest.raises(UserError, match="another release"):
        replace(corpus, description={**corpus.description, "format": 2}).check(SETTINGS.near)
    (finished.folder / "older" / "band_index" / "web.a.parquet").unlink()
    with pytest.raises(UserError, match=r"is not whole: .*web\.a\.parquet is missing"):
        corpus.check(SETTINGS.near)


def test_older_runs_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name, message in [("nowhere", "no such folder"), ("empty", "holds no run")]:
        with pytest.raises(UserError, match=f"deduplicate.against: {name}: {message}"):
            open_older(str(tmp_path), [name])
    with pytest.raises(UserError, match="is the directory of this run itself"):
        check_not_itself(str(tmp_path), ["empty/../here"], str(tmp_path / "here"))
    check_not_itself(str(tmp_path), ["there"], str(tmp_path / "here"))


def test_an_index_is_all_that_is_read(tmp_path: Path) -> None:
    text = random_text(1)
    before = run(tmp_path / "older", {"web.a": [Document("a", text)]})
    index(before)
    shutil.copytree(tmp_path / "older/older/band_index", tmp_path / "alone/band_index")
    shutil.rmtree(tmp_path / "older")
    (corpus,) = open_older(str(tmp_path), ["alone"])
    found = run(tmp_path / "newer", {"web.a": [Document("b", text)]}, older=[corpus])
    assert found.merged == {"b": ("older_exact", "a")}


def test_many_older_pages_of_one_template(tmp_path: Path) -> None:
    """Many older pages share bands with every new one; only true look-alikes are merged."""
    template = random_text(1, 1200)

    def page(number: int) -> str:
        return template[:600] + random_text(10 + number, 330) + template[600:]

    older = [Document(f"o{number:03d}", page(number)) for number in range(120)]
    newer = [Document(f"n{number:03d}", page(number + 60) + "新") for number in range(120)]
    corpus = index(run(tmp_path / "older", {"web.a": older}))
    found = run(tmp_path / "newer", {"web.a": newer}, older=[corpus])
    assert found.merged == {
        f"n{number:03d}": ("older_near", f"o{number + 60:03d}") for number in range(60)
    }
