"""The kernel counts what the reference counts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from filters.kernels.count_characters import count_in_batch, count_in_text
from filters.kernels.text_batch import TextBatch

CHOSEN = frozenset("護a\U0002a700")
CHARACTERS = st.sampled_from("護城a，\U0002a700々〇\ufa0e䷀") | st.characters(
    exclude_categories=["Cs"]
)


@given(st.lists(st.text(CHARACTERS, max_size=30)))
def test_kernel_equals_reference(texts: list[str]) -> None:
    counts = count_in_batch(TextBatch.from_strings(texts), CHOSEN)
    expected = [count_in_text(text, CHOSEN) for text in texts]
    assert counts.hanzi.tolist() == [one.hanzi for one in expected]
    assert counts.chosen.tolist() == [one.chosen for one in expected]


def test_hanzi_of_all_planes_count_and_hexagrams_do_not() -> None:
    counts = count_in_text("護a〇々\U0002a700䷀。", CHOSEN)
    assert (counts.hanzi, counts.chosen) == (4, 3)
