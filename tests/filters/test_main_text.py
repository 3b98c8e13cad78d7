"""Main text is what a reader came for: not menus, not recommendations, not the next page."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters import main_text
from filters.main_text import ExtractionError, MainText, extract_main_text
from filters.page_blocks import read_page

URL = "https://www.jiangchao.example/news/1.html"
FIRST = "白石渡老桥经过两年修缮，昨天上午重新开放，许多老人一早就来到桥头等候。"
SECOND = "桥面换上了新的石板，栏杆照老样子修复，只有桥灯是新的。"
COMMENT = "我小时候天天从这座桥上走过，现在看到它修好了，心里说不出的高兴，一定要带孩子去看看。"
MENU = (
    '<div class="top"><a href="/">首页</a> <a href="/n">新闻</a> <a href="/s">体育</a></div>'
    '<ul><li><a href="/1">市民清晨排队，只为一碗热汤面</a><li><a href="/2">三号线六月通车</a></ul>'
)


def text_of(body: str, head: str = "") -> str:
    page = f"<html><head>{head}</head><body>{MENU}{body}</body></html>"
    return extract_main_text(page, URL).text


def title_of(title: str, body: str = "", head: str = "") -> str:
    page = f"<html><head><title>{title}</title>{head}</head><body>{body}</body></html>"
    return extract_main_text(page, URL).title


def test_article_is_found_among_menus_and_recommendations() -> None:
    body = (
        f"<div id=a><p>{FIRST}</p><p>{SECOND}</p><p><a href=/3>相关阅读：老桥今昔</a></p></div>"
        '<div class="recommend"><p>石板路上的老茶馆，每天都坐满了喝早茶的客人。</p></div>'
        "<div>京ICP备00000000号 版权所有</div>"
    )
    assert text_of(body) == f"{FIRST}\n{SECOND}"


def test_comments_are_left_out_of_an_article_however_long() -> None:
    comments = f'<div class="comments">{f"<p>{COMMENT}</p>" * 8}</div>'
    assert text_of(f"<div><p>{FIRST}</p><p>{SECOND}</p></div>{comments}") == f"{FIRST}\n{SECOND}"


def test_posts_of_a_thread_are_its_text_though_its_boxes_are_named_comments() -> None:
    posts = "".join(f'<div class="comment-item"><p>{COMMENT}{n}</p></div>' for n in range(3))
    found = text_of(f'<div class="comments">{posts}</div>')
    assert found.split("\n") == [f"{COMMENT}{n}" for n in range(3)]


def test_paragraphs_set_with_line_breaks_inside_layout_tables() -> None:
    column = "<td width=180><a href=/1>江边的灯塔</a><br><a href=/2>旧信</a></td>"
    body = f"<table><tr>{column}<td>　　{FIRST}<br><br>　　{SECOND}</td></tr></table>"
    assert text_of(body) == f"{FIRST}\n{SECOND}"


def test_headings_stay_with_the_text_below_them() -> None:
    body = f"<div><h2>修缮</h2><p>{FIRST}</p><h2>开放</h2><p>{SECOND}</p></div>"
    assert text_of(body) == f"修缮\n{FIRST}\n开放\n{SECOND}"


def test_verse_without_marks_is_found() -> None:
    lines = ["轻轻的我走了正如我轻轻的来到这里", "我轻轻的招手作别西天边上的那片云彩"]
    assert text_of("<div>" + "<br>".join(lines) + "</div>") == "\n".join(lines)


def test_rows_of_data_are_lines() -> None:
    table = "<table><tr><th>年份<th>长度<tr><td>1987<td>312米</table>"
    assert text_of(f"<div><p>{FIRST}</p>{table}<p>{SECOND}</p></div>").split("\n") == [
        FIRST,
        "年份 长度",
        "1987 312米",
        SECOND,
    ]


def test_code_keeps_its_lines_and_does_not_pass_for_prose() -> None:
    code = "<pre>total = 0\nfor x in row:\n    total += x</pre>"
    body = f"<div><p>{FIRST}</p>{code}<p>{SECOND}</p></div>"
    assert text_of(body).split("\n") == [
        FIRST,
        "total = 0",
        "for x in row:",
        "    total += x",
        SECOND,
    ]
    assert text_of("<pre>" + "f(a,b);g(c,d);\n" * 50 + f"</pre><p>{FIRST}</p>").endswith(FIRST)


def test_lines_wrapped_in_the_source_are_joined_without_a_space() -> None:
    wrapped = FIRST[:12] + "\n      " + FIRST[12:]
    assert text_of(f"<p>{wrapped}</p>") == FIRST


def test_hidden_text_is_not_shown() -> None:
    hidden = f'<p style="display: none">{COMMENT}</p><p hidden>{COMMENT}</p>'
    assert text_of(f"<div><p>{FIRST}</p>{hidden}<p>{SECOND}</p></div>") == f"{FIRST}\n{SECOND}"


@pytest.mark.parametrize(
    "page",
    [
        "",
        "   ",
        "<html></html>",
        f"<html><body>{MENU}</body></html>",
        '<html><head><meta http-equiv="Refresh" content="0; URL=/new"></head>'
        f"<body><p>{SECOND}</p></body></html>",
        f'<?xml version="1.0"?><rss><channel><item><title>{FIRST}</title></item></channel></rss>',
        f'<?xml version="1.0"?>\n<feed xmlns="x"><entry><summary>{FIRST}</summary></entry></feed>',
    ],
    ids=["nothing", "spaces", "no body", "menu", "redirect", "rss", "atom"],
)
def test_pages_without_main_text(page: str) -> None:
    assert extract_main_text(page, URL).text == ""


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


def test_bounds_on_size_and_depth() -> None:
    with pytest.raises(ExtractionError) as too_long:
        extract_main_text("中" * (main_text.MAX_HTML_CHARACTERS + 1), URL)
    with pytest.raises(ExtractionError) as too_many:
        extract_main_text("<b>" * (main_text.MAX_TAGS + 1), URL)
    with pytest.raises(ExtractionError) as too_deep:
        extract_main_text("<div>" * 60_000 + FIRST, URL)
    errors = [too_long.value.error, too_many.value.error, too_deep.value.error]
    assert errors == ["too_large", "too_large", "extraction_failed"]
    assert extract_main_text("<div>" * 1_500 + FIRST, URL).text == FIRST


def test_characters_that_no_page_may_hold() -> None:
    assert extract_main_text(f"<p>{FIRST}\x00\ud800{SECOND}</p>", URL).text.startswith(FIRST)


def test_address_that_is_none_does_no_harm() -> None:
    assert extract_main_text(f"<title>桥 - 江潮网</title><p>{FIRST}</p>", "http://[").title == "桥"


def test_result_depends_on_the_page_only() -> None:
    pages = [f"<p>{FIRST}</p><p>{SECOND}</p>", f"<p>{SECOND}</p><p>{COMMENT}</p>"] * 2
    forth = [extract_main_text(page, URL) for page in pages]
    back = [extract_main_text(page, URL) for page in reversed(pages)]
    assert forth == back[::-1]


PIECES = [
    *(f"<{tag}>" for tag in ("div", "p", "ul", "li", "table", "tr", "td", "pre", "a href=x", "h1")),
    *(f"</{tag}>" for tag in ("div", "p", "ul", "table", "tr", "td", "pre", "a", "h1", "html")),
    *("<br>", "<!--", "-->", "<script>", "</script>", '<div class="comment">', "&nbsp;", "&#0;"),
    *(FIRST, SECOND, "首页", "\n", "<", '"', "\x00", "<p style='display:none'>"),
]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join) | st.text(max_size=100))
@settings(max_examples=300, deadline=None)
def test_any_page_ends_as_tidy_text(page: str) -> None:
    found = extract_main_text(page, URL)
    assert isinstance(found, MainText)
    lines = found.text.split("\n") if found.text else []
    assert all(line.strip() for line in lines)
    assert "\n" not in found.title


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
@settings(max_examples=200, deadline=None)
def test_boxes_hold_runs_of_blocks_inside_their_parents(source: str) -> None:
    page = read_page(source)
    if page is None:
        return
    boxes = [page.box]
    while boxes:
        box = boxes.pop()
        assert 0 <= box.start <= box.end <= len(page.blocks)
        ends = [
            box.start,
            *(end for inner in box.boxes for end in (inner.start, inner.end)),
            box.end,
        ]
        assert ends == sorted(ends)
        boxes.extend(box.boxes)
