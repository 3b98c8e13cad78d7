"""Classifiers give what the fastText library gives, whether they are folded or not."""

from __future__ import annotations

import gzip
import itertools
import json
import os
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import pytest
from classifier_documents import documents

from filters.classifier import (
    MOST_CHARACTERS,
    Classifier,
    fasttext_line,
    fasttext_words,
)
from filters.classifier_settings import POSITIVE, Features
from filters.kernels.text_batch import TextBatch
from pangu_settings import UserError

SHARED = Path(os.environ.get("PANGU_SHARED_DATA", "")) / "text"
TEXTS = [
    "研究表明，加微信领取优惠券。",
    "城市\n\n的\u3000发展\x00与 河流 有关 𠮷😀",
    "Unknown words only: лес",
    "",
    "的" * 300,
]


def train(folder: Path, features: Features, labels: int = 2, **options: Any) -> Any:
    lines = folder / "lines.txt"
    names = [POSITIVE, *(f"__label__other{index}" for index in range(1, labels))]
    lines.write_text(
        "".join(
            f"{names[0 if example.positive else 1 + index // 2 % (labels - 1)]} "
            f"{fasttext_line(example.text, features)}\n"
            for index, example in enumerate(documents())
        ),
        encoding="utf-8",
    )
    settings = {"dim": 8, "epoch": 20, "bucket": 1000, "minn": 0, "maxn": 0, "lr": 0.5}
    return fasttext.train_supervised(
        str(lines), thread=1, verbose=0, minCount=1, **{**settings, **options}
    )


def saved(model: Any, folder: Path) -> bytes:
    path = folder / "model.bin"
    model.save_model(str(path))
    return path.read_bytes()


def by_library(model: Any, texts: list[str], features: Features) -> list[float]:
    lines = [fasttext_line(text, features) for text in texts]
    found = model.predict(lines, k=-1)
    return [
        dict(zip(labels, values, strict=True)).get(POSITIVE, 0.0)
        for labels, values in zip(*found, strict=True)
    ]


@pytest.mark.parametrize("features", ["characters", "words"])
@pytest.mark.parametrize(("ngrams", "buckets"), [(1, 0), (2, 1000), (3, 1024), (4, 7)])
def test_folded_scores_equal_the_librarys(
    tmp_path: Path, features: Features, ngrams: int, buckets: int
) -> None:
    model = train(tmp_path, features, wordNgrams=ngrams, bucket=buckets)
    classifier = Classifier(saved(model, tmp_path), "model.bin", features, POSITIVE)
    assert classifier.folded is not None
    texts = [*TEXTS, *(example.text for example in documents(40, seed=2))]
    scores = classifier.score_batch(TextBatch.from_strings(texts))
    assert scores.dtype == np.float32
    assert scores == pytest.approx(by_library(model, texts, features), abs=1e-4)
    assert scores == pytest.approx([classifier.score(text) for text in texts], abs=1e-6)


def test_the_other_label_has_the_other_probability(tmp_path: Path) -> None:
    content = saved(train(tmp_path, "characters"), tmp_path)
    batch = TextBatch.from_strings(TEXTS)
    one, other = (
        Classifier(content, "m", "characters", label).score_batch(batch)
        for label in (POSITIVE, "__label__other1")
    )
    assert one + other == pytest.approx(np.ones(len(TEXTS)), abs=1e-6)


@pytest.mark.parametrize(
    ("labels", "options"),
    [
        (2, {"loss": "hs"}),
        (2, {"loss": "ova"}),
        (3, {}),
        (2, {"minn": 1, "maxn": 3}),
        (5, {"loss": "hs", "wordNgrams": 2}),
    ],
    ids=["tree", "one versus all", "three labels", "pieces of words", "tree with n-grams"],
)
def test_models_that_do_not_fold_run_in_the_library(
    tmp_path: Path, labels: int, options: dict[str, Any]
) -> None:
    model = train(tmp_path, "characters", labels, **options)
    classifier = Classifier(saved(model, tmp_path), "model.bin", "characters", POSITIVE)
    assert classifier.folded is None
    scores = classifier.score_batch(TextBatch.from_strings(TEXTS))
    assert scores == pytest.approx(by_library(model, TEXTS, "characters"), abs=1e-4)
    assert classifier.score(TEXTS[0]) == pytest.approx(float(scores[0]), abs=1e-6)


