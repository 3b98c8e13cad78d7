"""Reads what the report shows out of a run directory, batch by batch and in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import storage
from pipeline.cuts import STAGES as CUTTING_STAGES
from pipeline.inspection.row_sample import RowSample
from pipeline.ledger import Books
from pipeline.recipe import Recipe
from pipeline.report.content import (
    ClassifierSummary,
    Cluster,
    Clusters,
    DeadLetters,
    DropReason,
    Encodings,
    Example,
    RemovedForReason,
    ReportInput,
    ResultFile,
    StageBooks,
    shorten,
)
from pipeline.report.sample import Histogram, LargestRows, ValueRange
from pipeline.tables import read_batches, row_count

# Only short columns are read, so batches may hold many rows.
ROWS = 16_384
# 1 to 10,000,000 characters, eight bins in each power of ten.
LENGTH_EDGES = np.logspace(0, 7, 57)
QUALITY_BINS = 40
KEPT, MERGED, DROPPED = "kept", "merged", "dropped"
OUTCOMES = (KEPT, MERGED, DROPPED)
LARGEST_CLUSTERS = 10
CLUSTER_MEMBERS = 3
DEAD_LETTER_EXAMPLES = 5
# Page text has no bound; what the report shows of it has.
TITLE_CHARACTERS = 100
URL_CHARACTERS = 200
VALUE_CHARACTERS = 80
EXCERPT_CHARACTERS = 120

DECONTAMINATION = "decontamination.json"
LINE_DUPLICATES = "line_duplicates.json"


def gather_report(
    run: str,
    recipe: Recipe,
    encodings: Encodings,
    removed_lines: Sequence[RemovedForReason] = (),
    classifiers: Sequence[ClassifierSummary] = (),
) -> ReportInput:
    """Reads a finished run's files.

    Args:
      run: the run directory, a local path or a URL.
      recipe: the recipe that the run executed.
      encodings: source -> encoding met -> {"pages": n, "repaired": n}.
      removed_lines: what cleaning took out.
      classifiers: what the classifiers are and how they scored.

    Raises:
      UserError: a file of the run is missing or damaged.
    """
    ledger = storage.read_json(storage.join(run, "ledger.json"))
    corpus = _Corpus(
        _snap(LENGTH_EDGES, recipe, "characters"), _snap(_quality_edges(run), recipe, "quality")
    )
    _read_corpus(run, corpus)
    reasons, members = _read_dropped(run, recipe.report.examples, corpus)
    return ReportInput(
        recipe=recipe,
        stages=tuple(_stage_books(entry) for entry in ledger["stages"]),
        reasons=reasons,
        lengths=corpus.lengths,
        qualities=corpus.qualities,
        clusters=_clusters(corpus, members),
        captured=(corpus.captured.smallest, corpus.captured.largest),
        dead_letters=_read_dead_letters(run),
        encodings=encodings,
        removed_lines=tuple(removed_lines),
        classifiers=tuple(classifiers),
        line_duplicates=storage.read_json_or_none(storage.join(run, LINE_DUPLICATES)) or {},
        decontamination=storage.read_json_or_none(storage.join(run, DECONTAMINATION)) or {},
        shards=storage.read_json(storage.join(run, "shards", "index.json")),
        tokenizer=storage.read_json(storage.join(run, "tokenizer", "facts.json")),
        files=tuple(_result_files(run)),
    )


def _stage_books(entry: Mapping[str, Any]) -> StageBooks:
    books = {name: Books.from_json(content) for name, content in entry["sources"].items()}
    return StageBooks(entry["stage"], books)


class _Corpus:
    """What is gathered from the corpus; the histograms go on to take in the dropped documents."""

    def __init__(self, length_edges: np.ndarray, quality_edges: np.ndarray) -> None:
        self.lengths = Histogram.empty(length_edges, OUTCOMES)
        self.qualities = Histogram.empty(quality_edges, OUTCOMES)
        self.captured = ValueRange()
        self.largest = LargestRows(LARGEST_CLUSTERS, "cluster_size")
        # Sizes are counted exactly: there are few different ones.
        self.cluster_sizes: dict[int, int] = {}

    def count(self, outcome: str, batch: pa.RecordBatch) -> None:
        """Adds a batch with the columns `characters` and `quality` to the histograms."""
        self.lengths.add(outcome, batch.column("characters"))
        self.qualities.add(outcome, batch.column("quality"))


def _read_corpus(run: str, corpus: _Corpus) -> None:
    columns = ["id", "url", "title", "captured_at", "characters", "quality", "cluster_size"]
    for batch in _batches(run, "corpus", columns):
        corpus.count(KEPT, batch)
        corpus.captured.add(batch.column("captured_at"))
        shared = batch.filter(pc.greater(batch.column("cluster_size"), 1))
        corpus.largest.offer(shared.select(["id", "url", "title", "cluster_size"]))
        for entry in pc.value_counts(shared.column("cluster_size")).to_pylist():
            size = entry["values"]
            corpus.cluster_sizes[size] = corpus.cluster_sizes.get(size, 0) + entry["counts"]


def _quality_edges(run: str) -> np.ndarray:
    """Edges of equal bins over the qualities met."""
    found = ValueRange()
    for table in ("corpus", "dropped"):
        for batch in _batches(run, table, ["quality"]):
            found.add(batch.column("quality"))
    smallest = 0.0 if found.smallest is None else found.smallest
    # Bins over a single value would have no width.
    width = max((found.largest or 0.0) - smallest, 1e-3)
    return np.linspace(smallest, smallest + width, QUALITY_BINS + 1)


def _snap(edges: np.ndarray, recipe: Recipe, signal: str) -> np.ndarray:
    """Moves the edges nearest to limits of rules onto them, so that no bin lies on both sides."""
    edges = edges.copy()
    for _, limit in limits_of(recipe, signal):
        if edges[0] < limit < edges[-1]:
            edges[np.abs(edges - limit).argmin()] = limit
    return np.unique(edges)


def limits_of(recipe: Recipe, signal: str) -> list[tuple[str, float]]:
    """(rule, limit) of the rules that look at a signal."""
    return [
        (name, rule.limit)
        for name, rule in recipe.rules.items()
        if rule.signal == signal and rule.limit is not None
    ]


def _read_dropped(
    run: str, examples: int, corpus: _Corpus
) -> tuple[tuple[DropReason, ...], dict[str, RowSample]]:
    """Samples every reason, and the duplicates that were merged into the largest clusters."""
    samples: dict[tuple[str, str, str], RowSample] = {}
    members = {row["id"]: RowSample(CLUSTER_MEMBERS) for row in corpus.largest.rows()}
    columns = ["id", "url", "title", "source", "stage", "verdict", "rule", "value", "limit"]
    columns += ["merged_into", "characters", "quality", "excerpt"]
    for batch in _batches(run, "dropped", columns):
        for reason, rows in _by_columns(batch, ("stage", "verdict", "rule")):
            sample = samples.setdefault(reason, RowSample(examples))
            sample.offer(rows, rows.column("id").to_pylist())
            # Pages that extract dropped have no text to measure.
            if reason[0] != "extract":
                corpus.count(MERGED if reason[1] == "merged" else DROPPED, rows)
        for survivor, sample in members.items():
            merged = batch.filter(pc.equal(batch.column("merged_into"), survivor))
            sample.offer(merged, merged.column("id").to_pylist())
    reasons = [
        DropReason(*reason, sample.offered, tuple(map(_example, sample.rows())))
        for reason, sample in samples.items()
    ]
    order = {
        stage: place
        for place, stage in enumerate(("extract", "decide", "deduplicate", *CUTTING_STAGES))
    }
    reasons.sort(key=lambda r: (order.get(r.stage, len(order)), r.stage, -r.documents, r.rule))
    return tuple(reasons), members


def _by_columns(
    batch: pa.RecordBatch, names: tuple[str, str, str]
) -> Iterator[tuple[tuple[str, str, str], pa.RecordBatch]]:
    """Splits a batch by the values of three text columns."""
    separator = "\0"
    keys = pc.binary_join_element_wise(*(batch.column(name) for name in names), separator)
    for key in pc.unique(keys).to_pylist():
        first, second, third = key.split(separator)
        yield (first, second, third), batch.filter(pc.equal(keys, key))


def _example(row: Mapping[str, Any]) -> Example:
    return Example(
        id=row["id"],
        url=shorten(row["url"], URL_CHARACTERS),
        title=shorten(row["title"], TITLE_CHARACTERS),
        source=row["source"],
        value=shorten(row["value"], VALUE_CHARACTERS),
        limit=shorten(row["limit"], VALUE_CHARACTERS),
        excerpt=shorten(row["excerpt"], EXCERPT_CHARACTERS),
        characters=row["characters"],
    )


def _clusters(corpus: _Corpus, members: Mapping[str, RowSample]) -> Clusters:
    largest = tuple(
        Cluster(
            id=row["id"],
            title=shorten(row["title"], TITLE_CHARACTERS),
            url=shorten(row["url"], URL_CHARACTERS),
            size=row["cluster_size"],
            members=tuple(map(_example, members[row["id"]].rows())),
        )
        for row in corpus.largest.rows()
    )
    classes: dict[int, list[int]] = {}
    for size, clusters in corpus.cluster_sizes.items():
        # Classes 2, 3–4, 5–8, 9–16, …: each twice as wide as the one before.
        counts = classes.setdefault((size - 1).bit_length(), [0, 0])
        counts[0] += clusters
        counts[1] += clusters * (size - 1)
    by_size = tuple(
        (2 ** (power - 1) + 1, 2**power, counts[0], counts[1])
        for power, counts in sorted(classes.items())
    )
    return Clusters(by_size, largest)


def _read_dead_letters(run: str) -> tuple[DeadLetters, ...]:
    samples: dict[str, RowSample] = {}
    columns = ["source", "file", "offset", "stage", "error", "detail"]
    for batch in _batches(run, "dead_letters", columns):
        for error in pc.unique(batch.column("error")).to_pylist():
            rows = batch.filter(pc.equal(batch.column("error"), error))
            places = [f"{r['source']}\0{r['file']}\0{r['offset']}" for r in rows.to_pylist()]
            samples.setdefault(error, RowSample(DEAD_LETTER_EXAMPLES)).offer(rows, places)
    letters = [
        DeadLetters(error, sample.offered, tuple(map(_dead_letter, sample.rows())))
        for error, sample in samples.items()
    ]
    return tuple(sorted(letters, key=lambda letter: (-letter.count, letter.error)))


def _dead_letter(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        **row,
        "file": shorten(row["file"], URL_CHARACTERS),
        "detail": shorten(row["detail"], URL_CHARACTERS),
    }


def _batches(run: str, table: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    folder = storage.join(run, table)
    for name in storage.list_files(folder, ".parquet"):
        yield from read_batches(storage.join(folder, name), columns, ROWS)


def _result_files(run: str) -> Iterator[ResultFile]:
    for table in ("corpus", "dropped", "dead_letters"):
        folder = storage.join(run, table)
        paths = [storage.join(folder, name) for name in storage.list_files(folder, ".parquet")]
        rows = sum(row_count(path) for path in paths)
        yield ResultFile(f"{table}/", rows, sum(storage.size(path) for path in paths))
    for path in (
        "tokenizer/tokenizer.model",
        "tokenizer/facts.json",
        "shards/index.json",
        "ledger.json",
        "recipe.yaml",
    ):
        yield ResultFile(path, None, storage.size(storage.join(run, path)))
    if storage.exists(storage.join(run, DECONTAMINATION)):
        size = storage.size(storage.join(run, DECONTAMINATION))
        yield ResultFile(DECONTAMINATION, None, size)
