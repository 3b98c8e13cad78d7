"""Training of fastText classifiers: the same documents give the same model, byte for byte.

Two things in fastText stand against that, and this module settles both:

- Its threads race, so two trainings differ. One thread trains here.
- Releases 0.9.3 and 0.10 fill only a tenth of the embeddings for each thread and leave the rest as
  the memory was found: NaN, or weights of 10^16 without an error. A model that shows it is refused.
"""

from __future__ import annotations

import hashlib
import heapq
import importlib.metadata
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from filters.classifier import MOST_CHARACTERS, Classifier, fasttext_line
from filters.classifier_evaluation import best_by_f1, confusions
from filters.classifier_settings import NEGATIVE, POSITIVE, FastTextSettings
from filters.fasttext_model import FastTextModel, parse_fasttext_model
from filters.kernels.text_batch import TextBatch
from pangu_settings import UserError

LIBRARY = "fasttext-community"
_RELEASE = f"the release that this project names: pip install '{LIBRARY}==0.11.9'"
_SCORED_AT_ONCE = 256
# Embeddings start within 1 / dimension of 0 and stay near; what memory held lies anywhere.
_LARGEST_WEIGHT = 1e4


@dataclass(frozen=True)
class Example:
    """A document to learn from; its text holds no lone surrogate."""

    text: str
    positive: bool


@dataclass(frozen=True)
class TrainedClassifier:
    """A model and what is known of it.

    Attributes:
      content: of a fastText .bin file.
      facts: JSON: features, label, settings, counts of documents, sha256, and figures on the
        documents that were held out.
    """

    content: bytes
    facts: dict[str, Any]


def train_classifier(
    examples: Iterable[Example], settings: FastTextSettings, held_out: float
) -> TrainedClassifier:
    """Trains a model that tells positive from negative documents.

    Equal texts of one kind count once. A hash of its text decides whether a document is held out,
    and where it stands among the others, so neither depends on the order of the examples.

    Args:
      examples: documents of both kinds.
      settings: features and hyper-parameters.
      held_out: share of documents kept apart to measure on, 0 to 1.

    Raises:
      UserError: too few documents, or fastText fails.
    """
    by_hash = {
        (_hash(example.text), example.positive): example
        for example in examples
        if example.text.strip()
    }
    ordered = [(digest, by_hash[digest, positive]) for digest, positive in sorted(by_hash)]
    apart = [example for digest, example in ordered if _is_held_out(digest, held_out)]
    learned = [example for digest, example in ordered if not _is_held_out(digest, held_out)]
    for kind, positive in (("positive", True), ("negative", False)):
        if not any(example.positive == positive for example in learned):
            raise UserError(f"no {kind} document is left to train on; give more of them")
    content = _train(learned, settings)
    model = parse_fasttext_model(content, "the trained model")
    _check_initialised(model)
    facts: dict[str, Any] = {
        "format": 1,
        "features": settings.features,
        "label": POSITIVE,
        "sha256": hashlib.sha256(content).hexdigest(),
        "settings": settings.model_dump(),
        "library": f"{LIBRARY} {importlib.metadata.version(LIBRARY)}",
        "documents": {"trained": _counts(learned), "held_out": _counts(apart)},
        "words": len(model.words),
    }
    classifier = Classifier(content, "the trained model", settings.features, POSITIVE)
    facts["held_out"] = evaluate(classifier, apart) if apart else None
    return TrainedClassifier(content, facts)


def sample_examples(texts: Iterable[str], positive: bool, most: int) -> list[Example]:
    """The beginnings of documents of one kind, at most so many, chosen by a hash of each.

    Args:
      texts: documents, read once; memory holds the sample and one of them.
      positive: their kind.
      most: documents to keep.

    Returns:
      Different texts of at most `MOST_CHARACTERS` characters, in order of their hashes: the same
      whatever the order of the documents.
    """
    chosen: dict[int, str] = {}
    largest_first: list[int] = []  # a heap of negated hashes
    for text in texts:
        # JSON may hold half of a surrogate pair, which UTF-8 may not.
        beginning = text[:MOST_CHARACTERS].encode("utf-8", "replace").decode()
        key = int.from_bytes(_hash(beginning))
        if key in chosen or not beginning.strip():
            continue
        chosen[key] = beginning
        heapq.heappush(largest_first, -key)
        if len(chosen) > most:
            del chosen[-heapq.heappop(largest_first)]
    return [Example(chosen[key], positive) for key in sorted(chosen)]


def evaluate(classifier: Classifier, examples: Iterable[Example]) -> dict[str, Any]:
    """Measures a classifier on documents; JSON: the best threshold, and figures for each."""
    scores, positive = score_examples(classifier, examples)
    found = confusions(scores, positive)
    return {
        "best_threshold": best_by_f1(found).threshold,
        "thresholds": [confusion.to_json() for confusion in found],
    }


def score_examples(
    classifier: Classifier, examples: Iterable[Example]
) -> tuple[np.ndarray, np.ndarray]:
    """Scores float32 (n,) of documents, and bool (n,) which of them are positive."""
    scores: list[np.ndarray] = [np.empty(0, np.float32)]
    positive: list[bool] = []
    for batch in _batches(examples):
        scores.append(classifier.score_batch(TextBatch.from_strings([e.text for e in batch])))
        positive.extend(example.positive for example in batch)
    return np.concatenate(scores), np.array(positive, bool)


def _batches(examples: Iterable[Example]) -> Iterator[list[Example]]:
    batch: list[Example] = []
    for example in examples:
        batch.append(example)
        if len(batch) == _SCORED_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _is_held_out(digest: bytes, share: float) -> bool:
    # Its end: its beginning decides the order.
    return int.from_bytes(digest[8:]) < share * 2**64


def _counts(examples: list[Example]) -> dict[str, int]:
    positive = sum(example.positive for example in examples)
    return {"positive": positive, "negative": len(examples) - positive}


def _train(examples: list[Example], settings: FastTextSettings) -> bytes:
    import fasttext

    with tempfile.TemporaryDirectory(prefix="pangu-alpha-classifier-") as folder:
        lines = Path(folder) / "documents.txt"
        with lines.open("w", encoding="utf-8") as file:
            for example in examples:
                label = POSITIVE if example.positive else NEGATIVE
                file.write(f"{label} {fasttext_line(example.text, settings.features)}\n")
        try:
            model = fasttext.train_supervised(
                str(lines),
                wordNgrams=settings.longest_ngram,
                dim=settings.dimension,
                bucket=settings.buckets,
                epoch=settings.epochs,
                lr=settings.learning_rate,
                minCount=settings.minimum_count,
                seed=settings.seed,
                thread=1,
                verbose=0,
            )
        except RuntimeError as error:
            raise UserError(
                f"fastText cannot train on these documents: {error} A lower learning_rate than "
                f"{settings.learning_rate} may help; so may {_RELEASE}"
            ) from None
        path = Path(folder) / "model.bin"
        model.save_model(str(path))
        return path.read_bytes()


def _check_initialised(model: FastTextModel) -> None:
    """Raises UserError where embeddings were left as the memory was found."""
    rows = model.input_rows
    assert rows is not None
    # Rows begin as random numbers, and training does not bring all of one to exactly 0.
    if (rows == 0).all(axis=1).any() or np.abs(rows).max(initial=0) > _LARGEST_WEIGHT:
        raise UserError(
            "fastText left embeddings uninitialised (a bug of its releases 0.9.3 and 0.10); "
            f"use {_RELEASE}"
        )
