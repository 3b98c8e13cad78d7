"""What the report and the data card show of a run: plain values, all of bounded size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline.ledger import Books
from pipeline.recipe import Recipe
from pipeline.report.sample import Histogram

SCORE_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
SCORE_BINS = 20

Encodings = Mapping[str, Mapping[str, Mapping[str, int]]]


@dataclass(frozen=True)
class StageBooks:
    """The books of one stage: source -> what came in and how it ended."""

    stage: str
    sources: Mapping[str, Books]


@dataclass(frozen=True)
class Example:
    """What the report shows of one document; every text is cut to a bounded length."""

    id: str
    url: str
    title: str
    source: str
    value: str
    limit: str
    excerpt: str
    characters: int


@dataclass(frozen=True)
class DropReason:
    """Documents that left for one reason, with a sample of them."""

    stage: str
    verdict: str
    rule: str
    documents: int
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Cluster:
    """A document of the corpus and some of the duplicates that were merged into it."""

    id: str
    title: str
    url: str
    size: int
    members: tuple[Example, ...]


@dataclass(frozen=True)
class Clusters:
    """Duplicate clusters of two or more documents.

    Attributes:
      by_size: (smallest size, largest size, clusters, documents merged away), rising.
      largest: the largest clusters.
    """

    by_size: tuple[tuple[int, int, int, int], ...]
    largest: tuple[Cluster, ...]


@dataclass(frozen=True)
class DeadLetters:
    """Dead letters of one error: how many, and some with their place."""

    error: str
    count: int
    examples: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class ResultFile:
    """A file or folder of the run that a reader may open; `rows` is None where it has none."""

    path: str
    rows: int | None
    bytes: int


@dataclass(frozen=True)
class RemovedForReason:
    """Lines that cleaning took out of documents for one reason.

    Attributes:
      by_source: (source, lines), most lines first; sources without any are left out.
      samples: some of the lines, each cut to a bounded length, personal data masked.
    """

    reason: str
    lines: int
    by_source: tuple[tuple[str, int], ...]
    samples: tuple[str, ...]


@dataclass(frozen=True)
class ScoresOfSource:
    """How the documents of one source scored.

    Attributes:
      quantiles: the score that each of SCORE_QUANTILES of the documents do not exceed, to 0.001.
      bins: documents in SCORE_BINS equal bins of 0 to 1.
    """

    source: str
    documents: int
    quantiles: tuple[float, ...]
    bins: tuple[int, ...]


@dataclass(frozen=True)
class ClassifierSummary:
    """What a classifier is, and what it said of the documents, before any rule.

    Attributes:
      name: in the recipe.
      signal: its score, which rules judge.
      model: path of the file as the recipe names it; "" if the run trained it.
      facts: features, label and sha256; of a model that the run trained also what it learned from
        and how well it did on the documents that were held out.
      scores: in the order of the recipe's sources; those without documents are left out.
    """

    name: str
    signal: str
    model: str
    facts: Mapping[str, Any]
    scores: tuple[ScoresOfSource, ...]


@dataclass(frozen=True)
class ReportInput:
    """Everything that the report and the data card show.

    Attributes:
      recipe: the resolved recipe.
      stages: the ledger, in the order of the stages.
      reasons: by stage and reason, most documents first within a stage.
      lengths: characters of kept, merged and dropped documents that have a text.
      qualities: quality score of the same.
      captured: earliest and latest capture time of the corpus, None where unknown.
      encodings: source -> encoding -> {"pages", "repaired"}.
      removed_lines: what cleaning took out, by reason, most lines first.
      classifiers: in the recipe's order.
      line_duplicates: content of line_duplicates.json; {} if none were looked for.
      decontamination: content of decontamination.json; {} if no evaluation set was named.
      shards: content of shards/index.json.
      tokenizer: content of tokenizer/facts.json.
      files: results in the run directory.
    """

    recipe: Recipe
    stages: tuple[StageBooks, ...]
    reasons: tuple[DropReason, ...]
    lengths: Histogram
    qualities: Histogram
    clusters: Clusters
    captured: tuple[datetime | None, datetime | None]
    dead_letters: tuple[DeadLetters, ...]
    encodings: Encodings
    removed_lines: tuple[RemovedForReason, ...]
    classifiers: tuple[ClassifierSummary, ...]
    line_duplicates: Mapping[str, Any]
    decontamination: Mapping[str, Any]
    shards: Mapping[str, Any]
    tokenizer: Mapping[str, Any]
    files: tuple[ResultFile, ...]


def shorten(text: str, most: int) -> str:
    """The text on one line, cut to `most` characters with an ellipsis where it is longer."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
