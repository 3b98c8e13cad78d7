"""Signatures agree with datasketch, find near-duplicates, and leave short texts alone."""

from __future__ import annotations

import datasketch
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.minhash import MinHash, comparable_characters, match_probability, shingle_hashes

TEXT = "春天的江南总是下着细雨，石板路上的行人撑着油纸伞，慢慢走过古老的小桥。" * 3


def shingles(text: str) -> set[str]:
    points = "".join(map(chr, comparable_characters(text)))
    return {points[i : i + 5] for i in range(len(points) - 4)}


@given(st.text(alphabet="春天的江南总是下着细雨abc123，。 ", max_size=300))
@settings(max_examples=50, deadline=None)
def test_signature_equals_datasketch(text: str) -> None:
    hashes = shingle_hashes(text, 5)
    reference = datasketch.MinHash(128, seed=1, hashfunc=int, scheme="affine32")
    reference.update_batch([int(value) for value in hashes])
    np.testing.assert_array_equal(MinHash(5, 16, 8, 1).signature(text), reference.hashvalues)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200))
@settings(max_examples=100, deadline=None)
def test_each_distinct_shingle_has_one_hash(text: str) -> None:
    assert len(shingle_hashes(text, 5)) == len(shingles(text))


def test_long_text_is_permuted_in_blocks_without_a_difference() -> None:
    rng = np.random.default_rng(0)
    text = "".join(map(chr, rng.integers(0x4E00, 0x9000, 10_000)))
    hashes = shingle_hashes(text, 5)
    reference = datasketch.MinHash(32, seed=3, hashfunc=int, scheme="affine32")
    reference.update_batch([int(value) for value in hashes])
    np.testing.assert_array_equal(MinHash(5, 4, 8, 3).signature(text), reference.hashvalues)


def test_agreement_of_signatures_estimates_the_jaccard_similarity() -> None:
    rng = np.random.default_rng(1)
    letters = [chr(point) for point in rng.integers(0x4E00, 0x9000, 2000)]
    edited = list(letters)
    for position in rng.choice(2000, 40, replace=False):
        edited[position] = "改"
    first, second = "".join(letters), "".join(edited)
    expected = len(shingles(first) & shingles(second)) / len(shingles(first) | shingles(second))
    minhash = MinHash(5, 64, 16, 1)
    agreement = (minhash.signature(first) == minhash.signature(second)).mean()
    assert agreement == pytest.approx(expected, abs=0.05)


def test_traditional_copy_has_the_same_band_keys() -> None:
    minhash = MinHash(5, 16, 8, 1)
    np.testing.assert_array_equal(
        minhash.band_keys("漢語的書寫系統經歷了長期的發展變化"),
        minhash.band_keys("汉语的书写系统经历了长期的发展变化"),
    )


def test_punctuation_width_and_case_do_not_hide_a_copy() -> None:
    minhash = MinHash(5, 16, 8, 1)
    one = "２０２１年，ＧＤＰ增长８.１％；全国居民收入稳步提高！"
    other = "2021年,gdp增长8.1%;全国居民收入稳步提高。"
    np.testing.assert_array_equal(minhash.band_keys(one), minhash.band_keys(other))


@pytest.mark.parametrize("text", ["", "。。。！！", "你好", "短短四字"])
def test_text_without_a_shingle_has_no_band_keys(text: str) -> None:
    assert len(MinHash(5, 16, 8, 1).band_keys(text)) == 0


def test_band_keys_meet_for_near_duplicates_only() -> None:
    minhash = MinHash(5, 16, 8, 1)
    original = minhash.band_keys(TEXT + "今天我们讲一讲江南水乡的历史与文化。")
    near = minhash.band_keys(TEXT + "今天我们讲一讲江南水乡的历史和文化。")
    other = minhash.band_keys(
        "股市今日收盘上涨，成交量较前一交易日明显放大，分析人士认为后市可期。" * 3
    )
    assert (original == near).any()
    assert not (original == other).any()


def test_s_curve() -> None:
    assert match_probability(0.8, 16, 8) == pytest.approx(0.947, abs=0.001)
    assert match_probability(0.0, 16, 8) == 0
    assert match_probability(1.0, 16, 8) == 1
