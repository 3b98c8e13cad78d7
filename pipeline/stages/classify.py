"""Stage *classify*: the scores of the recipe's classifiers for every document.

A model is given as a file, or trained here, after GPT-3 (its Appendix A) as PanGu-α §3.1.1 says:
documents of clean sources against a sample of the others. Rules judge scores like any signal.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from filters.classifier import MOST_CHARACTERS, Classifier
from filters.classifier_settings import TrainInRun, score_name
from filters.classifier_training import LIBRARY, Example, train_classifier
from filters.kernels.text_batch import TextBatch
from pangu_settings import UserError
from pipeline import storage
from pipeline.classifier_files import (
    FACTS_SUFFIX,
    ClassifierFile,
    find_classifier,
    write_classifier,
)
from pipeline.parts import Part, PartOutput
from pipeline.recipe import Recipe, resolve
from pipeline.run_directory import MANIFEST
from pipeline.stage import Outcome, Stage, StageRun, outcome_of_parts
from pipeline.tables import read_batches, table_path

NAME = "classify"
MODELS = "models"
SUMMARY = "classifiers.json"
_TRAINING = "training"
_ID_DIGITS = 12
SAMPLE = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
    ]
)


def scores_schema(classifiers: Mapping[str, Any]) -> pa.Schema:
    """The table `scores`: row n is the document of row n in `clean` and `measure`."""
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            *(pa.field(score_name(name), pa.float32(), nullable=False) for name in classifiers),
        ]
    )


@dataclass(frozen=True)
class ScorePart:
    """Scores one part's documents."""

    clean_folder: str
    files: Mapping[str, ClassifierFile]
    loaded: dict[str, Classifier] = field(default_factory=dict, compare=False)

    def setup(self) -> None:
        """Reads the models."""
        self.loaded.update({name: file.load() for name, file in self.files.items()})

    def process(self, part: Part, output: PartOutput) -> None:
        schema = scores_schema(self.files)
        output.open_table("scores", schema)
        path = table_path(self.clean_folder, "documents", part.name)
        for batch in read_batches(path, ["id", "text"]):
            column = batch.column("text")
            # What is not looked at is not decoded: a book would take four times its size.
            texts = TextBatch.from_arrow(pc.utf8_slice_codeunits(column, 0, MOST_CHARACTERS))
            scores = [self.loaded[name].score_batch(texts) for name in self.files]
            arrays = [batch.column("id"), *map(pa.array, scores)]
            output.write("scores", pa.RecordBatch.from_arrays(arrays, schema=schema), schema)
            characters = pc.sum(pc.utf8_length(column)).as_py() or 0
            size = pc.sum(pc.binary_length(column)).as_py() or 0
            for count in (output.books.came_in, output.books.kept):
                count.add(len(texts), characters, size)


@dataclass(frozen=True)
class SamplePart:
    """Copies the beginnings of a part's documents whose ids lie below its source's share."""

    clean_folder: str
    shares: Mapping[str, float]

    def setup(self) -> None:
        """Nothing to load."""

    def process(self, part: Part, output: PartOutput) -> None:
        output.open_table("sample", SAMPLE)
        # Ids are hexadecimal digests, so they are as even as a random choice, and the same always.
        limit = f"{math.ceil(self.shares[part.source] * 16**_ID_DIGITS):0{_ID_DIGITS}x}"
        path = table_path(self.clean_folder, "documents", part.name)
        for batch in read_batches(path, ["id", "text"]):
            ids = pc.utf8_slice_codeunits(batch.column("id"), 0, _ID_DIGITS)
            is_chosen = pc.less(ids, limit) if len(limit) == _ID_DIGITS else pa.scalar(True)
            has_text = pc.greater(pc.binary_length(batch.column("text")), 0)
            chosen = batch.filter(pc.and_(has_text, is_chosen))
            texts = pc.utf8_slice_codeunits(chosen.column("text"), 0, MOST_CHARACTERS)
            arrays = [chosen.column("id"), texts]
            output.write("sample", pa.RecordBatch.from_arrays(arrays, schema=SAMPLE), SAMPLE)


def share_to_sample(wanted: int, available: int) -> float:
    """The share of ids below which about `wanted` of `available` documents lie, rather more.

    How many there are varies by the root of that number; six times it is never missed.
    """
    return min(1.0, (wanted + 6 * math.sqrt(wanted)) / max(1, available))


def divide_examples(
    positives: int, negatives: int, documents: int, negatives_share: float
) -> tuple[int, int]:
    """How many documents of each kind to train on.

    Args:
      positives, negatives: how many there are.
      documents: most of both together.
      negatives_share: of all that are trained on; it holds also where there are fewer.

    Returns:
      (positives, negatives), at least one of each where there is one.
    """
    total = min(documents, positives / (1 - negatives_share), negatives / negatives_share)
    chosen_negatives = min(negatives, max(1, round(total * negatives_share)))
    return min(positives, max(1, round(total - chosen_negatives))), chosen_negatives


