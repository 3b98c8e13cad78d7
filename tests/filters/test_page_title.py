"""The title of a page is its own, without the name of the site that it stands on."""

from __future__ import annotations

import pytest

from filters.main_text import extract_main_text

URL = "https://www.jiangchao.example/news/1.html"
FIRST = "白石渡老桥经过两年修缮，昨天上午重新开放，许多老人一早就来到桥头等候。"


def title_of(title: str, body: str = "", head: str = "", url: str = URL) -> str:
    page = f"<html><head><title>{title}</title>{head}</head><body>{body}</body></html>"
    return extract_main_text(page.encode(), url).title


@pytest.mark.parametrize(
    ("shown", "title"),
    [
        ("白石渡老桥重新开放_江潮网", "白石渡老桥重新开放"),
        ("白石渡老桥重新开放_新闻频道_江潮网", "白石渡老桥重新开放"),
        ("白石渡老桥重新开放 - 江潮日报在线", "白石渡老桥重新开放"),
        ("白石渡老桥重新开放 | Jiangchao Daily", "白石渡老桥重新开放"),
        ("白石渡老桥重新开放-江潮网", "白石渡老桥重新开放"),
        ("白石渡老桥重新开放 - jiangchao", "白石渡老桥重新开放"),
        ("白石渡的桥 - 第2章", "白石渡的桥 - 第2章"),
        ("两万字长文 | 白石渡老桥的一百个故事", "两万字长文 | 白石渡老桥的一百个故事"),
        ("A-B测试入门", "A-B测试入门"),
        ("江潮网", "江潮网"),
    ],
)
def test_title_is_without_the_name_of_the_site(shown: str, title: str) -> None:
    assert title_of(shown) == title


def test_title_is_the_heading_that_the_document_title_begins_with() -> None:
    body = f"<h1>老桥重新开放</h1><p>{FIRST}</p><h2>桥灯</h2>"
    assert title_of("老桥重新开放（图）—— 独家", body) == "老桥重新开放"
    og = '<meta property="og:title" content="老桥开放了">'
    assert title_of("江潮网", f"<p>{FIRST}</p>", og) == "老桥开放了"
    assert title_of("", body) == "老桥重新开放"


def test_address_that_is_none_does_no_harm() -> None:
    assert title_of("桥 - 江潮网", f"<p>{FIRST}</p>", url="http://[") == "桥"


def test_title_is_one_decoded_line_of_bounded_length() -> None:
    assert title_of("  白石渡\n 老桥&amp;桥灯 ") == "白石渡 老桥&桥灯"
    assert len(title_of("桥" * 5_000)) == 300
    assert title_of("</title><title>第二个题目") == ""


def test_title_of_a_picture_is_none_of_the_page() -> None:
    assert title_of("", "<svg><title>图标</title></svg><h1>老桥重新开放</h1>") == "老桥重新开放"
