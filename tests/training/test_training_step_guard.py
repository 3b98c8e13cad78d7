from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.step_guard import LEAST, WINDOW, StepGuard


def guard_after(steps: int, deviations: float | None = 6.0) -> StepGuard:
    """A guard that has seen losses of 4 and 5 and norms of 1 and 2 in turn."""
    guard = StepGuard(deviations)
    for step in range(steps):
        assert guard.accepts(4.0 + step % 2, 1.0 + step % 2)
    return guard


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_never_accepted(value: float) -> None:
    guard = StepGuard(None)
    assert not guard.accepts(value, 1.0)
    assert not guard.accepts(1.0, value)
    assert (guard.skipped_in_a_row, guard.skipped) == (2, 2)
    assert guard.accepts(1.0, 1.0)
    assert (guard.skipped_in_a_row, guard.skipped) == (0, 2)


def test_a_spike_of_loss_or_norm_is_skipped() -> None:
    # Means 4.5 and 1.5, deviations a little above 0.5.
    guard = guard_after(WINDOW)
    assert guard.accepts(7.4, 1.0)
    assert not guard_after(WINDOW).accepts(7.6, 1.0)
    assert not guard_after(WINDOW).accepts(4.0, 4.6)
    assert guard_after(WINDOW).accepts(-50.0, 0.0)


def test_other_deviations_are_other_limits() -> None:
    assert not guard_after(WINDOW, 2.0).accepts(6.0, 1.0)
    assert guard_after(WINDOW, None).accepts(1e9, 1e9)


def test_nothing_is_a_spike_before_enough_is_known() -> None:
    assert guard_after(LEAST - 1).accepts(100.0, 1.0)
    assert not guard_after(LEAST).accepts(100.0, 1.0)


def test_a_level_that_stays_is_accepted_after_a_while() -> None:
    guard = guard_after(WINDOW)
    accepted = [guard.accepts(20.0, 1.0) for _ in range(WINDOW)]
    assert not accepted[0]
    assert accepted[-1]


@given(
    st.lists(st.tuples(st.floats(0, 20) | st.just(math.nan), st.floats(0, 20)), max_size=150),
    st.integers(0, 150),
)
def test_a_guard_that_is_restored_judges_as_the_one_that_was_saved(
    steps: list[tuple[float, float]], saved_after: int
) -> None:
    guard, later = StepGuard(2.0), StepGuard(2.0)
    for step in steps[:saved_after]:
        guard.accepts(*step)
    for name, tensor in later.state().items():
        tensor.copy_(guard.state()[name])
    for step in steps[saved_after:]:
        assert guard.accepts(*step) == later.accepts(*step)
    assert guard.skipped == later.skipped