def test_quantised_model_runs_in_the_library(tmp_path: Path) -> None:
    model = train(tmp_path, "characters", wordNgrams=2, bucket=2000)
    model.quantize(input=str(tmp_path / "lines.txt"), retrain=False, qnorm=True, dsub=2)
    classifier = Classifier(saved(model, tmp_path), "model.ftz", "characters", POSITIVE)
    assert classifier.folded is None
    scores = classifier.score_batch(TextBatch.from_strings(TEXTS))
    assert scores == pytest.approx(by_library(model, TEXTS, "characters"), abs=1e-4)


def test_a_model_of_spaced_text_sees_words_between_spaces(tmp_path: Path) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text(f"{POSITIVE} hello world\n__label__other 你好 世界\n" * 20, encoding="utf-8")
    model = fasttext.train_supervised(str(lines), dim=8, epoch=50, thread=1, verbose=0, maxn=3)
    classifier = Classifier(saved(model, tmp_path), "m", "text", POSITIVE)
    scores = classifier.score_batch(
        TextBatch.from_strings(["hello\nworld", "你好\t世界", "你好 </s> hello"])
    )
    assert scores[0] > 0.9
    assert scores[1] < 0.1
    # What follows a hidden end of line is seen all the same.
    assert scores[2] == pytest.approx(by_library(model, ["你好 hello"], "text")[0], abs=1e-6)


def test_an_empty_batch_has_no_scores(tmp_path: Path) -> None:
    for features, options in (("characters", {}), ("words", {}), ("text", {"maxn": 2})):
        content = saved(train(tmp_path, "characters", **options), tmp_path)
        classifier = Classifier(content, "m", features, POSITIVE)  # type: ignore[arg-type]
        assert classifier.score_batch(TextBatch.from_strings([])).tolist() == []


def test_unknown_label_names_the_nearest(tmp_path: Path) -> None:
    content = saved(train(tmp_path, "characters"), tmp_path)
    with pytest.raises(UserError, match=r"spam\.bin.*did you mean '__label__other1'"):
        Classifier(content, "spam.bin", "characters", "__label__other")


def test_words_of_a_document() -> None:
    assert fasttext_words("我们\n在\u3000A座\x00。", "characters") == list("我们在A座。")
    assert fasttext_words("我们\r\n在\u3000A座\x00。", "words") == ["我们", "在", "A座", "。"]
    assert fasttext_words(" 我们\r\n在\u3000A座\x00。 </s>", "text") == ["我们", "在", "A座", "。"]


@pytest.mark.parametrize("features", ["characters", "words"])
def test_no_document_can_name_a_label_or_end_its_line(features: Features) -> None:
    """A page that says `__label__positive` would otherwise teach the model what it likes."""
    line = fasttext_line(f"好 {POSITIVE} </s>\n{POSITIVE}</s>", features)
    assert "\n" not in line
    assert not any(word.startswith("__label__") or word == "</s>" for word in line.split(" "))


@pytest.mark.parametrize("features", ["characters", "words", "text"])
def test_only_the_beginning_of_a_document_counts(tmp_path: Path, features: Features) -> None:
    model = train(tmp_path, "characters", **({"maxn": 2} if features == "text" else {}))
    classifier = Classifier(saved(model, tmp_path), "m", features, POSITIVE)
    text = "的" * MOST_CHARACTERS
    scores = classifier.score_batch(TextBatch.from_strings([text, text + "领取优惠券" * 99]))
    assert scores[0] == scores[1]


@pytest.mark.shared_data
@pytest.mark.skipif(not SHARED.is_dir(), reason="PANGU_SHARED_DATA does not name the collection")
@pytest.mark.parametrize("features", ["characters", "words"])
def test_scores_of_real_documents_equal_the_librarys(tmp_path: Path, features: Features) -> None:
    texts = []
    for name in ("news", "poetry", "lowquality_labelled", "encyclopedia"):
        with gzip.open(SHARED / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            texts += [json.loads(line)["text"] for line in itertools.islice(lines, 0, 2000, 10)]
    lines_path = tmp_path / "real.txt"
    with lines_path.open("w", encoding="utf-8") as file:
        for index, text in enumerate(texts):
            label = POSITIVE if index < 200 else "__label__other"
            file.write(f"{label} {fasttext_line(text, features)}\n")
    model = fasttext.train_supervised(
        str(lines_path), dim=16, wordNgrams=3, bucket=1 << 16, thread=1, verbose=0, epoch=3
    )
    classifier = Classifier(saved(model, tmp_path), "m", features, POSITIVE)
    scores = classifier.score_batch(TextBatch.from_strings(texts))
    assert scores == pytest.approx(by_library(model, texts, features), abs=1e-4)
    for index in range(0, len(texts), 40):
        assert scores[index] == pytest.approx(classifier.score(texts[index]), abs=1e-6)
