"""Hashes of lines are those of the reference, and stay what they are."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from filters.kernels.line_hashes import line_hash, line_hashes
from filters.kernels.text_batch import TextBatch

LINES = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=9)


@given(LINES, st.integers(1, 3))
def test_kernel_equals_reference(lines: list[str], step: int) -> None:
    numbers = np.arange(0, len(lines), step)
    hashes = line_hashes(TextBatch.from_strings(lines), numbers)
    assert hashes.tolist() == [line_hash(line) for line in lines[::step]]


def test_hashes_do_not_change() -> None:
    """A sample drawn by them would change with every release that did."""
    assert line_hash("") == 0xE220A8397B1DCDAF
    assert line_hash("上一篇：老桥") == 0xFCC045620FDB99BF
