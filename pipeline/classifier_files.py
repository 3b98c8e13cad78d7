"""Classifiers as files: a fastText model, and beside it a small JSON that says what it learned."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, cast, get_args

from filters.classifier import Classifier
from filters.classifier_settings import POSITIVE, Features
from filters.classifier_training import TrainedClassifier
from filters.fasttext_model import parse_fasttext_model
from pangu_settings import UserError, nearest
from pipeline import storage

FACTS_SUFFIX = ".json"


@dataclass(frozen=True)
class ClassifierFile:
    """A model file and how to use it; small, so that it can travel to workers.

    Attributes:
      sha256: of the model; a file that was exchanged since is refused.
      features: what it was trained on.
      label: whose probability is the score.
    """

    path: str
    sha256: str
    features: Features
    label: str

    def load(self) -> Classifier:
        """Reads the model.

        Raises:
          UserError: it cannot be read, has changed, or is no fastText model.
        """
        content = _read(self.path)
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise UserError(f"{self.path}: has changed since the run began; run again")
        return Classifier(content, self.path, self.features, self.label)


def find_classifier(
    path: str, features: Features | None = None, label: str | None = None
) -> ClassifierFile:
    """Looks at a model file, and at the JSON beside it for what is not given.

    Args:
      path: local file or URL of a .bin or .ftz file.
      features: overrides what the JSON says; needed where there is none, unless the model itself
        shows it by learning from pieces of words, as language identification does.
      label: overrides what the JSON says; without either `__label__positive`.

    Raises:
      UserError: missing, not a fastText model, or its features are not known.
    """
    content = _read(path)
    model = parse_fasttext_model(content, path)
    sha256 = hashlib.sha256(content).hexdigest()
    facts = _facts_beside(path, sha256)
    label = label or str(facts.get("label", POSITIVE))
    if label not in model.labels:
        raise UserError(f"{path}: has no label '{label}'{nearest(label, model.labels)}")
    if features is None and model.longest_subword:
        features = "text"
    features = features or facts.get("features")
    if features not in get_args(Features):
        raise UserError(
            f"{path}: say what it was trained on: features: {', '.join(get_args(Features))} "
            f"(there is no {path}{FACTS_SUFFIX} that says it)"
        )
    return ClassifierFile(path, sha256, cast(Features, features), label)


def write_classifier(
    path: str, trained: TrainedClassifier, facts: dict[str, Any]
) -> list[storage.ListedFile]:
    """Writes a model, then its JSON beside it, each whole or not at all.

    Args:
      path: of the model.
      trained: the model and what is known of it.
      facts: more to say in the JSON.

    Returns:
      Both files, under their paths.
    """
    with storage.write_atomically(path) as file:
        file.write(trained.content)
    content = {**trained.facts, **facts}
    return [
        storage.ListedFile(path, file.bytes, file.sha256),
        storage.write_json(path + FACTS_SUFFIX, content, path + FACTS_SUFFIX),
    ]


def _read(path: str) -> bytes:
    with storage.open_read(path) as file:
        return file.read()


def _facts_beside(path: str, sha256: str) -> dict[str, Any]:
    place = path + FACTS_SUFFIX
    facts = storage.read_json_or_none(place)
    if not isinstance(facts, dict):
        return {}
    if facts.get("sha256") != sha256:
        raise UserError(
            f"{place}: describes another model than {path} (its sha256 differs); "
            "delete it, or train again"
        )
    return facts
