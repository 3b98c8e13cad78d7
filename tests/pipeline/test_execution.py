"""Work is divided so that every worker has some of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.execution import divide
from pipeline.parts import Part


def parts_of(sizes: list[int]) -> list[Part]:
    return [Part(f"p{n}", "web", f"{n}", f"{n}", size) for n, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("sizes", "workers"),
    [
        ([23_500_000, 22_800_000], 2),
        ([22_800_000, 23_500_000], 2),
        ([100, 100, 100, 100], 4),
        ([0, 0], 2),
        ([10, 1, 1], 2),
    ],
)
def test_every_worker_gets_a_task_of_parts_of_similar_size(sizes: list[int], workers: int) -> None:
    assert len(divide(parts_of(sizes), workers)) == workers


@given(st.lists(st.integers(0, 10**10), min_size=1, max_size=50), st.integers(1, 16))
def test_every_part_is_in_one_task_and_order_is_kept(sizes: list[int], workers: int) -> None:
    parts = parts_of(sizes)
    tasks = divide(parts, workers)
    assert [part for task in tasks for part in task] == parts
    assert all(tasks)


def test_large_input_makes_several_tasks_for_each_worker() -> None:
    assert len(divide(parts_of([50 << 20] * 100), 2)) == 16


@pytest.mark.parametrize("megabytes", [1, 20, 48, 60, 90, 200])
def test_no_worker_is_left_with_a_task_more_than_the_others(megabytes: int) -> None:
    tasks = divide(parts_of([megabytes << 20] * 24), 3)
    assert len(tasks) % 3 == 0
    assert {len(task) for task in tasks} <= {24 // len(tasks), -(-24 // len(tasks))}
