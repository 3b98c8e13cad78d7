"""What weights mean: shares and epochs of sources, and their parts of the tokenizer's sample."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.stages.mix import mixture
from pipeline.stages.train_tokenizer import share_budget

NAMES = st.sampled_from(["甲", "乙", "丙", "丁"])


def test_epochs_say_how_often_a_source_is_seen() -> None:
    mixed = mixture({"a": 1, "b": 3}, {"a": 600, "b": 200}, {"a": 6, "b": 2})
    assert mixed["a"]["share"] == 0.25
    assert mixed["a"]["epochs"] == pytest.approx(0.25 * 800 / 600, abs=1e-4)
    assert mixed["b"]["epochs"] == pytest.approx(3.0)


def test_source_without_text_has_no_share() -> None:
    mixed = mixture({"a": 1, "b": 1}, {"a": 100}, {"a": 1})
    assert mixed["a"]["share"] == 1.0
    assert mixed["b"] == {
        "weight": 1,
        "documents": 0,
        "characters": 0,
        "share": 0.0,
        "epochs": 0.0,
    }


def test_what_a_small_source_cannot_fill_goes_to_the_others() -> None:
    assert share_budget(1000, {"a": 100, "b": 5000}, {"a": 1, "b": 1}) == {"a": 100, "b": 900}


def test_source_of_weight_0_is_not_sampled() -> None:
    assert share_budget(1000, {"a": 5000, "b": 5000}, {"a": 0, "b": 1}) == {"a": 0, "b": 1000}


@given(
    st.integers(0, 10_000),
    st.dictionaries(NAMES, st.integers(0, 5000)),
    st.dictionaries(NAMES, st.floats(0, 100, allow_subnormal=False)),
)
def test_budget_is_kept_and_used(
    budget: int, available: dict[str, int], weights: dict[str, float]
) -> None:
    taken = share_budget(budget, available, weights)
    assert set(taken) == set(available)
    assert all(0 <= taken[name] <= available[name] for name in taken)
    assert sum(taken.values()) <= budget
    usable = sum(held for name, held in available.items() if weights.get(name, 0) > 0)
    # Each source may lose a fraction of a byte to rounding.
    assert sum(taken.values()) >= min(budget, usable) - len(available)
