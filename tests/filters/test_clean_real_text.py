"""On real text the batch kernels do what the references say, and OpenCC's conversion is ours."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import opencc
import pytest

from filters.clean import KEPT, REMOVAL_REASONS, Cleaner, CleanSettings
from filters.kernels.simplify import simplify_batch
from filters.kernels.text_batch import TextBatch
from filters.kernels.trigger_words import possible_kinds_of_lines
from filters.navigation import COMPILED_RULES, NAVIGATION_RULES, TRIGGERS
from filters.traditional import dictionary

FOLDER = Path(os.environ.get("PANGU_SHARED_DATA", "")) / "text"
pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(
        not FOLDER.is_dir(), reason="PANGU_SHARED_DATA does not name the collection"
    ),
]
GOOD = ["news", "ebook_classic_novels", "ebook_modern_pd", "classical", "poetry", "encyclopedia"]


def read_texts(name: str, most: int) -> list[str]:
    with gzip.open(FOLDER / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        texts = (json.loads(line)["text"] for line in islice(file, most))
        # A few of the collection hold halves of characters.
        return [text.encode("utf-8", "replace").decode() for text in texts]


@pytest.mark.parametrize("name", [*GOOD, "lowquality_labelled"])
@pytest.mark.parametrize(
    "settings",
    [
        CleanSettings(),
        CleanSettings(
            symbols=False,
            simplify=False,
            repeated_short_lines=2,
            sentence_lines_only=True,
            min_line_characters=5,
        ),
    ],
)
def test_a_batch_is_cleaned_as_its_documents_are(name: str, settings: CleanSettings) -> None:
    texts = read_texts(name, 300)
    cleaner = Cleaner(settings)
    batch = cleaner.clean_batch(TextBatch.from_strings(texts))
    expected = [cleaner.clean(text) for text in texts]
    assert batch.texts.to_strings() == [one.text for one in expected]
    for reason in REMOVAL_REASONS:
        assert batch.removed[reason].tolist() == [one.removed[reason] for one in expected]
    assert batch.traditional.tolist() == [one.traditional for one in expected]
    assert batch.hanzi.tolist() == [one.hanzi for one in expected]


@pytest.mark.parametrize("name", GOOD)
def test_traditional_text_is_converted_as_opencc_does(name: str) -> None:
    texts = read_texts(name, 300)
    to_traditional = opencc.OpenCC("s2t")
    texts += [to_traditional.convert(text) for text in texts]
    reference = opencc.OpenCC("t2s", include_tofu_risk_dictionaries=False)
    batch = TextBatch.from_strings(texts)
    converted = simplify_batch(batch, dictionary(), np.ones(len(batch), np.bool_))
    assert converted.to_strings() == [reference.convert(text) for text in texts]


@pytest.mark.parametrize("name", ["news", "encyclopedia", "public_dataset_dureader"])
def test_triggers_miss_no_line_that_a_rule_would_remove(name: str) -> None:
    """Each rule's forms are tried on every short line, triggers or not."""
    cleaner = Cleaner(CleanSettings(navigation=False))
    lines = cleaner.clean_batch(TextBatch.from_strings(read_texts(name, 1500))).lines
    kinds = possible_kinds_of_lines(lines, TRIGGERS)
    marks, fits = re.compile("[。！？；]"), 0
    for number, line in enumerate(lines.to_strings()):
        if len(line) <= TRIGGERS.most_characters:
            for bit, rule, pattern in COMPILED_RULES:
                if pattern.fullmatch(line) and (
                    NAVIGATION_RULES[rule].in_sentences or not marks.search(line)
                ):
                    fits += 1
                    assert kinds[number] & bit, (rule, line)
    assert fits > 10


def test_navigation_is_rare_in_books() -> None:
    """Lines of good books that are taken for navigation: none."""
    found: Counter[str] = Counter()
    for name in ("ebook_classic_novels", "ebook_modern_pd", "classical", "poetry"):
        batch = Cleaner(CleanSettings()).clean_batch(TextBatch.from_strings(read_texts(name, 2000)))
        for code in batch.reasons[batch.reasons != KEPT]:
            found[REMOVAL_REASONS[code]] += 1
    expected = {"symbols", "duplicate_paragraph", "repeated_short_line"}
    assert set(found) <= expected, found
