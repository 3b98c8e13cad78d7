"""Training: the same documents give the same bytes, and a broken matrix is noticed."""

from __future__ import annotations

import hashlib
import os
import random
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from classifier_documents import documents

from filters import classifier_training
from filters.classifier import MOST_CHARACTERS, Classifier
from filters.classifier_evaluation import Confusion, best_by_f1, confusions
from filters.classifier_settings import POSITIVE, ClassifierSettings, FastTextSettings
from filters.classifier_training import (
    Example,
    sample_examples,
    score_examples,
    train_classifier,
)
from filters.fasttext_model import parse_fasttext_model
from pangu_settings import SettingsError, UserError, validate

SMALL = FastTextSettings(buckets=1024, dimension=8, epochs=20, minimum_count=1)


def test_a_trained_model_tells_the_kinds_apart() -> None:
    trained = train_classifier(documents(400), SMALL, 0.2)
    figures = trained.facts["held_out"]
    half = next(entry for entry in figures["thresholds"] if entry["threshold"] == 0.5)
    assert half["precision"] > 0.9
    assert half["recall"] > 0.9
    counts = trained.facts["documents"]
    assert sum(counts["trained"].values()) + sum(counts["held_out"].values()) == 400
    assert 40 < sum(counts["held_out"].values()) < 120
    assert trained.facts["sha256"] == hashlib.sha256(trained.content).hexdigest()
    classifier = Classifier(trained.content, "m", "characters", POSITIVE)
    scores, positive = score_examples(classifier, documents(300, seed=9))
    assert ((scores > 0.5) == positive).mean() > 0.9


@pytest.mark.parametrize("features", ["characters", "words"])
def test_the_same_documents_give_the_same_model(features: str) -> None:
    settings = SMALL.model_copy(update={"features": features})
    once = train_classifier(documents(), settings, 0.1)
    shuffled = documents()
    random.Random(3).shuffle(shuffled)
    again = train_classifier([*shuffled, *shuffled[:10]], settings, 0.1)
    assert once.content == again.content
    assert once.facts == again.facts


def test_the_model_does_not_depend_on_what_memory_held() -> None:
    """glibc fills fresh memory with a pattern here: releases of fastText that leave embeddings
    uninitialised give another model, numbers of 10^16, or an error."""
    program = (
        "import hashlib\n"
        "from classifier_documents import documents\n"
        "from filters.classifier_settings import FastTextSettings\n"
        "from filters.classifier_training import train_classifier\n"
        "settings = FastTextSettings(ngrams=1, buckets=1, dimension=8, minimum_count=1)\n"
        "print(hashlib.sha256(train_classifier(documents(), settings, 0).content).hexdigest())\n"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={
                **os.environ,
                "PYTHONPATH": f"{Path(__file__).parent}:{Path(__file__).parents[2]}",
                **environment,
            },
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for environment in ({}, {"MALLOC_PERTURB_": "165"})
    }
    assert len(digests) == 1


@pytest.mark.parametrize("left", [0.0, 1e16])
def test_a_matrix_that_was_left_uninitialised_is_refused(left: float) -> None:
    content = train_classifier(documents(), SMALL, 0).content
    model = parse_fasttext_model(content, "m")
    classifier_training._check_initialised(model)
    assert model.input_rows is not None
    rows = model.input_rows.copy()
    rows[len(rows) // 2] = left
    with pytest.raises(UserError, match="uninitialised"):
        classifier_training._check_initialised(replace(model, input_rows=rows))


def test_held_out_documents_are_chosen_by_their_text() -> None:
    few, many = documents(100), documents(100) + documents(100, seed=5)
    chosen = [
        {
            e.text
            for e in examples
            if classifier_training._is_held_out(classifier_training._hash(e.text), 0.3)
        }
        for examples in (few, many)
    ]
    assert chosen[0] == chosen[1] & {e.text for e in few}


def test_a_text_of_both_kinds_is_on_one_side_only() -> None:
    both = [Example(f"文章{index}" * 3, kind) for index in range(50) for kind in (True, False)]
    counts = train_classifier(both, SMALL, 0.5).facts["documents"]
    assert counts["trained"]["positive"] == counts["trained"]["negative"]
    assert counts["held_out"]["positive"] == counts["held_out"]["negative"]


def test_one_kind_alone_cannot_be_learned() -> None:
    with pytest.raises(UserError, match="no negative document is left"):
        train_classifier([Example("好文章", True), Example(" \n", False)], SMALL, 0)


def test_samples_are_the_same_in_any_order() -> None:
    texts = [f"第{index}篇文章" for index in range(200)]
    sample = sample_examples(texts, True, 20)
    assert len(sample) == 20
    assert sample_examples(reversed(texts), True, 20) == sample
    assert sample_examples([*texts, *texts], True, 20) == sample


def test_samples_hold_beginnings_in_whole_characters() -> None:
    sample = sample_examples(["", " \n", "长" * MOST_CHARACTERS * 2, "半个\ud83d"], False, 9)
    assert {len(example.text) for example in sample} == {MOST_CHARACTERS, 3}
    for example in sample:
        example.text.encode()


def test_figures_by_threshold() -> None:
    scores = np.array([0.1, 0.4, 0.4, 0.9, 0.95], np.float32)
    positive = np.array([False, True, False, True, True])
    low, middle, high = confusions(scores, positive, [0.0, 0.4, 0.9])
    assert middle == Confusion(0.4, 3, 0, 1, 1)
    assert (middle.precision, middle.recall) == (0.75, 1.0)
    assert high == Confusion(0.9, 2, 1, 0, 2)
    assert low.f1 == pytest.approx(0.75)
    assert best_by_f1([low, middle, high]) is middle
    assert confusions(scores[:0], positive[:0], [0.5])[0].f1 == 0
    assert Confusion.from_json(middle.to_json()) == middle


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({}, "either `model`"),
        ({"model": "a.bin", "train": {"positives": ["web"]}}, "either `model`"),
        ({"train": {"positives": []}}, "train.positives"),
        ({"train": {"positives": ["web"]}, "features": "words"}, "go with `model`"),
        ({"train": {"positives": ["web"], "features": "text"}}, "train.features"),
        ({"modell": "a.bin"}, "did you mean 'model'"),
    ],
)
def test_settings_that_cannot_be(content: dict[str, object], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        validate(ClassifierSettings, content, "recipe.yaml")


def test_settings_are_the_same_after_a_round_trip() -> None:
    for content in ({"model": "a.bin"}, {"train": {"positives": ["web"]}}):
        settings = validate(ClassifierSettings, content, "r")
        written = settings.model_dump(mode="json", exclude_none=True)
        assert validate(ClassifierSettings, written, "r") == settings


def test_seed_changes_the_model() -> None:
    other = SMALL.model_copy(update={"seed": 2})
    models = {train_classifier(documents(), settings, 0).content for settings in (SMALL, other)}
    assert len(models) == 2
    # fastText keeps no seed in the file: the rows differ.
    assert all(struct.unpack_from("<i", model)[0] == 793_712_314 for model in models)
