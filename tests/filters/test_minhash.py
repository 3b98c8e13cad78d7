"""Signatures agree with datasketch, find near-duplicates, and leave short texts alone."""

from __future__ import annotations

import datasketch
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.folding import fold_texts
from filters.kernels.minhash import shingle_hashes_of, signatures_of
from filters.kernels.text_batch import TextBatch
from filters.minhash import MinHash, comparable_characters, match_probability

TEXT = "春天的江南总是下着细雨，石板路上的行人撑着油纸伞，慢慢走过古老的小桥。" * 3
LETTERS = "春天的江南总是下着细雨abc123，。 \n"


def shingles(text: str) -> set[str]:
    comparable = comparable_characters(text)
    return {comparable[i : i + 5] for i in range(len(comparable) - 4)}


def datasketch_signature(minhash: MinHash, text: str, seed: int) -> np.ndarray:
    size = minhash.bands * minhash.rows
    reference = datasketch.MinHash(size, seed=seed, hashfunc=int, scheme="affine32")
    reference.update_batch(minhash.shingle_hashes(text))
    values: np.ndarray = reference.hashvalues
    return values


@given(st.text(LETTERS, max_size=300))
@settings(max_examples=50)
def test_signature_equals_datasketch(text: str) -> None:
    minhash = MinHash(5, 16, 8, 1)
    np.testing.assert_array_equal(
        minhash.signature(text), datasketch_signature(minhash, text, seed=1)
    )


@given(
    st.lists(st.text(LETTERS, max_size=120), max_size=6),
    st.integers(1, 8),
    st.integers(1, 9),
    st.integers(1, 5),
)
@settings(max_examples=100)
def test_batch_equals_reference(texts: list[str], shingle: int, bands: int, rows: int) -> None:
    minhash = MinHash(shingle, bands, rows, 3)
    has_bands, keys = minhash.band_keys_of(fold_texts(TextBatch.from_strings(texts)).comparable)
    assert keys.shape == (len(texts), bands)
    for text, found, row in zip(texts, has_bands, keys, strict=True):
        assert (row.tolist() if found else []) == minhash.band_keys(text).tolist()


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
@settings(max_examples=100)
def test_each_distinct_shingle_has_one_hash(text: str) -> None:
    assert len(set(MinHash(5, 16, 8, 1).shingle_hashes(text))) == len(shingles(text))


def test_hashes_of_shingles_spread_evenly() -> None:
    # Neighbouring shingles differ in little; their hashes must not.
    rng = np.random.default_rng(0)
    points = rng.integers(0x4E00, 0x4E10, (2000, 5))
    texts = sorted({"".join(map(chr, row)) for row in points})
    hashes, _ = shingle_hashes_of(TextBatch.from_strings(texts), 5)
    assert len(set(hashes.tolist())) == len(texts)
    for shift in (0, 12, 24):
        counts = np.bincount((hashes >> np.uint32(shift)) & np.uint32(0xFF), minlength=256)
        # 255 degrees of freedom: 6 standard deviations above the mean.
        assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 255 + 6 * (2 * 255) ** 0.5


def test_long_text_is_permuted_in_blocks_without_a_difference() -> None:
    rng = np.random.default_rng(0)
    text = "".join(map(chr, rng.integers(0x4E00, 0x9000, 10_000)))
    minhash = MinHash(5, 4, 8, 3)
    expected = datasketch_signature(minhash, text, seed=3)
    np.testing.assert_array_equal(minhash.signature(text), expected)
    comparable = TextBatch.from_strings([comparable_characters(text)])
    hashes, starts = shingle_hashes_of(comparable, 5)
    permutations = datasketch.MinHash(32, seed=3, scheme="affine32").permutations
    factors, offsets = (np.asarray(row, np.uint32) for row in permutations)
    found = signatures_of(hashes, starts, factors, offsets)
    np.testing.assert_array_equal(found[0], expected)


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
    other = "2021年,gdp增长8.1%;全国居民收入\n稳步提高。"
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
