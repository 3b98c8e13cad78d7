"""Which blocks are prose, and which of them are the main text."""

from __future__ import annotations

import pytest
from html_soup import SOUP
from hypothesis import given
from hypothesis import strategies as st

from filters.kernels.html_blocks import read_page
from filters.kernels.html_density import LINK_SHARE, main_blocks, main_blocks_reference
from filters.kernels.html_elements import IN_FIRST_HEADING, IN_HEADING
from filters.kernels.html_prose import is_furniture_reference, weigh_reference
from filters.kernels.html_reading import (
    READABLE_CHARACTERS,
    first_heading,
    hanzi_of_blocks,
    text_of_blocks,
    title_heading,
)
from filters.kernels.html_text import Block

FIRST = "白石渡老桥经过两年修缮，昨天上午重新开放，许多老人一早就来到桥头等候。"
SECOND = "桥面换上了新的石板，栏杆照老样子修复，只有桥灯是新的。"


def chosen(source: str) -> list[str]:
    """Texts of the main blocks, by the kernel and by the reference."""
    arrays = read_page(source.encode())
    page = arrays.to_page()
    indexes = main_blocks(arrays)
    assert indexes.tolist() == main_blocks_reference(page)
    return text_of_blocks(arrays, indexes).split("\n") if len(indexes) else []


@pytest.mark.parametrize(
    ("block", "weight"),
    [
        (Block.of(FIRST), 35.0),
        (Block.of("他说：好，走。"), 0.3 * 7),
        (Block.of("轻轻的我走了正如我轻轻的来到这里"), 0.2 * 16),
        (Block.of("轻轻的我走了"), 0.0),
        (Block.of(FIRST, link_characters=5), 15.0),
        (Block.of(FIRST, link_characters=9), 0.0),
        (Block.of(f"{FIRST}[详细]", link_characters=2), 0.0),
        (Block.of(f"{FIRST}[详细]"), 39.0),
        (Block.of("版权所有，未经书面授权，请勿转载。"), 0.0),
        (Block.of(f"{FIRST}版权所有。{FIRST}"), 75.0),
        (Block.of("total(a, b); total(c, d); total(e, f);", flags=16), 0.2 * 38),
        (Block.of(FIRST, flags=16), 35.0),
    ],
    ids=range(12),
)
def test_weight_is_the_characters_of_prose(block: Block, weight: float) -> None:
    assert weigh_reference(block) == pytest.approx(weight)


def test_line_of_a_site_is_furniture_and_a_sentence_about_it_is_not() -> None:
    assert is_furniture_reference(Block.of("责任编辑：王小明"))
    assert not is_furniture_reference(Block.of("他做了三十年责任编辑，" + FIRST))


BLOCKS = [
    *(f"<p>{text}</p>" for text in (FIRST, SECOND, FIRST * 4, "首页", "责任编辑：某某", "好。")),
    *(f"<p><a href=x>{text}</a></p>" for text in (FIRST, "首页", f"{SECOND}[详细]")),
    f"<p>{FIRST}<a>查看 》</a></p>",
    *("<div>", "</div>", '<div class="post odd">', "<div class=post>", '<div class="comments">'),
    *("<ul><li>", "</ul>", f"<h2>{SECOND[:6]}</h2>", "<div class=x><div>", "</div></div>", "<pre>"),
]


@given(st.lists(st.sampled_from(BLOCKS), max_size=30).map("".join))
def test_kernel_chooses_what_the_reference_chooses(source: str) -> None:
    chosen(source)


def test_headings_above_the_first_prose_belong_to_it() -> None:
    page = f"<h1>老桥</h1><h2>修缮</h2><p>{FIRST}</p><p>{SECOND}</p><h2>相关</h2>"
    assert chosen(page) == ["老桥", "修缮", FIRST, SECOND]


def test_list_that_is_most_of_a_text_is_not_all_of_it() -> None:
    page = f"<div><p>{FIRST}</p><ul><li>{FIRST * 3}<li>{SECOND * 3}</ul><p>{SECOND}</p></div>"
    assert chosen(page) == [FIRST, FIRST * 3, SECOND * 3, SECOND]


def test_page_without_prose_has_no_main_text() -> None:
    assert chosen("") == []
    assert chosen("<p>首页</p><p>新闻</p>") == []


def test_heading_that_the_title_begins_with() -> None:
    arrays = read_page("<h1>老桥</h1><h2>老桥重新</h2><h3>老桥重新开</h3><p>老桥重新开放".encode())
    assert title_heading(arrays, "老桥重新开放_江潮网") == "老桥重新开"
    assert title_heading(arrays, "老桥") == ""
    assert title_heading(arrays, "") == ""
    assert first_heading(arrays) == "老桥"
    assert first_heading(read_page(b"<h2>x</h2>")) == ""


@given(SOUP, st.sampled_from(["一二三四五", "这是一句话，有两个标点。", ""]))
def test_what_is_read_off_the_blocks(source: str, title: str) -> None:
    arrays = read_page(source.encode())
    blocks = arrays.to_page().blocks
    chosen_blocks = main_blocks(arrays)
    readable = [
        block.hanzi
        for block in blocks
        if block.characters >= READABLE_CHARACTERS
        and block.link_characters < LINK_SHARE * block.characters
    ]
    found = sum(blocks[index].hanzi for index in chosen_blocks)
    assert hanzi_of_blocks(arrays, chosen_blocks) == (found, sum(readable))
    headings = [block.text for block in blocks if block.flags & IN_HEADING]
    repeated = [text for text in headings if len(text) >= 4 and title.startswith(text)]
    assert title_heading(arrays, title) == max(repeated, key=len, default="")
    firsts = [block.text for block in blocks if block.flags & IN_FIRST_HEADING]
    assert first_heading(arrays) == next(iter(firsts), "")
