"""Cleaning takes out what is not text, leaves sentences alone, and does nothing the second time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from filters.clean import KEPT, REMOVAL_REASONS, Cleaner, CleanSettings
from filters.kernels.repeated_lines import MIN_PARAGRAPH_CHARACTERS
from filters.kernels.text_batch import TextBatch

CLEANER = Cleaner(CleanSettings())
STEPS = ["symbols", "navigation", "duplicate_paragraphs", "simplify", "width"]
PARAGRAPH = "白石渡老桥经过两年修缮，昨天上午重新开放，许多老人一早就来到桥头等候，还带来了孙子。"


def cleaned(text: str) -> str:
    return CLEANER.clean(text).text


def test_a_page_loses_its_furniture_and_says_why() -> None:
    page = [
        "首页 > 新闻 > 正文",
        PARAGRAPH,
        "★★★★★",
        "桥面换上了新的石板。",
        PARAGRAPH,
        "分享到：微信 微博",
        "（责任编辑：王小明）",
    ]
    result = CLEANER.clean("\n".join(page))
    assert result.text == f"{PARAGRAPH}\n桥面换上了新的石板。"
    assert {reason: lines for reason, lines in result.removed.items() if lines} == {
        "duplicate_paragraph": 1,
        "navigation_path": 1,
        "navigation_menu": 1,
        "credit": 1,
        "symbols": 1,
    }


def test_marks_of_chinese_sentences_keep_their_width() -> None:
    sentence = "他问：“真的？”「是的。」（后来，没有人；谁也没有）再说！《老桥》……——"
    assert cleaned(sentence) == sentence


def test_full_width_letters_digits_and_spaces_become_half_width() -> None:
    assert cleaned("　　地铁３号线全长２８公里，Ａ口　Ｂ口") == "地铁3号线全长28公里，A口 B口"


def test_traditional_text_becomes_simplified() -> None:
    assert cleaned("護城河邊的夜鷺，捕魚很有耐心。") == "护城河边的夜鹭，捕鱼很有耐心。"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("桥\u200b面\ufeff换上\u00ad了\x07新的\ue5e5石板\ufffd\ufffd。", "桥面换上了新的石板。"),
        ("★☆★ 好消息 ★☆★", "好消息"),
        ("■桥面换上了新的石板。", "桥面换上了新的石板。"),
        ("好◆◆◆◆消息", "好 消息"),
        ("太好了！！！！真的？？？", "太好了！真的？"),
        ("等一等。。。。。。", "等一等。"),
        ("目录........................12", "目录...12"),
        ("姓名____________", "姓名___"),
        ("真的？！", "真的？！"),
        ("二○○八年", "二○○八年"),
        (
            "笑脸\U0001f600一家\U0001f468\u200d\U0001f469",
            "笑脸\U0001f600一家\U0001f468\u200d\U0001f469",
        ),
        ("1.  桥面\t\t换上了", "1. 桥面 换上了"),
    ],
)
def test_symbols(before: str, after: str) -> None:
    assert cleaned(before) == after


def test_lines_without_a_word_are_removed_but_a_closing_brace_is_code() -> None:
    result = CLEANER.clean("——\n· · ·\n}\n……\n***\n(1)")
    assert result.text == "}\n(1)"
    assert result.removed["symbols"] == 4


def test_short_lines_and_code_may_come_back() -> None:
    refrain = "是的。\n" * 3 + "临其穴，惴惴其栗。彼苍者天，歼我良人！如可赎兮，人百其身！\n" * 3
    code = "public static void main(String[] arguments) {\n" * 2
    assert cleaned(refrain + code) == (refrain + code).rstrip()


def test_words_of_a_menu_one_below_the_other() -> None:
    menu = ["首页", "新闻", "[体育]", "登录"]
    result = CLEANER.clean("\n".join([*menu, "★★", "更多>>", PARAGRAPH, "美食", "旅游", "历史"]))
    assert result.text == f"{PARAGRAPH}\n美食\n旅游\n历史"
    assert result.removed["navigation_menu"] == 5


def test_unknown_words_of_a_menu_go_with_it_and_headings_beside_it_stay() -> None:
    menu = ["首页", "桥梁", "新闻", "舟楫", "[体育]", "渡口", "登录"]
    assert cleaned("\n".join(["老桥", *menu, "重新开放", PARAGRAPH])) == (
        f"老桥\n重新开放\n{PARAGRAPH}"
    )
    verses = ["白日依山尽", "黄河入海流", "旅游", "欲穷千里目", "更上一层楼", "历史", "文化"]
    assert cleaned("\n".join(verses)) == "\n".join(verses)


def test_a_short_line_stands_no_more_often_than_documents_say_it() -> None:
    result = CLEANER.clean("桥。\n关注公众\n" * 30 + "道姑道：\n是。\n" * 10)
    assert result.text.count("关注公众") == CleanSettings().repeated_short_lines
    assert result.text.count("道姑道：") == 10
    assert result.removed["repeated_short_line"] == 2 * 20


def test_paragraph_is_kept_where_it_first_stands() -> None:
    assert len(PARAGRAPH) >= MIN_PARAGRAPH_CHARACTERS
    assert cleaned(f"{PARAGRAPH}\n  {PARAGRAPH}  \n桥。\n{PARAGRAPH}") == f"{PARAGRAPH}\n桥。"


def test_a_step_that_is_off_does_nothing() -> None:
    text = f"首页 > 新闻\n★★★\n{PARAGRAPH}\n{PARAGRAPH}\n護城河３號"
    off = dict.fromkeys(STEPS, False) | {"repeated_short_lines": 0}
    assert Cleaner(CleanSettings(**off)).clean(text).text == text
    for name in STEPS:
        assert Cleaner(CleanSettings(**{**off, name: True})).clean(text).text != text


def test_empty_text() -> None:
    assert CLEANER.clean("").text == ""
    assert CLEANER.clean("\n \u3000\n").removed == dict.fromkeys(REMOVAL_REASONS, 0)


RECIPES = st.builds(
    CleanSettings,
    **dict.fromkeys(STEPS, st.booleans()),
    repeated_short_lines=st.integers(0, 2),
    sentence_lines_only=st.booleans(),
    sentence_marks=st.sampled_from(["。！", "。！？…”："]),
    min_line_characters=st.integers(0, 4),
)
LINES = st.sampled_from(
    [
        PARAGRAPH,
        "首页",
        "新闻",
        "登录",
        "上一篇：老桥",
        "分享到",
        "！！",
        "★",
        "★ ",
        "…",
        "。",
        "乾隆",
        "畢昇",
        "一目瞭然",
        "１",
        "a",
    ]
)
CHARACTERS = st.text("桥乾髮薴後的。！…★■○ 　\n\u200b\ufffd}1Ａ|>.-\u200d\U0001f600", max_size=30)


@example(["1\u200d★"], "")
@given(
    st.lists(LINES | CHARACTERS | st.text(max_size=20), max_size=12), st.sampled_from(["", "\n"])
)
@settings(max_examples=500, deadline=None)
def test_cleaning_twice_is_cleaning_once(pieces: list[str], between: str) -> None:
    once = CLEANER.clean(between.join(pieces))
    assert tuple(once.removed) == REMOVAL_REASONS
    twice = CLEANER.clean(once.text)
    assert twice.text == once.text
    assert not any(twice.removed.values())


@given(st.text(max_size=200), RECIPES)
@settings(max_examples=200, deadline=None)
def test_any_text_ends_as_trimmed_lines(text: str, recipe: CleanSettings) -> None:
    result = Cleaner(recipe).clean(text)
    assert all(line and line == line.strip() for line in result.text.splitlines())
    result.text.encode()  # no lone surrogates are left


MENUS = st.lists(
    st.sampled_from(["首页", "[新闻]", "体育", "登录", "老桥", "★", "桥面换上了石板。"])
)


@given(st.lists(MENUS, max_size=4))
def test_menus_of_a_batch_are_those_of_its_documents(documents: list[list[str]]) -> None:
    texts = ["\n".join(lines) for lines in documents]
    assert_batch_equals_reference(CLEANER, texts)
    for text in texts:
        assert cleaned(cleaned(text)) == cleaned(text)


DOCUMENTS = st.lists(
    st.lists(LINES | CHARACTERS | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)),
    max_size=5,
)


@example([], CleanSettings())
@example([["★"]], CleanSettings(sentence_lines_only=True))
@given(DOCUMENTS, RECIPES)
@settings(max_examples=300, deadline=None)
def test_a_batch_is_cleaned_as_its_documents_are(
    documents: list[list[str]], recipe: CleanSettings
) -> None:
    texts = ["\n".join(lines) for lines in documents]
    assert_batch_equals_reference(Cleaner(recipe), texts)


def assert_batch_equals_reference(cleaner: Cleaner, texts: list[str]) -> None:
    batch = cleaner.clean_batch(TextBatch.from_strings(texts))
    expected = [cleaner.clean(text) for text in texts]
    assert batch.texts.to_strings() == [one.text for one in expected]
    assert tuple(batch.removed) == REMOVAL_REASONS
    for reason, lines in batch.removed.items():
        assert lines.dtype == np.int32
        assert lines.tolist() == [one.removed[reason] for one in expected], reason
    assert batch.traditional.tolist() == [one.traditional for one in expected]
    assert batch.hanzi.tolist() == [one.hanzi for one in expected]
    explained = [line for text in texts for line in cleaner.explain(text)]
    assert batch.lines.to_strings() == [line.cleaned for line in explained]
    codes = {None: KEPT} | {reason: code for code, reason in enumerate(REMOVAL_REASONS)}
    assert batch.reasons.tolist() == [codes[line.reason] for line in explained]
