"""The steps of deduplication together: what is merged, in any order, on any memory and runner."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from document_tables import Document, Tables, write_tables

from filters.duplicate_settings import Deduplicate
from filters.minhash import MinHash
from pangu_settings import UserError
from pipeline.execution import Execution
from pipeline.parts import PartOutput
from pipeline.stages import deduplicate
from pipeline.stages.deduplicate import MergePart

Results = dict[str, dict[str, Any]]
SETTINGS = Deduplicate()
MINHASH = MinHash(5, 16, 8, 1)


def random_text(seed: int, characters: int = 400) -> str:
    points = np.random.default_rng(seed).integers(0x4E00, 0x9000, characters)
    return "".join(map(chr, points))


def edited(text: str, share: float, seed: int) -> str:
    """The text with a share of its characters replaced."""
    rng = np.random.default_rng(seed)
    letters = list(text)
    for place in rng.choice(len(letters), round(len(letters) * share), replace=False):
        letters[place] = chr(rng.integers(0x4E00, 0x9000))
    return "".join(letters)


def similarity(first: str, second: str) -> float:
    one, other = (set(MINHASH.shingle_hashes(text)) for text in (first, second))
    return len(one & other) / max(1, len(one | other))


def family(name: str, seed: int, size: int, share: float = 0.01) -> list[Document]:
    """A text and edits of it."""
    text = random_text(seed)
    texts = [text, *(edited(text, share, 1000 * seed + number) for number in range(1, size))]
    return [Document(f"{name}{number:03d}", text) for number, text in enumerate(texts)]


def results(
    tmp_path: Path, documents: Sequence[Document], settings: Deduplicate = SETTINGS
) -> Results:
    tables = write_tables(tmp_path / "tables", {"web.a": documents}, settings)
    return tables.results(settings, tmp_path / "work")


def survivors(found: Results, documents: Sequence[Document]) -> dict[str, str]:
    return {d.id: found[d.id]["survivor"] if d.id in found else d.id for d in documents}


def crowd() -> list[Document]:
    """Families of several sizes (large buckets too), copies, captures, short and unique texts."""
    documents = [
        *family("a", 1, 2),
        *family("b", 2, 5, 0.005),
        *family("c", 3, 40, 0.01),
        *family("d", 4, 12, 0.03),
        *(Document(f"u{number:03d}", random_text(100 + number)) for number in range(30)),
        *(Document(f"s{number:03d}", "短" * (number % 5)) for number in range(10)),
        Document("w000", random_text(7), "http://example.cn/a", 1),
        Document("w001", random_text(8), "https://example.cn/a#x", 2),
        Document("w002", edited(random_text(8), 0.01, 5), "https://example.cn/b", 1, quality=0.9),
        Document("z000", random_text(9), kept=False),
        Document("z001", random_text(9)),
    ]
    copies = [Document(f"y{number:03d}", documents[3 * number].text) for number in range(20)]
    rng = np.random.default_rng(0)
    return [
        Document(d.id, d.text, d.url, d.day, round(float(rng.random()), 2), d.kept)
        for d in [*documents, *copies]
    ]


def divided(documents: Sequence[Document], parts: int) -> dict[str, list[Document]]:
    cut: dict[str, list[Document]] = {f"web.{number}": [] for number in range(parts)}
    for document in documents:
        cut[f"web.{sum(document.id.encode()) % parts}"].append(document)
    return cut


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The results of the crowd in one file, by one worker, in much memory."""
    return results(tmp_path_factory.mktemp("expected"), crowd())


def test_near_duplicates_and_copies_are_found(tmp_path: Path) -> None:
    documents = crowd()
    found = survivors(results(tmp_path, documents), documents)
    merged = {name for name, survivor in found.items() if name != survivor}
    texts = {document.id: document.text for document in documents}
    kinds_of_family = {survivor[0] for name, survivor in found.items() if name[0] == "c"}
    assert kinds_of_family <= {"c", "y"}
    assert len([name for name in merged if name[0] in "abc"]) >= 2 + 5 + 40 - 3 - 3
    assert found["w000"] == found["w001"] == found["w002"]
    assert "z000" not in merged
    assert found["z001"] == "z001"
    # Equal short texts are copies; empty ones are not.
    short = {name for name in merged if name[0] in "us"}
    assert len(short) == 4
    assert all(texts[name] == texts[found[name]] != "" for name in short)
    for name in merged:
        if name != "w000":
            assert similarity(texts[name], texts[found[name]]) >= 0.8 or len(texts[name]) < 5


def test_nothing_that_stays_has_a_look_alike_that_stays(tmp_path: Path) -> None:
    documents = [*family("c", 3, 30, 0.005), *family("d", 4, 12, 0.01)]
    found = survivors(results(tmp_path, documents), documents)
    texts = {document.id: document.text for document in documents}
    stays = sorted(set(found.values()))
    similar = [
        (a, b)
        for a in stays
        for b in stays
        if a < b and similarity(texts[a], texts[b]) >= SETTINGS.near.similarity
    ]
    assert similar == []


