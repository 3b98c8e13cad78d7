"""Which documents stay: similar texts only, the best first, and every one for a reason."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.duplicate_settings import Deduplicate
from filters.duplicates import (
    ROUNDS,
    Members,
    Similarities,
    Verdicts,
    cover,
    explain,
    judge,
    similar_pairs,
)
from filters.kernels.components import components
from pangu_settings import SettingsError, validate

LEAST = 0.8
NO_BUCKETS = (np.empty(0, np.int64), np.zeros(1, np.int64))


def table_of(similar: set[tuple[int, int]], count: int) -> Similarities:
    """Texts of which the given pairs are 0.9 similar, and all others 0.1."""

    def compute(pairs: np.ndarray) -> np.ndarray:
        assert (pairs[:, 0] < pairs[:, 1]).all()
        return np.array([0.9 if tuple(pair) in similar else 0.1 for pair in pairs.tolist()])

    return Similarities(count, compute, LEAST)


def members(count: int, **columns: object) -> Members:
    """Documents with different texts, the first the best, and columns that say otherwise."""
    given_columns = {
        "ids": [f"{number:03d}" for number in range(count)],
        "quality": [1 - number / 1000 for number in range(count)],
        "lengths": [100] * count,
        "sources": [0] * count,
        "captured": [0] * count,
        "texts": range(count),
        "addresses": [-1] * count,
        "has_shingles": [True] * count,
        **columns,
    }
    arrays = {name: np.array(list(values)) for name, values in given_columns.items()}  # type: ignore[call-overload]
    return Members(**{**arrays, "ids": arrays["ids"].astype("S")})


def judged(
    documents: Members,
    similar: set[tuple[int, int]] = frozenset(),  # type: ignore[assignment]
    settings: Deduplicate = Deduplicate(),  # noqa: B008
) -> Verdicts:
    pairs = np.array(sorted(similar), np.int64).reshape(-1, 2)
    count = int(documents.texts.max()) + 1
    return judge(documents, pairs, table_of(similar, count), settings)


def test_similar_pairs_are_compared_once() -> None:
    asked: list[list[int]] = []

    def compute(pairs: np.ndarray) -> np.ndarray:
        asked.extend(pairs.tolist())
        return pairs.sum(axis=1) / 100

    similarities = Similarities(10, compute, 0.05)
    pairs = np.array([[3, 1], [2, 9], [1, 3]])
    assert similarities.of(pairs).tolist() == [0.04, 0.11, 0.04]
    assert similarities.of(np.array([[9, 2], [0, 1]])).tolist() == [0.11, 0.01]
    assert similarities.of(pairs).tolist() == [0.04, 0.11, 0.04]
    assert sorted(asked) == [[0, 1], [1, 3], [1, 3], [2, 9]]


def test_in_a_large_bucket_one_may_be_like_another_that_is_like_the_first() -> None:
    none, bucket = np.empty((0, 2), np.int64), np.arange(20)
    similar = {(0, number) for number in range(1, 19)} | {(7, 19)}
    found = similar_pairs(none, bucket, np.array([0, 20]), table_of(similar, 20))
    assert {tuple(sorted(pair)) for pair in found.tolist()} == similar


def test_large_bucket_that_mixes_groups_gives_all_of_them() -> None:
    groups = [range(0, 40), range(40, 70), range(70, 100)]
    similar = {(a, b) for group in groups for a in group for b in group if a < b}
    mixed = np.random.default_rng(0).permutation(100)
    similarities = table_of(similar, 100)
    none = np.empty((0, 2), np.int64)
    found = similar_pairs(none, mixed, np.array([0, 100]), similarities)
    pairs = {tuple(sorted(pair)) for pair in found.tolist()}
    assert pairs <= similar
    assert {number for pair in pairs for number in pair} == set(range(100))
    assert len(components(pairs)) - len(set(components(pairs).values())) == 100 - len(groups)


def test_a_bucket_of_strangers_costs_a_bounded_number_of_comparisons() -> None:
    compared = 0

    def compute(pairs: np.ndarray) -> np.ndarray:
        nonlocal compared
        compared += len(pairs)
        return np.zeros(len(pairs))

    count = 1000
    similarities = Similarities(count, compute, LEAST)
    none = np.empty((0, 2), np.int64)
    found = similar_pairs(none, np.arange(count), np.array([0, count]), similarities)
    assert len(found) == 0
    assert compared < ROUNDS * count


def test_a_chain_does_not_collapse() -> None:
    # 0 is like 1, 1 like 2, 2 like 3 …: whoever is merged is like the one it was merged into.
    similar = {(number, number + 1) for number in range(5)}
    survivors, similarity = cover(np.zeros(6, np.int64), np.arange(6), table_of(similar, 6))
    assert survivors.tolist() == [0, 0, 2, 2, 4, 4]
    assert similarity.tolist() == [1, 0.9, 1, 0.9, 1, 0.9]


def test_without_verification_a_component_is_one_cluster() -> None:
    survivors, similarity = cover(np.array([0, 0, 2, 0]), np.array([3, 1, 0, 2]), None)
    assert survivors.tolist() == [1, 1, 2, 1]
    assert np.isnan(similarity[[0, 3]]).all()


GRAPHS = st.sets(st.tuples(st.integers(0, 11), st.integers(0, 11)).filter(lambda p: p[0] < p[1]))


@given(GRAPHS, st.permutations(range(12)))
def test_survivors_cover_the_documents(similar: set[tuple[int, int]], order: list[int]) -> None:
    documents = members(12, quality=[1 - rank / 100 for rank in order])
    verdicts = judged(documents, similar)
    survivors = verdicts.survivors.tolist()
    stays = {number for number in range(12) if survivors[number] == number}
    # Survivors are never merged, and survivors and merged together are all documents.
    assert set(survivors) == stays
    for number, survivor in enumerate(survivors):
        pair = (min(number, survivor), max(number, survivor))
        assert number == survivor or pair in similar
        assert order[survivor] <= order[number]
    # No two that stay are similar.
    assert not {pair for pair in similar if set(pair) <= stays}


@given(GRAPHS, st.permutations(range(12)), st.integers(0, 11))
def test_a_copy_changes_nothing_else(
    similar: set[tuple[int, int]], order: list[int], copied: int
) -> None:
    quality = [1 - rank / 100 for rank in order]
    before = judged(members(12, quality=quality), similar)
    quality.append(quality[copied])
    after = judged(members(13, quality=quality, texts=[*range(12), copied]), similar)
    assert after.survivors[:12].tolist() == before.survivors.tolist()
    assert after.survivors[12] == before.survivors[copied]
    # Of copies the one with the smaller id stays.
    assert after.kinds[12] == ("exact" if before.kinds[copied] == "" else "near")


@given(GRAPHS, st.permutations(range(12)), st.permutations(range(12)))
def test_order_of_documents_does_not_matter(
    similar: set[tuple[int, int]], order: list[int], places: list[int]
) -> None:
    quality = np.array([1 - rank / 100 for rank in order])
    ids = np.array([f"{number:03d}" for number in range(12)])
    one = judged(members(12, quality=quality), similar)
    other = judged(members(12, quality=quality[places], ids=ids[places], texts=places), similar)
    expected = {ids[number]: ids[survivor] for number, survivor in enumerate(one.survivors)}
    shuffled = ids[places]
    assert {shuffled[n]: shuffled[s] for n, s in enumerate(other.survivors)} == expected


@pytest.mark.parametrize(
    ("keep", "survivor"),
    [
        (["quality"], 2),
        (["length", "quality"], 2),
        (["source_priority", "quality"], 0),
        (["source_priority", "length"], 3),
        (["id"], 3),
    ],
)
def test_the_recipe_says_which_document_stays(keep: list[str], survivor: int) -> None:
    documents = members(
        4,
        ids=["d", "c", "b", "a"],
        quality=[0.5, 0.9, 0.9, 0.2],
        lengths=[100, 100, 900, 700],
        sources=[0, 1, 1, 0],
        texts=[0, 0, 0, 0],
    )
    settings = Deduplicate.model_validate({"keep": keep})
    assert judged(documents, settings=settings).survivors.tolist() == [survivor] * 4


def test_quality_that_is_not_a_number_is_the_worst() -> None:
    documents = members(2, quality=[np.nan, -5.0], texts=[0, 0])
    assert judged(documents).survivors.tolist() == [1, 1]


def test_exact_off_leaves_copies_that_are_too_short_to_compare() -> None:
    documents = members(4, texts=[0, 0, 1, 1], has_shingles=[False, False, True, True])
    verdicts = judged(documents, settings=Deduplicate(exact=False))
    assert verdicts.survivors.tolist() == [0, 1, 2, 2]


@pytest.mark.parametrize(("url", "survivor"), [("newest", 2), ("longest", 1)])
def test_of_captures_of_one_address_one_stays(url: str, survivor: int) -> None:
    documents = members(
        4, addresses=[7, 7, 7, -1], captured=[10, 20, 30, 0], lengths=[200, 300, 100, 100]
    )
    verdicts = judged(documents, settings=Deduplicate.model_validate({"url": url}))
    assert verdicts.survivors.tolist() == [survivor] * 3 + [3]
    assert set(verdicts.kinds[:3]) == {"", "url"}
    merged = np.arange(3) != survivor
    assert np.isnan(verdicts.similarity[:3][merged]).all()


def test_addresses_may_be_left_alone() -> None:
    documents = members(2, addresses=[7, 7])
    assert judged(documents, settings=Deduplicate(url="off")).survivors.tolist() == [0, 1]


def test_an_older_capture_follows_the_newer_one() -> None:
    # 1 is the newest capture of the address of 0, and a near-duplicate of the better document 2.
    documents = members(3, quality=[0.9, 0.5, 0.8], addresses=[7, 7, -1], captured=[1, 2, 0])
    verdicts = judged(documents, {(1, 2)})
    assert verdicts.survivors.tolist() == [2, 2, 2]
    assert verdicts.kinds.tolist() == ["url", "near", ""]


def test_an_older_capture_with_the_text_of_another_page_takes_nothing_with_it() -> None:
    documents = members(3, texts=[0, 1, 0], addresses=[7, 7, -1], captured=[1, 2, 0])
    verdicts = judged(documents)
    assert verdicts.survivors.tolist() == [1, 1, 2]
    assert verdicts.kinds.tolist() == ["url", "", ""]


def test_settings_say_what_is_wrong() -> None:
    with pytest.raises(SettingsError, match="'length' is named twice"):
        validate(Deduplicate, {"keep": ["length", "id", "length"]}, "recipe.yaml")
    with pytest.raises(SettingsError, match=r"near\.verify"):
        validate(Deduplicate, {"near": {"verify": "maybe"}}, "recipe.yaml")


def test_a_bare_off_of_yaml_is_understood() -> None:
    settings = validate(Deduplicate, {"url": False, "near": {"verify": False}}, "recipe.yaml")
    assert (settings.url, settings.near.verify) == ("off", "off")


def test_memory_is_not_part_of_the_result() -> None:
    small, large = (validate(Deduplicate, {"memory": m}, "r") for m in ("64KiB", "2GB"))
    assert large.memory == 2_000_000_000
    assert small.result_settings() == large.result_settings()


def test_settings_are_explained() -> None:
    lines = explain(Deduplicate())
    assert lines[0] == "merge equal texts"
    assert any("0.80: 94.7%" in line for line in lines)
    assert lines[-1] == "keep the best by quality, source_priority, length, id"
    unchecked = explain(validate(Deduplicate, {"near": {"verify": "off"}}, "r"))
    assert "merge whatever shares a band, unchecked" in unchecked
    off = {"exact": False, "url": "off", "near": {"enabled": False}}
    assert explain(validate(Deduplicate, off, "r")) == []
