"""The lists that we ship are in matching form, and searching finds each phrase once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.word_lists import WORD_LISTS, WordSearch, fold, load_word_list
from pangu_settings import SettingsError


@pytest.mark.parametrize("name", WORD_LISTS)
def test_shipped_phrases(name: str) -> None:
    words = load_word_list(name)
    assert len(words) >= 150
    assert len(set(words)) == len(words)
    assert [word for word in words if fold(word) != word] == []
    assert [word for word in words if len(word) < 2] == []
    contained = [(a, b) for a in words for b in words if a != b and a in b]
    assert contained == []


def test_lists_share_no_phrase() -> None:
    first, second = (set(load_word_list(name)) for name in WORD_LISTS)
    assert not first & second


# Sentences in which a careless list would see advertisements or worse.
@pytest.mark.parametrize(
    "text",
    [
        "现代考古学在亲自慰问之后参加了路口交通的讨论，乘客的钱包过夜后找到了。",
        "进出口交易会上，成熟女性服装的生产厂家很多，书包过重的孩子也不少。",
        "他用微信给我发来照片，我没有看，下载也没有打开。",
        "警方提醒，不要相信代办业务的电话，发票要到税务局领取。",
    ],
)
def test_honest_sentences_have_no_phrase(text: str) -> None:
    for name in WORD_LISTS:
        assert WordSearch(load_word_list(name)).find(fold(text)) == []


def test_phrases_are_found_once_in_any_writing_and_inside_each_other() -> None:
    search = WordSearch(["微信", "加微信", "ＱＱ咨询", "发票"])
    assert search.find(fold("加微信！加微信！發票 qq諮詢 Qq咨询")) == [
        "微信",
        "加微信",
        "qq咨询",
        "发票",
    ]
    assert search.find(fold("加微 信")) == []


def test_a_list_without_phrases_finds_nothing() -> None:
    assert WordSearch([]).find("加微信") == []
    assert WordSearch([""]).find("加微信") == []


@given(
    st.lists(st.text("加微信Ab發", min_size=1, max_size=3), max_size=5),
    st.text("加微信ABab发發", max_size=30),
)
def test_found_is_what_is_contained(words: list[str], text: str) -> None:
    search = WordSearch(words)
    assert search.find(fold(text)) == [word for word in search.words if word in fold(text)]


def test_unknown_list() -> None:
    with pytest.raises(SettingsError, match=r"'adverts'.*advertisement, sensitive"):
        load_word_list("adverts")