@pytest.mark.parametrize(("parts", "reverse"), [(1, False), (3, True), (7, False)])
def test_order_and_number_of_files_do_not_matter(
    tmp_path: Path, expected: Results, parts: int, reverse: bool
) -> None:
    documents = crowd()
    tables = write_tables(tmp_path / "tables", divided(documents, parts), SETTINGS)
    order = tuple(reversed(tables.parts)) if reverse else tables.parts
    found = Tables(tables.folder, order).results(SETTINGS, tmp_path / "work")
    assert found == expected


@pytest.mark.parametrize("memory", [1 << 16, pytest.param(1 << 18, marks=pytest.mark.slow)])
def test_memory_does_not_matter(tmp_path: Path, expected: Results, memory: int) -> None:
    documents = crowd()
    settings = Deduplicate.model_validate({"memory": memory})
    tables = write_tables(tmp_path / "tables", divided(documents, 3), settings)
    assert tables.results(settings, tmp_path / "work") == expected
    # The small budget was not simply enough.
    blocks = list((tmp_path / "work" / "blocks").glob("*.json"))
    assert len(blocks) > (1 if memory == 1 << 16 else 0)


def test_shuffle_of_an_engine_finds_the_same(tmp_path: Path, expected: Results) -> None:
    documents = crowd()
    tables = write_tables(tmp_path / "tables", divided(documents, 3), SETTINGS)
    # The same local runner under another name takes the way of an engine.
    engine = Execution(runner="apache_beam.runners.portability.fn_api_runner.FnApiRunner")
    assert tables.results(SETTINGS, tmp_path / "work", engine) == expected


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 8])
def test_number_of_workers_does_not_matter(tmp_path: Path, expected: Results, workers: int) -> None:
    documents = crowd()
    tables = write_tables(tmp_path / "tables", divided(documents, 5), SETTINGS)
    execution = Execution(workers=workers)
    try:
        assert tables.results(SETTINGS, tmp_path / "work", execution) == expected
    finally:
        execution.close()


def test_a_copy_changes_nothing_else(tmp_path: Path, expected: Results) -> None:
    documents = crowd()
    before = expected
    for number in (3, 60):
        copy = documents[number]
        # The smallest ordinal, but not the best: quality decides first.
        added = Document("0000", copy.text, quality=-1.0)
        after = results(tmp_path / f"after{number}", [added, *documents])
        new = after.pop("0000")
        assert new["survivor"] == before.get(copy.id, {"survivor": copy.id})["survivor"]
        for name, row in before.items():
            same_cluster = row["survivor"] == new["survivor"]
            grown = {**row, "cluster_size": row["cluster_size"] + same_cluster}
            assert after[name] == grown


def test_traditional_and_full_width_copies_are_found(tmp_path: Path) -> None:
    simplified = "汉语的书写系统经历了长期的发展变化，ＡＢＣ与１２３也一样。" * 3
    traditional = "漢語的書寫系統經歷了長期的發展變化,abc與123也一樣." * 3
    documents = [Document("a", simplified), Document("b", traditional)]
    found = results(tmp_path, documents)
    assert survivors(found, documents) == {"a": "a", "b": "a"}
    assert found["b"]["kind"] == "near"
    assert found["b"]["similarity"] == 1


def test_pages_that_share_a_template_are_not_merged(tmp_path: Path) -> None:
    template = random_text(1, 1200)
    pages = [
        Document(f"p{number:02d}", template[:600] + random_text(10 + number, 350) + template[600:])
        for number in range(40)
    ]
    assert similarity(pages[0].text, pages[1].text) > 0.6
    assert set(survivors(results(tmp_path, pages), pages)) == {page.id for page in pages}
    assert all(row["kind"] == "" for row in results(tmp_path / "again", pages).values())


@pytest.mark.parametrize("verify", ["exact", "signature", "off"])
def test_ways_of_verifying(tmp_path: Path, verify: str) -> None:
    settings = Deduplicate.model_validate({"near": {"verify": verify}})
    documents = [*family("a", 1, 12), *(Document(f"u{n}", random_text(50 + n)) for n in range(5))]
    found = results(tmp_path, documents, settings)
    assert set(found) == {f"a{number:03d}" for number in range(12)}
    assert {row["survivor"] for row in found.values()} == {"a000"}
    merged = [row["similarity"] for name, row in found.items() if name != "a000"]
    texts = {document.id: document.text for document in documents}
    expected = [similarity(texts["a000"], texts[name]) for name in sorted(found) if name != "a000"]
    if verify == "exact":
        assert merged == pytest.approx(expected, abs=1e-6)
    elif verify == "signature":
        assert merged == pytest.approx(expected, abs=0.15)
    else:
        assert merged == [None] * 11


