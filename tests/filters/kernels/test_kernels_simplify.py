"""The longest phrase is taken, else the character; kernel and reference agree."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from filters.kernels.simplify import Dictionary, simplify_batch, simplify_text
from filters.kernels.text_batch import TextBatch

DICTIONARY = Dictionary(
    compatibility={"\uf900": "豈", "\U0002f800": "丽"},
    phrases={"乾隆": "乾隆", "乾隆通寶": "乾隆通宝", "豈乾": "岂干", "於是乾": "于是干"},
    characters={"乾": "干", "豈": "岂", "於": "于", "寶": "宝", "\U00030ede": "\U00030edd"},
)
CHARACTERS = st.sampled_from("乾隆通寶豈於是\uf900\U0002f800\U00030ede\U0010ffffa。\n")


def simplified(text: str) -> str:
    return simplify_text(text, DICTIONARY)


def test_longest_phrase_from_the_left() -> None:
    assert simplified("乾隆通寶") == "乾隆通宝"
    assert simplified("乾隆通") == "乾隆通"
    assert simplified("於是乾隆") == "于是干隆"
    assert simplified("乾於") == "干于"


def test_copies_of_characters_are_replaced_before_phrases_are_sought() -> None:
    assert simplified("\uf900乾") == "岂干"


@given(st.lists(st.tuples(st.text(CHARACTERS, max_size=12), st.booleans())))
def test_kernel_equals_reference(cases: list[tuple[str, bool]]) -> None:
    texts = TextBatch.from_strings([text for text, _ in cases])
    chosen = np.array([choose for _, choose in cases], np.bool_)
    before = texts.to_strings()
    result = simplify_batch(texts, DICTIONARY, chosen)
    assert result.to_strings() == [simplified(t) if choose else t for t, choose in cases]
    assert texts.to_strings() == before