def _train(run: StageRun, name: str, settings: TrainInRun) -> None:
    """Trains the model of one classifier, unless an interrupted run has left it."""
    path = storage.join(run.folder, MODELS, f"{name}.bin")
    if storage.exists(path + FACTS_SUFFIX):  # written last
        return
    negatives = settings.negatives_among([source.name for source in run.recipe.sources])
    wanted = {
        True: math.ceil(settings.documents * (1 - settings.negatives_share)),
        False: math.ceil(settings.documents * settings.negatives_share),
    }
    sources = {True: settings.positives, False: negatives}
    documents = _documents_by_source(run.inputs["clean"])
    shares: dict[str, float] = {}
    for kind, names in sources.items():
        share = share_to_sample(wanted[kind], sum(documents.get(source, 0) for source in names))
        shares |= dict.fromkeys(names, share)
    folder = storage.join(run.folder, _TRAINING, name)
    parts = [part for part in run.parts if part.source in shares]
    run.execution.map_parts(SamplePart(run.inputs["clean"], shares), parts, folder)
    texts: dict[bool, list[tuple[str, str]]] = {
        kind: sorted(_sampled(folder, [part for part in parts if part.source in names]))
        for kind, names in sources.items()
    }
    for kind, names in sources.items():
        if not texts[kind]:
            raise UserError(
                f"classifiers.{name}.train: no document with text came from "
                f"{', '.join(names)}; {run.run_folder}/ledger.json counts what was read"
            )
    counts = divide_examples(
        len(texts[True]), len(texts[False]), settings.documents, settings.negatives_share
    )
    examples = [
        Example(text, kind)
        for kind, count in zip((True, False), counts, strict=True)
        for _, text in texts[kind][:count]
    ]
    try:
        trained = train_classifier(examples, settings, settings.held_out)
    except UserError as error:
        raise UserError(f"classifiers.{name}.train: {error}") from None
    facts = {"positives": settings.positives, "negatives": negatives}
    write_classifier(path, trained, facts)
    storage.delete(storage.join(run.folder, _TRAINING))


def _documents_by_source(clean_folder: str) -> dict[str, int]:
    books = storage.read_json(storage.join(clean_folder, MANIFEST))["books"]
    return {source: entry["kept"]["documents"] for source, entry in books.items()}


def _sampled(folder: str, parts: list[Part]) -> Iterator[tuple[str, str]]:
    for part in parts:
        for batch in read_batches(table_path(folder, "sample", part.name)):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _given(recipe: Recipe, name: str) -> ClassifierFile:
    settings = recipe.classifiers[name]
    assert settings.model is not None
    path = resolve(recipe.root, settings.model)
    try:
        return find_classifier(path, settings.features, settings.label)
    except UserError as error:
        raise UserError(f"classifiers.{name}.model: {error}") from None


def _settings(recipe: Recipe) -> Any:
    sources = [source.name for source in recipe.sources]
    found: dict[str, Any] = {}
    for name, classifier in recipe.classifiers.items():
        if classifier.train is None:
            given = _given(recipe, name)
            # Its place does not count: a model that is moved gives the same scores.
            found[name] = {
                "sha256": given.sha256,
                "features": given.features,
                "label": given.label,
            }
        else:
            found[name] = {
                **classifier.train.model_dump(),
                "negatives": classifier.train.negatives_among(sources),
            }
    return found


def _run(run: StageRun) -> Outcome:
    files: dict[str, ClassifierFile] = {}
    listed: list[storage.ListedFile] = []
    facts: dict[str, Any] = {}
    for name, classifier in run.recipe.classifiers.items():
        if classifier.train is None:
            files[name] = _given(run.recipe, name)
        else:
            _train(run, name, classifier.train)
            model = f"{MODELS}/{name}.bin"
            files[name] = find_classifier(storage.join(run.folder, model))
            listed += [
                storage.facts_of(storage.join(run.folder, path), path)
                for path in (model, model + FACTS_SUFFIX)
            ]
            facts[name] = storage.read_json(storage.join(run.folder, model + FACTS_SUFFIX))
        facts.setdefault(name, {})
        facts[name] |= {
            "sha256": files[name].sha256,
            "features": files[name].features,
            "label": files[name].label,
        }
    listed.append(storage.write_json(storage.join(run.folder, SUMMARY), facts, SUMMARY))
    if not files:
        # Nothing is read, and no documents pass.
        return Outcome({}, listed, {"classifiers": {}})
    run.execution.map_parts(ScorePart(run.inputs["clean"], files), run.parts, run.folder)
    books, scores, _ = outcome_of_parts(NAME, run.folder, run.parts)
    return Outcome(books, [*listed, *scores], {"classifiers": facts})


STAGE = Stage(
    name=NAME,
    module=__name__,
    needs=("clean",),
    settings=_settings,
    run=_run,
    libraries=(LIBRARY, "jieba"),
    publishes={"classifiers": MODELS},
)