def test_similarity_is_the_recipes(tmp_path: Path) -> None:
    text = random_text(1)
    documents = [Document("a", text), Document("b", edited(text, 0.03, 1))]
    value = similarity(documents[0].text, documents[1].text)
    assert 0.7 < value < 0.9
    for least, merged in ((value - 0.001, True), (value + 0.001, False)):
        settings = Deduplicate.model_validate({"near": {"similarity": least, "rows": 4}})
        found = results(tmp_path / str(least), documents, settings)
        assert (found["b"]["survivor"] == "a") == merged


def test_rows_without_a_capture_date_may_share_an_address(tmp_path: Path) -> None:
    book = "https://example.cn/book"
    chapters = [Document(f"c{number}", random_text(number), book) for number in range(5)]
    assert results(tmp_path, chapters) == {}


@pytest.mark.parametrize("texts", [[], [""], ["", "", ""], ["短", "短文"], ["。！？", "……"]])
def test_texts_too_short_to_compare_are_unique(tmp_path: Path, texts: list[str]) -> None:
    settings = Deduplicate(exact=False)
    documents = [Document(f"d{number}", text) for number, text in enumerate(texts)]
    assert results(tmp_path, documents, settings) == {}


def test_everything_off(tmp_path: Path) -> None:
    settings = Deduplicate.model_validate(
        {"exact": False, "url": "off", "near": {"enabled": False}}
    )
    assert results(tmp_path, crowd(), settings) == {}


def test_long_and_monotonous_texts(tmp_path: Path) -> None:
    long = random_text(1, 300_000)
    documents = [
        Document("a", long),
        Document("b", long[1:]),
        Document("c", "哈" * 300_000),
        Document("d", "哈" * 200_000),
        Document("e", "\0" * 1000),
    ]
    found = survivors(results(tmp_path, documents), documents)
    # One shingle, many times: the sets are equal.
    assert found == {"a": "a", "b": "a", "c": "c", "d": "c", "e": "e"}


def test_a_run_that_was_killed_goes_on_with_the_next_unit(
    tmp_path: Path, expected: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.duplicates.candidates.SMALL_INPUT", 0)
    tables = write_tables(tmp_path / "tables", divided(crowd(), 2), SETTINGS)
    commit = PartOutput.__exit__
    left = 5

    def killed(self: PartOutput, *error: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            commit(self, KeyboardInterrupt, KeyboardInterrupt(), None)
            raise KeyboardInterrupt
        commit(self, *error)

    monkeypatch.setattr(PartOutput, "__exit__", killed)
    with pytest.raises(KeyboardInterrupt):
        tables.results(SETTINGS, tmp_path / "work")
    monkeypatch.setattr(PartOutput, "__exit__", commit)
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("bands-*.json")}
    assert len(done) == 4
    assert tables.results(SETTINGS, tmp_path / "work") == expected
    assert {path: path.stat().st_mtime_ns for path in done} == done


def test_another_budget_starts_anew(tmp_path: Path, expected: Results) -> None:
    tables = write_tables(tmp_path / "tables", divided(crowd(), 2), SETTINGS)
    small = Deduplicate.model_validate({"memory": 1 << 16})
    assert tables.results(small, tmp_path / "work") == expected
    assert tables.results(SETTINGS, tmp_path / "work") == expected


def test_too_little_memory_for_one_component_is_answered(tmp_path: Path) -> None:
    settings = Deduplicate.model_validate({"memory": 1 << 16})
    documents = [Document(f"d{number:04d}", "同一篇文章的许多副本") for number in range(500)]
    with pytest.raises(UserError, match=r"deduplicate\.memory: 65,536 bytes .* 500 documents"):
        results(tmp_path, documents, settings)


def test_books_and_tables_of_a_part(tmp_path: Path) -> None:
    documents = crowd()
    tables = write_tables(tmp_path / "tables", {"web.a": documents}, SETTINGS)
    found = tables.results(SETTINGS, tmp_path / "work")
    transform = MergePart(
        tables.inputs, str(tmp_path / "work" / "results"), {"web.a": (0, len(documents))}
    )
    output = PartOutput(str(tmp_path / "out"), "parts", tables.parts[0])
    with output:
        transform.process(tables.parts[0], output)
    verdicts = deduplicate.read_table(str(tmp_path / "out/verdicts/web.a.parquet")).to_pylist()
    clusters = deduplicate.read_table(str(tmp_path / "out/clusters/web.a.parquet")).to_pylist()
    assert [row["id"] for row in verdicts] == [document.id for document in documents]
    for row in verdicts:
        result = found.get(row["id"])
        assert row["merged_into"] == (result["survivor"] if result and result["kind"] else "")
    merged = {kind: count.documents for kind, count in output.books.outcomes["merged"].items()}
    assert set(merged) == {"exact", "url", "near"}
    assert sum(merged.values()) == sum(bool(row["merged_into"]) for row in verdicts)
    assert output.books.kept.documents == sum(row["kept"] for row in verdicts)
    assert {row["id"] for row in clusters} == {
        row["id"] for row in verdicts if row["cluster_size"] > 1
    }
    assert sum(row["survivor"] for row in clusters) == len({r["cluster_id"] for r in clusters})
