"""The stage deduplicate_lines: the same cuts for any memory, order and runner, and a whole run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from crawl.build import Crawl

from filters.folding import fold_texts, folded_lines
from filters.kernels.text_batch import TextBatch
from filters.line_duplicate_settings import CorpusWide, DeduplicateLines, PerHost
from filters.line_duplicates import Page, lines_to_remove
from pipeline.cuts import cut, read_removals
from pipeline.duplicates.inputs import Inputs
from pipeline.execution import Execution
from pipeline.inspection.document_life import describe
from pipeline.line_duplicates.keys import LineReader
from pipeline.line_duplicates.summary import summary_of_groups
from pipeline.parts import Part
from pipeline.run_directory import RunDirectory
from pipeline.stages.deduplicate_lines import TOO_LITTLE_BESIDE, CutLines, find_line_duplicates
from pipeline.stages.measure import paragraph_columns
from runs import FinishedRun, digest_of_results, run_recipe, write_recipe

SETTINGS = DeduplicateLines(
    per_host=PerHost(enabled=True, min_documents=4, min_share=0.3),
    corpus_wide=CorpusWide(enabled=True, min_documents=2, min_characters=25),
    min_remaining_characters=20,
)
# The same local runner under another name takes the way of an engine.
ENGINE = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
LARGE = 1 << 30


@dataclass(frozen=True)
class Document:
    id: str
    host: str
    text: str
    kept: bool = True


def made_up_documents(count: int, seed: int) -> list[Document]:
    """Pages of a few sites: lines of their own, notices of the site, paragraphs of each other."""
    rng = np.random.default_rng(seed)

    def text(characters: int) -> str:
        return "".join(map(chr, rng.integers(0x4E00, 0x9000, characters)))

    notices = [text(14) for _ in range(3)]
    shared = [text(size) for size in rng.integers(12, 60, 12)]
    documents = []
    for number in range(count):
        site = int(rng.integers(4))
        lines = [text(size) for size in rng.integers(3, 40, rng.integers(4))]
        lines += [notices[site]] if site < 3 and rng.random() < 0.6 else []
        lines += [shared[place] for place in rng.integers(len(shared), size=rng.integers(3))]
        rng.shuffle(lines)
        # Site 3 has no address.
        host = f"site{site}.cn" if site < 3 else ""
        documents.append(Document(f"{number:04d}", host, "\n".join(lines), rng.random() < 0.9))
    return documents


@dataclass(frozen=True)
class Tables:
    """Tables of some parts as the stages before leave them, below one folder."""

    folder: Path
    parts: Sequence[Part]
    documents: Mapping[str, Sequence[Document]]

    def cuts(
        self, work: Path, memory: int = LARGE, execution: Execution | None = None
    ) -> dict[str, tuple[str, str]]:
        """Id -> what is left of its text, and why it was dropped if it was."""
        execution = execution or Execution()
        clean, merges = str(self.folder), str(self.folder / "merges")
        inputs = Inputs(clean, clean, clean, ())
        reader = LineReader(inputs, merges, str(work / "work"), SETTINGS.min_characters)
        numbered = tuple(inputs.number(self.parts))
        find_line_duplicates(execution, reader, numbered, SETTINGS, memory)
        transform = CutLines(reader, {n.part.name: n for n in numbered}, SETTINGS)
        execution.map_parts(transform, self.parts, str(work / "out"))
        found = {}
        for part in self.parts:
            documents = self.documents[part.name]
            kept = np.array([document.kept for document in documents], np.bool_)
            stage = {"deduplicate_lines": str(work / "out")}
            removals = read_removals(stage, ("deduplicate_lines",), part.name, kept)
            spans = removals.spans(0, len(documents))
            for row, document in enumerate(documents):
                if document.kept:
                    dropped = removals.dropped.get(row)
                    assert removals.kept[row] == (dropped is None)
                    assert not (dropped and row in spans)
                    left, _ = cut(document.text, spans.get(row, []))
                    found[document.id] = (left, dropped.rule if dropped else "")
        return found


def write_tables(folder: Path, parts: Mapping[str, Sequence[Document]]) -> Tables:
    for name, documents in parts.items():
        texts = pa.array([d.text for d in documents], pa.string())
        tables = {
            "documents": {
                "url": pa.array([d.host and f"http://{d.host}/{d.id}" for d in documents]),
                "text": texts,
            },
            "signals": paragraph_columns(fold_texts(TextBatch.from_arrow(texts))),
            "verdicts": {
                "id": pa.array([d.id for d in documents]),
                "characters": pa.array([len(d.text) for d in documents], pa.int64()),
                "text_bytes": pa.array([len(d.text.encode()) for d in documents], pa.int64()),
            },
            "merges/verdicts": {"kept": pa.array([d.kept for d in documents], pa.bool_())},
        }
        for table, columns in tables.items():
            path = folder / table / f"{name}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table(columns), path)
    made = [Part(name, "web", name, name, 0) for name in parts]
    return Tables(folder, made, parts)


DOCUMENTS = made_up_documents(120, 7)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    folder = tmp_path_factory.mktemp("tables")
    return write_tables(folder, {"a": DOCUMENTS[:50], "b": [], "c": DOCUMENTS[50:]})


@pytest.fixture(scope="module")
def expected(tables: Tables, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return tables.cuts(tmp_path_factory.mktemp("work"))


def test_lines_go_as_the_reference_says(expected: dict[str, tuple[str, str]]) -> None:
    kept = [document for document in DOCUMENTS if document.kept]
    pages = [Page(document.host, folded_lines(document.text)) for document in kept]
    removed = lines_to_remove(pages, SETTINGS)
    assert len(set(removed.values())) == 2
    for number, document in enumerate(kept):
        lines = document.text.split("\n")
        long = [place for place, line in enumerate(lines) if len(line) >= 10]
        gone = {long[place] for page, place in removed if page == number}
        left = "\n".join(line for place, line in enumerate(lines) if place not in gone)
        if gone and len(left) < SETTINGS.min_remaining_characters:
            assert expected[document.id] == (document.text, TOO_LITTLE_BESIDE)
        else:
            assert expected[document.id] == (left, "")
    assert TOO_LITTLE_BESIDE in {reason for _, reason in expected.values()}


@pytest.mark.parametrize("memory", [2_000, 20_000])
def test_any_memory_gives_the_same(
    tables: Tables, expected: dict[str, Any], tmp_path: Path, memory: int
) -> None:
    assert tables.cuts(tmp_path, memory) == expected
    assert len(list((tmp_path / "work" / "repeated").iterdir())) > 1


def test_an_engine_gives_the_same(
    tables: Tables, expected: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.line_duplicates.repeated.BLOCK_BYTES", 5_000)
    assert tables.cuts(tmp_path, execution=Execution(runner=ENGINE)) == expected
    assert len(list((tmp_path / "work" / "repeated").iterdir())) > 1


def test_any_order_of_files_gives_the_same(
    tables: Tables, expected: dict[str, Any], tmp_path: Path
) -> None:
    other = Tables(tables.folder, tables.parts[::-1], tables.documents)
    assert other.cuts(tmp_path) == expected


def test_what_is_done_is_not_done_again(
    tables: Tables, expected: dict[str, Any], tmp_path: Path
) -> None:
    tables.cuts(tmp_path, 20_000)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*.parquet")}
    lost = sorted((tmp_path / "work" / "removed").iterdir())[1]
    lost.unlink()
    assert tables.cuts(tmp_path, 20_000) == expected
    again = {path for path, time in files.items() if path.stat().st_mtime_ns != time}
    assert again == {lost, tmp_path / "work" / "host_sizes.parquet"}


def test_another_memory_starts_anew(
    tables: Tables, expected: dict[str, Any], tmp_path: Path
) -> None:
    tables.cuts(tmp_path, 2_000)
    assert tables.cuts(tmp_path, 20_000) == expected


def test_the_summary_does_not_depend_on_the_memory(tables: Tables, tmp_path: Path) -> None:
    def summary(memory: int) -> dict[str, Any]:
        folder = str(tables.folder)
        inputs = Inputs(folder, folder, folder, ())
        work = str(tmp_path / str(memory))
        reader = LineReader(inputs, f"{folder}/merges", work, SETTINGS.min_characters)
        numbered = tuple(inputs.number(tables.parts))
        groups = find_line_duplicates(Execution(), reader, numbered, SETTINGS, memory)
        return summary_of_groups(groups, inputs, numbered)

    found = summary(LARGE)
    assert found == summary(3_000)
    largest = found["site_line"]["largest"]
    assert [line["documents"] for line in largest] == sorted(
        (line["documents"] for line in largest), reverse=True
    )
    for line in largest:
        of_host = [d for d in DOCUMENTS if d.kept and d.host == line["host"]]
        holders = [d for d in of_host if line["line"] in d.text.split("\n")]
        assert len(holders) == line["documents"]
        assert len(holders) >= max(4, 0.3 * len(of_host))


def test_nothing_to_compare(tmp_path: Path) -> None:
    documents = [Document("1", "a.cn", "短\n短"), Document("2", "", "")]
    tables = write_tables(tmp_path / "tables", {"a": documents, "b": []})
    assert tables.cuts(tmp_path) == {"1": ("短\n短", ""), "2": ("", "")}


NOTICE = "本站所有文章均由读者投稿，转载请注明出处。"
STORY = "很久以前，山脚下住着一位老石匠，他每天清早上山采石，天黑才回家，几十年来从不间断。"


@pytest.fixture(scope="module")
def recipe_with_sites(tmp_path_factory: pytest.TempPathFactory, crawl: Crawl) -> Path:
    folder = tmp_path_factory.mktemp("sites")
    rng = np.random.default_rng(3)
    rows = []
    for number in range(12):
        # Few different characters: the vocabulary of the run is small.
        body = "".join(rng.choice(list(filter(str.isalnum, STORY + NOTICE)), 200))
        lines = [body, NOTICE] if number < 8 else [body, STORY]
        rows.append({"url": f"http://site.cn/{number}", "text": "\n".join(lines)})
    rows.append({"url": "http://list.cn/", "text": f"{STORY}\n别处没有的一行。"})
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (folder / "site.jsonl").write_text(text, encoding="utf-8")
    recipe = write_recipe(
        folder,
        crawl,
        deduplicate_lines={
            "per_host": {"enabled": True, "min_documents": 5, "min_share": 0.5},
            "corpus_wide": {"enabled": True, "min_documents": 2, "min_characters": 30},
            "min_remaining_characters": 30,
        },
    )
    content = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    source: dict[str, Any] = {"name": "site", "paths": [str(folder / "site.jsonl")], "rules": []}
    # Cleaning knows such a notice already.
    source["clean"] = False
    content["sources"].append(source)
    recipe.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return recipe


@pytest.fixture(scope="module")
def run_with_sites(
    recipe_with_sites: Path, tmp_path_factory: pytest.TempPathFactory
) -> FinishedRun:
    out = tmp_path_factory.mktemp("run") / "sites"
    run_recipe(recipe_with_sites, out)
    return FinishedRun(out, recipe_with_sites)


def texts(run: FinishedRun) -> dict[str, str]:
    return {row["url"]: row["text"] for row in run.rows("corpus")}


def test_the_corpus_has_no_site_line_and_each_paragraph_once(run_with_sites: FinishedRun) -> None:
    found = texts(run_with_sites)
    assert not any(NOTICE in text for text in found.values())
    assert [url for url, text in found.items() if STORY in text] == ["http://site.cn/8"]
    (dropped,) = (row for row in run_with_sites.rows("dropped") if row["source"] == "site")
    assert dropped["url"] == "http://list.cn/"
    assert (dropped["stage"], dropped["rule"]) == ("deduplicate_lines", TOO_LITTLE_BESIDE)
    assert dropped["limit"] == "30"


def test_the_books_close_and_say_what_was_removed(run_with_sites: FinishedRun) -> None:
    ledger = json.loads((run_with_sites.path / "ledger.json").read_text(encoding="utf-8"))
    stages = {entry["stage"]: entry["sources"]["site"] for entry in ledger["stages"]}
    lines = stages["deduplicate_lines"]
    assert (lines["in"]["documents"], lines["kept"]["documents"]) == (13, 12)
    removed = stages["mix"]["removed"]
    assert removed["site_line"]["characters"] == 8 * (len(NOTICE) + 1)
    assert removed["repeated_paragraph"]["characters"] == 3 * (len(STORY) + 1)


def test_report_data_card_and_inspect_show_the_lines(run_with_sites: FinishedRun) -> None:
    summary = json.loads((run_with_sites.path / "line_duplicates.json").read_text("utf-8"))
    (line,) = summary["rules"]["site_line"]["largest"]
    assert line == {"line": NOTICE, "documents": 8, "host": "site.cn"}
    assert summary["rules"]["site_line"]["lines"] == 8
    assert summary["cut_documents"] == 11
    report = (run_with_sites.path / "report" / "index.html").read_text("utf-8")
    assert NOTICE in report.partition('id="repeated-lines"')[2].partition("</section>")[0]
    card = (run_with_sites.path / "datacard.md").read_text("utf-8")
    assert f"site_line: 8 lines, {8 * len(NOTICE)} characters taken out" in card
    shown = "\n".join(describe(RunDirectory(str(run_with_sites.path)), "http://site.cn/0"))
    assert NOTICE in shown
    assert "site_line" in shown


@pytest.mark.slow
def test_workers_change_nothing(run_with_sites: FinishedRun, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run_recipe(run_with_sites.recipe, out, workers=2, overrides=("deduplicate.memory=70000",))
    # The recipe of the run names the memory, and is nothing that must be the same.
    assert digest_of_results(out) == digest_of_results(run_with_sites.path)
    name = "line_duplicates.json"
    assert (out / name).read_bytes() == (run_with_sites.path / name).read_bytes()


def test_switched_off_it_reads_and_writes_nothing(finished: FinishedRun) -> None:
    assert not (finished.path / "line_duplicates.json").exists()
    folder = Path(RunDirectory(str(finished.path)).current_folder("deduplicate_lines"))
    assert [path.name for path in folder.iterdir()] == ["manifest.json"]
    report = (finished.path / "report" / "index.html").read_text("utf-8")
    assert "Lines that documents share were not looked for." in report
