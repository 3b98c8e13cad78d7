"""A batch holds the characters of its texts and gives them back."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.kernels.text_batch import TextBatch

TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), max_size=12)


@given(TEXTS)
def test_texts_come_back_as_they_were(texts: list[str]) -> None:
    batch = TextBatch.from_strings(texts)
    assert batch.to_strings() == texts
    assert [batch.text(index) for index in range(len(batch))] == texts
    assert batch.lengths().tolist() == [len(text) for text in texts]


@given(TEXTS)
def test_characters_are_code_points(texts: list[str]) -> None:
    batch = TextBatch.from_strings(texts)
    assert batch.characters.tolist() == [ord(character) for character in "".join(texts)]


@given(TEXTS, st.integers(0, 3), st.integers(0, 3))
def test_a_slice_of_a_column_is_read_from_its_own_start(
    texts: list[str], before: int, after: int
) -> None:
    column = pa.array(["前"] * before + texts + ["后"] * after, pa.string())
    batch = TextBatch.from_arrow(column.slice(before, len(texts)))
    assert batch.to_strings() == texts


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_nulls_are_empty_texts(kind: pa.DataType) -> None:
    assert TextBatch.from_arrow(pa.array(["甲", None, "乙"], kind)).to_strings() == ["甲", "", "乙"]


def test_chunks_are_one_column() -> None:
    column = pa.chunked_array([["一"], [], ["二", "三"]], pa.string())
    assert TextBatch.from_arrow(column).to_strings() == ["一", "二", "三"]


def test_no_texts() -> None:
    batch = TextBatch.from_strings([])
    assert len(batch) == 0
    assert batch.starts.dtype == np.int64
    assert batch.to_arrow().to_pylist() == []
