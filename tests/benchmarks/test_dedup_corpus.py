"""The documents of the deduplication benchmark are what they are said to be; its truth is true."""

from __future__ import annotations

import json
import random
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from benchmarks import dedup_corpus
from benchmarks.dedup_corpus import COPIES, KINDS, Document, make_corpus
from benchmarks.dedup_truth import (
    LEAST,
    SHINGLE,
    BandScore,
    Truth,
    exact_survivors,
    find_truth,
    score,
    score_bands,
    score_kinds,
    still_to_remove,
)
from filters.minhash import comparable_characters

DOCUMENTS = 400


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts of random hanzi in sentences, 300 KB of them."""
    chance = random.Random(0)
    path = tmp_path_factory.mktemp("collection") / "texts.jsonl"
    with path.open("w") as file:
        for _ in range(500):
            line = "".join(chr(0x4E00 + chance.randrange(3000)) for _ in range(600))
            text = line[:100] + "，" + line[100:200] + "。\n" + line[200:] + "！"
            file.write(json.dumps({"text": text}) + "\n")
    return path


@pytest.fixture(scope="module")
def corpus(collection: Path) -> list[Document]:
    return make_corpus([collection], DOCUMENTS)


def shingles(text: str) -> set[str]:
    characters = comparable_characters(text)
    return {characters[n : n + SHINGLE] for n in range(len(characters) - SHINGLE + 1)}


def jaccard(first: str, second: str) -> float:
    a, b = shingles(first), shingles(second)
    return len(a & b) / max(1, len(a | b))


def test_same_seed_same_documents(collection: Path, corpus: list[Document]) -> None:
    assert make_corpus([collection], DOCUMENTS) == corpus
    assert make_corpus([collection], DOCUMENTS, seed=2) != corpus


def test_every_kind_is_made_and_names_its_origin(corpus: list[Document]) -> None:
    assert {document.kind for document in corpus} == set(KINDS)
    for number, document in enumerate(corpus):
        origin = corpus[document.origin]
        assert origin.origin == document.origin
        if document.kind == "original":
            assert document.origin == number
        elif document.kind not in ("alone", *dedup_corpus.WITHOUT_ORIGINAL):
            assert origin.kind == "original"


@pytest.mark.parametrize("kind", ["copy", "form"])
def test_copies_have_the_same_letters(corpus: list[Document], kind: str) -> None:
    copies = [document for document in corpus if document.kind == kind]
    assert copies
    for document in copies:
        original = comparable_characters(corpus[document.origin].text)
        assert comparable_characters(document.text) == original


@pytest.mark.parametrize("share", dedup_corpus.EDITS)
def test_edits_change_as_many_characters_as_they_say(share: float) -> None:
    chance = random.Random(3)
    text = "".join(chr(0x4E00 + number) for number in range(2000))
    made = dedup_corpus.edited(text, share, chance)
    # A replaced or a lost character is missing; one that is followed by another is not.
    missing = len(set(text) - set(made))
    assert 0.4 * share * 2000 <= missing <= share * 2000
    assert abs(len(made) - 2000) <= share * 2000


def test_heads_and_tails_are_of_other_documents() -> None:
    others = dedup_corpus.Originals(["甲" * 400, "乙" * 400], random.Random(0))
    others.take()
    text = "丙" * 100
    assert dedup_corpus.with_other_head(text, 0.2, others) == "甲" * 20 + "丙" * 80
    assert dedup_corpus.with_other_tail(text, 0.3, others) == "丙" * 70 + "甲" * 30


def test_pages_of_a_site_share_a_template_but_are_not_similar(corpus: list[Document]) -> None:
    pages = [document.text for document in corpus if document.kind == "site"]
    assert len(pages) > 5
    assert max(jaccard(one, other) for one, other in combinations(pages[:8], 2)) > 0.1
    assert max(jaccard(one, other) for one, other in combinations(pages[:8], 2)) < 0.8


def test_traditional_copies_are_in_traditional_writing() -> None:
    pytest.importorskip("opencc")
    assert dedup_corpus.traditional("发展经济") == "發展經濟"


def test_truth_is_what_comparing_every_pair_gives(corpus: list[Document]) -> None:
    texts = [*(document.text for document in corpus[:150]), "", "甲乙", "甲乙丙丁戊", "甲乙丙丁戊!"]
    truth = find_truth(texts)
    found = dict(zip(map(tuple, truth.pairs.tolist()), truth.similarity, strict=True))
    expected = {
        (first, second): similarity
        for first, second in combinations(range(len(texts)), 2)
        if (similarity := jaccard(texts[first], texts[second])) >= LEAST
    }
    assert len(expected) > 20
    assert found == pytest.approx(expected)


def test_truth_of_nothing_is_empty() -> None:
    assert len(find_truth([]).pairs) == 0
    assert len(find_truth(["", ""]).pairs) == 0


def chain() -> Truth:
    """Four documents, each similar to the next, and one that is nearly so."""
    pairs = np.array([[0, 1], [1, 2], [2, 3], [3, 4]])
    return Truth(5, pairs, np.array([0.9, 0.82, 0.9, 0.75]))


@pytest.mark.parametrize(
    ("survivors", "precision", "recall", "apart"),
    [
        ([0, 1, 2, 3, 4], 1.0, 0.0, 0.0),  # nothing merged
        ([0, 0, 2, 2, 4], 1.0, 1.0, 1.0),
        ([0, 0, 2, 3, 4], 1.0, 0.5, 2 / 3),  # 3 should go, too
        ([0, 0, 0, 0, 0], 1 / 4, 1.0, 1.0),  # only 1 has a look-alike that stays
        ([0, 0, 2, 2, 3], 2 / 3, 1.0, 1.0),  # 4 is not similar enough
    ],
)
def test_score_of_documents(
    survivors: list[int], precision: float, recall: float, apart: float
) -> None:
    found = score(chain(), np.array(survivors))
    assert (found.precision, found.recall, found.apart) == pytest.approx((precision, recall, apart))


def test_score_of_pairs() -> None:
    found = score(chain(), np.array([0, 0, 0, 3, 4]))
    assert found.pair_precision == pytest.approx(2 / 3)
    assert found.pair_recall == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("ranks", "survivors"),
    [
        ([0, 1, 2, 3, 4], [0, 0, 2, 2, 4]),
        ([4, 3, 2, 1, 0], [1, 1, 3, 3, 4]),
        ([1, 0, 2, 3, 4], [1, 1, 1, 3, 4]),
    ],
)
def test_an_exact_search_merges_into_the_best_only(ranks: list[int], survivors: list[int]) -> None:
    assert exact_survivors(chain().similar, np.array(ranks)).tolist() == survivors


def test_what_is_left_is_what_an_exact_search_takes_out() -> None:
    assert still_to_remove(chain(), np.arange(5)) == 2
    assert still_to_remove(chain(), np.array([0, 0, 2, 3, 4])) == 1
    assert still_to_remove(chain(), np.array([0, 0, 2, 2, 4])) == 0


def test_scores_by_kind_and_band() -> None:
    documents = [
        Document("", "original", 0),
        Document("", "copy", 0),
        Document("", "copy", 0),
        Document("", "alone", 3),
        Document("", "site", 3),
    ]
    truth = Truth(5, np.array([[0, 1], [0, 2], [3, 4]]), np.array([1.0, 0.81, 0.75]))
    survivors = np.array([0, 0, 2, 3, 3])
    kinds = score_kinds(documents, truth, survivors)
    assert (kinds["copy"].planned, kinds["copy"].found, kinds["copy"].wrong) == (2, 0.5, 0)
    assert (kinds["site"].planned, kinds["site"].removed, kinds["site"].wrong) == (0, 1.0, 1)
    bands = score_bands(truth, survivors)
    assert bands[0.8, 0.85] == BandScore(1, 0.0, 0, 1.0)
    assert bands[0.95, 1.01] == BandScore(1, 1.0, 0, 1.0)


def test_pairs_alone_are_those_that_no_third_document_is_similar_to() -> None:
    truth = Truth(5, np.array([[0, 1], [2, 3], [3, 4]]), np.array([0.81, 0.81, 0.75]))
    found = score_bands(truth, np.arange(5))[0.8, 0.85]
    assert found == BandScore(2, 0.0, 2, 0.0)
    found = score_bands(truth, np.array([0, 0, 2, 3, 4]))[0.8, 0.85]
    assert found == BandScore(2, 0.5, 2, 0.5)


def test_shares_of_kinds_leave_room_for_documents_alone() -> None:
    assert sum(weight for weight, _ in COPIES.values()) < 70
