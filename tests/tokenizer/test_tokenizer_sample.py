from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from tokenizer.sample import sample_texts


@given(
    texts=st.lists(st.text("今天下雨ab", min_size=1, max_size=30), max_size=40),
    budget=st.integers(0, 600),
    seed=st.integers(0, 100),
)
def test_the_sample_does_not_depend_on_the_order(texts: list[str], budget: int, seed: int) -> None:
    sample = sample_texts(texts, budget)
    shuffled = texts[:]
    random.Random(seed).shuffle(shuffled)
    assert sample_texts(iter(shuffled), budget) == sample
    assert sum(len(text.encode()) for text in sample) <= budget


def test_all_texts_are_taken_when_they_fit() -> None:
    assert sorted(sample_texts(["今天", "明天", "今天"], 12)) == ["今天", "明天"]


def test_a_larger_budget_keeps_what_a_smaller_one_chose() -> None:
    texts = [f"第{number}篇文章" for number in range(1_000)]
    small, large = sample_texts(texts, 2_000), sample_texts(texts, 8_000)
    assert large[: len(small)] == small
    assert 1_900 < sum(len(text.encode()) for text in small) <= 2_000


def test_a_book_is_sampled_in_passages() -> None:
    book = "".join(chr(0x4E00 + number % 4_999) for number in range(100_000))
    sample = sample_texts([book], 100_000)
    assert {len(passage) for passage in sample} == {10_000}
    assert all(passage in book for passage in sample)
