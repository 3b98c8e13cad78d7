"""The stage classify: given and trained models, closed books, the same bytes however it is run."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from crawl.build import Crawl

from filters.classifier_settings import FastTextSettings
from filters.classifier_training import Example, TrainedClassifier, train_classifier
from pangu_settings import SettingsError, UserError, validate
from pipeline import storage
from pipeline.classifier_files import find_classifier, write_classifier
from pipeline.documents import document_id
from pipeline.execution import Execution
from pipeline.ledger import Books
from pipeline.parts import Part
from pipeline.recipe import Recipe
from pipeline.run_directory import MANIFEST
from pipeline.stage import Outcome, StageRun
from pipeline.stages import classify
from pipeline.stages.classify import divide_examples, share_to_sample
from pipeline.tables import TableWriter, read_table, table_path
from runs import FinishedRun, run_recipe, write_recipe

ALPHABETS = {
    "news": "研究表明这种方法能够提高模型的质量，历史学家认为城市的发展与河流有关。",
    "books": "从前有一座山，山里有一座庙，庙里的老和尚给小和尚讲故事。",
    "crawl": "加微信领取优惠券，点击下载观看，代开发票手续费低，免费送手机！",
}
SCHEMA = pa.schema([pa.field("id", pa.string()), pa.field("text", pa.string())])
SMALL = {"buckets": 1024, "dimension": 4, "minimum_count": 1}


def texts_of(source: str, count: int = 120) -> list[str]:
    random_ = random.Random(source)
    return [
        "".join(random_.choices(ALPHABETS[source], k=random_.randint(10, 50)))
        for _ in range(count - 1)
    ] + [""]


@pytest.fixture
def cleaned(tmp_path: Path) -> tuple[str, list[Part]]:
    """What the stage clean leaves: documents of three sources, of which crawl has two parts."""
    folder = str(tmp_path / "clean")
    parts, books = [], {}
    for source in ALPHABETS:
        texts = texts_of(source)
        books[source] = Books()
        for books_of in (books[source].came_in, books[source].kept):
            books_of.add(len(texts), sum(map(len, texts)), sum(len(t.encode()) for t in texts))
        halves = [texts[:50], texts[50:]] if source == "crawl" else [texts]
        for index, half in enumerate(halves):
            part = Part(f"{source}-{index}", source, f"{source}{index}.txt", "", 1)
            ids = [document_id(source, part.file, offset) for offset in range(len(half))]
            with TableWriter(table_path(folder, "documents", part.name), SCHEMA) as writer:
                writer.write(
                    pa.RecordBatch.from_arrays([pa.array(ids), pa.array(half)], schema=SCHEMA)
                )
            parts.append(part)
    content = {source: entry.to_json() for source, entry in books.items()}
    storage.write_json(storage.join(folder, MANIFEST), {"books": content})
    return folder, parts


def recipe_with(root: Path, classifiers: Mapping[str, Any]) -> Recipe:
    content = {
        "name": "small",
        "root": str(root),
        "sources": [{"name": name, "paths": ["*"]} for name in ALPHABETS],
        "classifiers": classifiers,
    }
    return validate(Recipe, content, "recipe.yaml")


def run_stage(
    cleaned: tuple[str, list[Part]], out: Path, recipe: Recipe, workers: int = 1
) -> Outcome:
    clean_folder, parts = cleaned
    execution = Execution(workers=workers)
    try:
        return classify.STAGE.run(
            StageRun(recipe, str(out), str(out / "c"), {"clean": clean_folder}, parts, execution)
        )
    finally:
        execution.close()


def scores(out: Path, parts: list[Part]) -> dict[str, list[dict[str, Any]]]:
    return {
        part.name: read_table(table_path(str(out / "c"), "scores", part.name)).to_pylist()
        for part in parts
    }


@pytest.fixture(scope="module")
def spam() -> TrainedClassifier:
    examples = [
        *(Example(text, True) for text in texts_of("crawl", 60)),
        *(Example(text, False) for text in texts_of("books", 60)),
    ]
    return train_classifier(examples, FastTextSettings(**SMALL), 0)


def test_a_trained_model_scores_every_document_in_its_row(
    cleaned: tuple[str, list[Part]], tmp_path: Path
) -> None:
    settings = {"train": {"positives": ["news", "books"], "documents": 150, **SMALL}}
    recipe = recipe_with(tmp_path, {"quality": settings})
    outcome = run_stage(cleaned, tmp_path / "run", recipe)
    for part in cleaned[1]:
        rows = read_table(table_path(str(tmp_path / "run/c"), "scores", part.name))
        documents = read_table(table_path(cleaned[0], "documents", part.name))
        assert rows.column_names == ["id", "quality_score"]
        assert rows.schema.field("quality_score").type == pa.float32()
        assert rows.column("id").equals(documents.column("id"))
        texts = documents.column("text").to_pylist()
        for score, text in zip(rows.column("quality_score").to_pylist(), texts, strict=True):
            if text:
                assert (score > 0.5) == (part.source != "crawl")
    assert outcome.books.keys() == ALPHABETS.keys()
    for source, books in outcome.books.items():
        assert books.came_in.to_json() == books.kept.to_json()
        assert books.kept.documents == 120
        assert books.kept.characters == sum(map(len, texts_of(source)))
        assert books.kept.bytes == sum(len(text.encode()) for text in texts_of(source))
    facts = outcome.facts["classifiers"]["quality"]
    assert facts["negatives"] == ["crawl"]
    counts = [*facts["documents"]["trained"].values(), *facts["documents"]["held_out"].values()]
    assert sum(counts) == 150
    assert facts["held_out"]["thresholds"]


def test_workers_and_interruptions_do_not_change_a_byte(
    cleaned: tuple[str, list[Part]], tmp_path: Path, spam: TrainedClassifier
) -> None:
    write_classifier(str(tmp_path / "spam.bin"), spam, {})
    recipe = recipe_with(
        tmp_path,
        {"quality": {"train": {"positives": ["news"], **SMALL}}, "spam": {"model": "spam.bin"}},
    )

    def digests(out: Path) -> dict[str, str]:
        files = sorted(path for path in out.rglob("*") if path.is_file())
        return {
            str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in files
        }

    run_stage(cleaned, tmp_path / "one", recipe)
    run_stage(cleaned, tmp_path / "two", recipe, workers=2)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    # As a kill would leave it: one part is done, the model of one classifier is there or is not.
    for victims in (["parts/crawl-1.json"], ["parts/news-0.json", "models/quality.bin.json"]):
        for victim in victims:
            (tmp_path / "two/c" / victim).unlink()
        run_stage(cleaned, tmp_path / "two", recipe)
        assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_without_classifiers_no_document_is_read(
    cleaned: tuple[str, list[Part]], tmp_path: Path
) -> None:
    for path in Path(cleaned[0]).rglob("*.parquet"):
        path.unlink()
    outcome = run_stage(cleaned, tmp_path / "run", recipe_with(tmp_path, {}))
    assert outcome.books == {}
    assert [file.path for file in outcome.files] == ["classifiers.json"]


def test_settings_hold_what_a_model_is_not_where(tmp_path: Path, spam: TrainedClassifier) -> None:
    write_classifier(str(tmp_path / "a.bin"), spam, {})
    write_classifier(str(tmp_path / "b.bin"), spam, {"sources": "others"})
    settings = [
        classify.STAGE.settings(recipe_with(tmp_path, {"spam": {"model": name}}))
        for name in ("a.bin", "b.bin")
    ]
    assert settings[0] == settings[1]
    assert settings[0]["spam"]["features"] == "characters"


def test_a_model_without_its_facts_needs_its_features(
    tmp_path: Path, spam: TrainedClassifier
) -> None:
    path = str(tmp_path / "spam.bin")
    write_classifier(path, spam, {})
    assert find_classifier(path).features == "characters"
    (tmp_path / "spam.bin.json").unlink()
    with pytest.raises(UserError, match=r"spam\.bin: say what it was trained on"):
        find_classifier(path)
    assert find_classifier(path, "words").features == "words"
    with pytest.raises(UserError, match="did you mean '__label__positive'"):
        find_classifier(path, "words", "__label__positiv")


def test_facts_of_another_model_are_refused(tmp_path: Path, spam: TrainedClassifier) -> None:
    path = str(tmp_path / "spam.bin")
    write_classifier(path, spam, {"sha256": "0" * 64})
    with pytest.raises(UserError, match="describes another model"):
        find_classifier(path)


def test_a_model_exchanged_during_the_run_is_refused(
    tmp_path: Path, spam: TrainedClassifier
) -> None:
    path = str(tmp_path / "spam.bin")
    write_classifier(path, spam, {})
    found = find_classifier(path)
    (tmp_path / "spam.bin").write_bytes(spam.content + b"\0")
    with pytest.raises(UserError, match="has changed since the run began"):
        found.load()


def test_a_missing_model_is_named_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"classifiers\.spam\.model: .*missing\.bin: no such file"):
        classify.STAGE.settings(recipe_with(tmp_path, {"spam": {"model": "missing.bin"}}))


@pytest.mark.parametrize(
    ("train", "problem"),
    [
        ({"positives": ["new"]}, r"quality\.train\.positives: .*did you mean 'news'"),
        ({"positives": ["news"], "negatives": ["crawls"]}, "did you mean 'crawl'"),
        ({"positives": ["news"], "negatives": ["news", "crawl"]}, "'news' is among the positives"),
        ({"positives": list(ALPHABETS)}, "nothing to tell"),
    ],
)
def test_sources_to_learn_from_must_be_there(
    tmp_path: Path, train: dict[str, Any], problem: str
) -> None:
    with pytest.raises(SettingsError, match=problem):
        recipe_with(tmp_path, {"quality": {"train": train}})


def test_sources_without_documents_are_named(
    cleaned: tuple[str, list[Part]], tmp_path: Path
) -> None:
    folder, parts = cleaned
    recipe = recipe_with(tmp_path, {"quality": {"train": {"positives": ["news"], **SMALL}}})
    with pytest.raises(
        UserError, match=r"classifiers\.quality\.train: no document .* came from news"
    ):
        run_stage((folder, [part for part in parts if part.source != "news"]), tmp_path, recipe)


def test_shares_that_are_sampled() -> None:
    assert share_to_sample(100, 0) == 1
    assert share_to_sample(100, 120) == 1
    assert share_to_sample(10_000, 1_000_000) == pytest.approx(0.0106)


@pytest.mark.parametrize(
    ("there", "documents", "share", "expected"),
    [
        ((500, 500), 100, 0.5, (50, 50)),
        ((10, 500), 100, 0.5, (10, 10)),
        ((500, 10), 100, 0.5, (10, 10)),
        ((500, 500), 100, 0.8, (20, 80)),
        ((10, 500), 1000, 0.8, (10, 40)),
        ((1, 500), 1000, 0.01, (1, 1)),
        ((500, 1), 1000, 0.99, (1, 1)),
    ],
)
def test_kinds_are_divided_by_the_share_of_negatives(
    there: tuple[int, int], documents: int, share: float, expected: tuple[int, int]
) -> None:
    assert divide_examples(*there, documents, share) == expected


def scores_of_kept(run: Path) -> dict[str, float]:
    """The score of each document that no rule drops, by its id."""
    found = {}
    for path in sorted(run.glob("stages/classify-*/scores/*.parquet")):
        scored = read_table(str(path))
        (verdicts,) = run.glob(f"stages/decide-*/verdicts/{path.name}")
        kept = read_table(str(verdicts)).column("kept").to_pylist()
        rows = zip(scored.to_pylist(), kept, strict=True)
        found |= {row["id"]: row["quality_score"] for row, is_kept in rows if is_kept}
    return found


@pytest.mark.slow
def test_a_rule_judges_scores_in_a_whole_run(crawl: Crawl, tmp_path: Path) -> None:
    training = {"positives": ["encyclopedia"], "epochs": 300, **SMALL}
    recipe = write_recipe(tmp_path, crawl, classifiers={"quality": {"train": training}})
    run_recipe(recipe, tmp_path / "run")
    scores = scores_of_kept(tmp_path / "run")
    lowest = sorted(set(scores.values()))
    limit = (lowest[2] + lowest[3]) / 2
    below = {document for document, score in scores.items() if score < limit}
    assert below
    assert len(below) < len(scores) / 2

    # A limit leaves the model and the scores as they are.
    rule = {"low_quality": {"signal": "quality_score", "min": limit}}
    recipe = write_recipe(tmp_path, crawl, classifiers={"quality": {"train": training}}, rules=rule)
    assert run_recipe(recipe, tmp_path / "run")[0] == "decide"
    run = FinishedRun(tmp_path / "run", recipe)
    dropped = [row for row in run.rows("dropped") if row["rule"] == "low_quality"]
    # The documents of `stories` are judged by one rule only, which is another.
    assert {row["id"] for row in dropped} == below - ids_of(run, "stories")
    assert all(row["value"].startswith("quality_score") for row in dropped)
    facts = json.loads((run.path / "classifiers/quality.bin.json").read_text(encoding="utf-8"))
    assert facts["positives"] == ["encyclopedia"]

    # The model of one run serves another by its path.
    model = str(run.path / "classifiers/quality.bin")
    given = write_recipe(tmp_path, crawl, classifiers={"quality": {"model": model}}, rules=rule)
    run_recipe(given, tmp_path / "other")
    assert FinishedRun(tmp_path / "other", given).rows("corpus") == run.rows("corpus")


def ids_of(run: FinishedRun, source: str) -> set[str]:
    return {row["id"] for row in run.rows("corpus") if row["source"] == source}
