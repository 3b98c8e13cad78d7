"""The lists that we ship are in matching form, do not fire by accident, and are searched right."""

from __future__ import annotations

import pytest

from filters.folding import fold
from filters.signals import Measurer
from filters.word_lists import WORD_LISTS, load_word_list
from pangu_settings import SettingsError

# Lists of phrases, each of which says something about a page; stop words are single characters.
PHRASES = tuple(name for name in WORD_LISTS if name != "stop_words")


@pytest.mark.parametrize("name", WORD_LISTS)
def test_shipped_lists_hold_each_entry_once_in_matching_form(name: str) -> None:
    words = load_word_list(name)
    assert len(set(map(fold, words))) == len(words)


@pytest.mark.parametrize("name", PHRASES)
def test_shipped_phrases(name: str) -> None:
    words = load_word_list(name)
    assert len(words) >= 50
    assert [word for word in words if fold(word) != word] == []
    assert [word for word in words if len(word) < 2] == []
    contained = [(a, b) for a in words for b in words if a != b and a in b]
    assert contained == []


def test_lists_share_no_phrase() -> None:
    every = [phrase for name in PHRASES for phrase in load_word_list(name)]
    assert len(set(every)) == len(every)


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
    found = Measurer({name: load_word_list(name) for name in PHRASES}).measure("", text)
    assert {found[f"{name}_hits"] for name in PHRASES} == {0}


def test_phrases_are_found_in_any_writing_and_inside_each_other() -> None:
    measurer = Measurer({"list": ["微信", "加微信", "ＱＱ咨询", "发票", ""]})
    found = measurer.measure("", "加微信！加微信！發票 qq諮詢 Qq咨询")
    assert (found["list_words"], found["list_hits"]) == (4, 7)
    assert measurer.measure("", "加微 信")["list_words"] == 0
    assert measurer.measure("加微", "信")["list_words"] == 0


def test_words_of_one_character() -> None:
    found = Measurer({"stop": ["的", "了", "與", "与"]}).measure("", "我的书與你的笔。")
    assert (found["stop_words"], found["stop_hits"]) == (2, 3)


def test_a_list_without_phrases_finds_nothing() -> None:
    assert Measurer({"list": []}).measure("", "加微信")["list_words"] == 0
    assert Measurer({"list": [""]}).measure("", "加微信")["list_words"] == 0


def test_unknown_list() -> None:
    with pytest.raises(SettingsError, match=r"'adverts'.*advertisement, sensitive"):
        load_word_list("adverts")
