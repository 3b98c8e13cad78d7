"""How well and how fast classifiers tell labelled Chinese documents apart.

    python benchmarks/classifiers.py LABELLED.jsonl.gz [--crawl CRAWL.warc.gz... --index INDEX]

LABELLED has one JSON object a line with `text` and `label`: spam and ham, offensive and
non-offensive, ad-page and download-spam-page. The two kinds of pages have no counterpart in it, so
they are told from the articles, threads and lists of a crawl, whose index has one object a page
with `warc`, `offset`, `url`, `kind` and `lang`; pages of the crawl are read as `pangu extract`
does.

Each pair is learned on four of five documents, with the default settings, on characters and on
jieba words, and measured on the fifth; equal texts count once. Speed is MB of UTF-8 text a second
of processor time, best of three, beside the fastText library on the same lines.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import fasttext

from filters.classifier import Classifier, fasttext_line
from filters.classifier_evaluation import Confusion, best_by_f1, confusions
from filters.classifier_settings import POSITIVE, FastTextSettings, TrainedFeatures
from filters.classifier_training import (
    Example,
    TrainedClassifier,
    sample_examples,
    score_examples,
    train_classifier,
)
from filters.encoding import UndecodableError, decode_page
from filters.kernels.text_batch import TextBatch
from filters.main_text import ExtractionError, extract_main_text
from filters.segmentation import segmenter
from pipeline.reading.input_files import ReadLimits, Record, read_records

HELD_OUT = 0.2
RUNS = 3
BATCH = 256
SPEED_TEXTS = 4000
PAGE_KINDS = ("article", "forum", "list", "nav")
KINDS = ("positive", "negative")
SHOWN = (0.5, 0.9)
SIZES: tuple[tuple[TrainedFeatures, int, int], ...] = (
    ("characters", 2**19, 16),
    ("characters", 2**20, 16),
    ("characters", 1_000_000, 16),
    ("characters", 2**19, 100),
    ("words", 2**19, 16),
)
Texts = dict[str, list[str]]
Pairs = dict[str, tuple[list[str], list[str]]]


def read_labelled(path: str) -> Texts:
    """Texts by label."""
    found: Texts = defaultdict(list)
    with gzip.open(path, "rt", encoding="utf-8") as rows:
        for row in map(json.loads, rows):
            found[row["label"]].append(row["text"])
    return found


def read_crawl(crawls: Iterable[str], index: str) -> Texts:
    """Titles and main texts of the Chinese pages of a crawl by kind."""
    with gzip.open(index, "rt", encoding="utf-8") as rows:
        entries = {(row["warc"], row["offset"]): row for row in map(json.loads, rows)}
    found: Texts = defaultdict(list)
    for crawl in crawls:
        with open(crawl, "rb") as file:
            for record in read_records(file, crawl, "warc", ReadLimits()):
                entry = entries.get((Path(crawl).name, record.offset))
                if not isinstance(record, Record) or entry is None:
                    continue
                if not entry["lang"].startswith("zh"):
                    continue
                try:
                    page = decode_page(record.body, record.charset).utf8
                    text = extract_main_text(page, record.url)
                except (UndecodableError, ExtractionError):
                    continue
                found[entry["kind"]].append(f"{text.title}\n{text.text}".strip())
    return found


def learn(
    positives: list[str], negatives: list[str], features: TrainedFeatures
) -> tuple[TrainedClassifier, list[Confusion]]:
    """A model, and its figures on what was held out."""
    examples = [
        *sample_examples(positives, True, len(positives)),
        *sample_examples(negatives, False, len(negatives)),
    ]
    trained = train_classifier(examples, FastTextSettings(features=features), HELD_OUT)
    figures = trained.facts["held_out"]["thresholds"]
    return trained, [Confusion.from_json(entry) for entry in figures]


def print_quality(pairs: Pairs) -> dict[str, TrainedClassifier]:
    """A Markdown table with a row for each pair and kind of features; returns the models."""
    models = {}
    print(
        "| positives – negatives | features | trained on | held out | P, R, F1 at 0.5 "
        "| P, R, F1 at 0.9 | best F1 |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, (positives, negatives) in pairs.items():
        for features in get_args(TrainedFeatures):
            trained, found = learn(positives, negatives, features)
            models[f"{name}, {features}"] = trained
            counts = [
                " – ".join(f"{trained.facts['documents'][part][kind]:,}" for kind in KINDS)
                for part in ("trained", "held_out")
            ]
            shown = [_figures(confusion) for confusion in found if confusion.threshold in SHOWN]
            best = best_by_f1(found)
            shown.append(f"{best.f1:.3f} at {best.threshold}")
            print(f"| {' | '.join([name, features, *counts, *shown])} |", flush=True)
    return models


def _figures(confusion: Confusion) -> str:
    return f"{confusion.precision:.3f}, {confusion.recall:.3f}, {confusion.f1:.3f}"


def print_transfer(name: str, model: TrainedClassifier, pairs: Pairs) -> None:
    """How a model does on documents of another kind than it has learned."""
    classifier = Classifier(model.content, name, model.facts["features"], POSITIVE)
    for other, (positives, negatives) in pairs.items():
        examples = [
            *(Example(text, True) for text in positives),
            *(Example(text, False) for text in negatives),
        ]
        best = best_by_f1(confusions(*score_examples(classifier, examples)))
        print(f"{name} → {other}: best F1 {best.f1:.3f} at {best.threshold} ({_figures(best)})")


def print_speed(texts: list[str]) -> None:
    """A Markdown table of prediction alone: ours beside the library, for some sizes of model."""
    texts = [texts[index * len(texts) // SPEED_TEXTS] for index in range(SPEED_TEXTS)]
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    chunks = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
    batches = [TextBatch.from_strings(chunk) for chunk in chunks]
    examples = [Example(text, bool(index % 2)) for index, text in enumerate(texts)]
    print(f"\n{len(texts):,} documents, {megabytes:.1f} MB")
    print("| features | buckets | dimension | ours MB/s | fastText MB/s | ratio |")
    print("|---|---|---|---|---|---|")
    for features, buckets, dimension in SIZES:
        settings = FastTextSettings(
            features=features, buckets=buckets, dimension=dimension, epochs=1
        )
        content = train_classifier(examples, settings, 0).content
        ours = megabytes / best_seconds(_our_way(content, features), batches)
        theirs = megabytes / best_seconds(_their_way(content, features), chunks)
        print(
            f"| {features} | {buckets:,} | {dimension} | {ours:.0f} | {theirs:.1f} "
            f"| {ours / theirs:.0f} |",
            flush=True,
        )
    segmenting = megabytes / best_seconds(segmenter().words, batches)
    print(f"\nOf words, segmentation alone: {segmenting:.0f} MB/s")


def _our_way(content: bytes, features: TrainedFeatures) -> Callable[[TextBatch], object]:
    return Classifier(content, "trained", features, POSITIVE).score_batch


def _their_way(content: bytes, features: TrainedFeatures) -> Callable[[list[str]], object]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.bin"
        path.write_bytes(content)
        library = fasttext.load_model(str(path))
    return lambda chunk: library.predict([fasttext_line(text, features) for text in chunk])


def best_seconds(work: Callable[[Any], object], given: Sequence[Any]) -> float:
    """Processor time of the fastest of some rounds; one more before them compiles the kernels."""
    times = []
    for _ in range(1 + RUNS):
        start = time.process_time()
        for item in given:
            work(item)
        times.append(time.process_time() - start)
    return min(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("labelled")
    parser.add_argument("--crawl", nargs="*", default=[])
    parser.add_argument("--index")
    arguments = parser.parse_args()
    labelled = read_labelled(arguments.labelled)
    pairs = {
        "spam – ham": (labelled["spam"], labelled["ham"]),
        "offensive – non-offensive": (labelled["offensive"], labelled["non-offensive"]),
    }
    pages: Pairs = {}
    if arguments.crawl:
        kinds = read_crawl(arguments.crawl, arguments.index)
        others = [text for kind in PAGE_KINDS for text in kinds[kind]]
        pages = {
            "ad pages – other pages": (kinds["ad"] + kinds["ad-nav"], others),
            "download spam pages – other pages": (
                kinds["spam-download"] + kinds["spam-nav"],
                others,
            ),
        }
    models = print_quality({**pairs, **pages})
    print()
    for features in get_args(TrainedFeatures):
        name = f"spam – ham, {features}"
        print_transfer(name, models[name], pages)
    print_speed([text for _, negatives in {**pairs, **pages}.values() for text in negatives])


if __name__ == "__main__":
    main()
