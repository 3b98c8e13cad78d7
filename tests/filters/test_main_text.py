"""Main text is what a reader came for: not menus, not recommendations, not the next page."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters import main_text
from filters.extraction_libraries import MAX_NESTING
from filters.kernels import html_blocks
from filters.main_text import ExtractionError, MainText, MainTextSettings, extract_main_text
from pangu_settings import UserError

URL = "https://www.jiangchao.example/news/1.html"
FIRST = "白石渡老桥经过两年修缮，昨天上午重新开放，许多老人一早就来到桥头等候。"
SECOND = "桥面换上了新的石板，栏杆照老样子修复，只有桥灯是新的。"
COMMENT = "我小时候天天从这座桥上走过，现在看到它修好了，心里说不出的高兴，一定要带孩子去看看。"
MENU = (
    '<div class="top"><a href="/">首页</a> <a href="/n">新闻</a> <a href="/s">体育</a></div>'
    '<ul><li><a href="/1">市民清晨排队，只为一碗热汤面</a><li><a href="/2">三号线六月通车</a></ul>'
)


def text_of(body: str, head: str = "") -> str:
    return extract(f"<html><head>{head}</head><body>{MENU}{body}</body></html>").text


def extract(page: str, settings: MainTextSettings = MainTextSettings()) -> MainText:  # noqa: B008
    return extract_main_text(page.encode("utf-8", "replace"), URL, settings)


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
    assert extract(page).text == ""


def test_posts_of_a_thread_are_all_read_though_one_is_long() -> None:
    def post(text: str) -> str:
        return (
            '<div class="post odd"><div class="body"><p>' + text + "</p></div>"
            "<div class=tools>发表于昨天</div></div>"
        )

    thread = post(COMMENT) + "<div>展开全部</div>" + post("</p><p>".join([FIRST, SECOND] * 4))
    short = "<div>第二页的回答</div>" + post("我赞成，说得好。")
    assert text_of(thread + short + post(COMMENT)).split("\n") == [
        COMMENT,
        *[FIRST, SECOND] * 4,
        "我赞成，说得好。",
        COMMENT,
    ]


def test_boxes_alike_without_prose_make_no_thread() -> None:
    box = '<div class="module"><h3>排行</h3><a href=/1>江边的灯塔与旧信，一个夏天的故事</a></div>'
    article = f'<div class="module"><p>{FIRST}</p><p>{SECOND}</p></div>'
    assert text_of(box + article + box * 3) == f"{FIRST}\n{SECOND}"


def test_code_does_not_outweigh_the_chinese_around_it() -> None:
    code = "<pre>" + "call(first, second); other(third, fourth);\n" * 30 + "</pre>"
    body = f"<div><p>{FIRST}</p><div class=code>{code}</div><p>{SECOND}</p></div>"
    assert text_of(body).startswith(FIRST)
    assert text_of(body).endswith(SECOND)


LINKED_ARTICLE = (
    "<div class=text><div>" + f"<a href=/x>{SECOND[:14]}</a>{FIRST}<br>" * 20 + "</div></div>"
)


def test_library_is_asked_where_density_finds_next_to_nothing() -> None:
    page = f"<html><body>{MENU}{LINKED_ARTICLE}</body></html>"
    found = extract(page)
    assert found.method == "resiliparse"
    assert FIRST in found.text
    alone = extract(page, MainTextSettings(fallback=False))
    assert alone.method == "density"
    assert FIRST not in alone.text
    strict = extract(page, MainTextSettings(fallback_hanzi=100_000))
    assert strict.method == "density"


@pytest.mark.parametrize("method", ["resiliparse", "trafilatura"])
def test_library_may_be_chosen(method: str) -> None:
    if method == "trafilatura":
        pytest.importorskip("trafilatura")
    settings = MainTextSettings(method=method)
    found = extract(
        f"<title>老桥</title><body><div><p>{FIRST * 3}</p><p>{SECOND}</p></div>", settings
    )
    assert found.method == method
    assert FIRST in found.text
    assert found.title == "老桥"


def test_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "trafilatura", None)
    with pytest.raises(UserError, match="pip install"):
        extract(f"<p>{FIRST}</p>", MainTextSettings(method="trafilatura"))


def test_pages_that_would_cost_a_library_minutes_are_not_given_to_it() -> None:
    deep = "<div>" * (MAX_NESTING + 1) + FIRST
    with pytest.raises(ExtractionError, match="nested") as error:
        extract(deep, MainTextSettings(method="resiliparse"))
    assert error.value.error == "extraction_failed"
    assert extract(LINKED_ARTICLE + "<b>" * (MAX_NESTING + 1)).method == "density"


def test_bounds_on_size(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ExtractionError, match="bytes") as too_long:
        extract_main_text(b"x" * (main_text.MAX_PAGE_BYTES + 1), URL)
    monkeypatch.setattr(html_blocks, "MAX_BLOCKS", 10)
    monkeypatch.setattr(main_text, "MAX_BLOCKS", 10)
    with pytest.raises(ExtractionError, match="paragraphs or boxes") as too_many:
        extract("<p>a" * 11)
    errors = [too_long.value.error, too_many.value.error]
    assert errors == ["too_large", "too_large"]
    assert extract("<p>" + FIRST + "<p>a" * 7).text == FIRST


@pytest.mark.parametrize(
    "page",
    [
        "<div>" * 60_000 + FIRST,
        "<table><tr><td>" * 20_000 + FIRST,
        "<b>" * 60_000 + FIRST,
        "</section>" * 60_000 + FIRST,
        "<div>" * 600 + "</section>" * 60_000 + FIRST,
        "<" * 1_000_000 + f"<p>{FIRST}",
        "&" * 1_000_000 + f"<p>{FIRST}",
        "<!--" * 200_000 + f"--><p>{FIRST}",
        "<script>" + "</" * 500_000 + f"</script><p>{FIRST}",
        "<i b='" * 99_999 + f"'><p>{FIRST}",
        "<ul><li class=x>" * 100_000 + f"</ul><p>{FIRST}",
        '<div class="post">' * 100_000 + FIRST,
    ],
    ids=range(12),
)
def test_odd_pages_cost_no_more_than_their_size(page: str) -> None:
    assert extract(page).text.endswith(FIRST)


def test_one_character_repeated() -> None:
    assert extract("中" * 5_000_000).text == "中" * 5_000_000
    assert extract("\0" * 5_000_000).text == ""
    assert extract(" " * 5_000_000).text == ""


def test_bytes_that_are_no_characters_count_as_blanks() -> None:
    page = f"<p>{FIRST}\x00".encode() + b"\xff\x80\xe4<b>\xe4\xb8" + f"{SECOND}</p>".encode()
    found = extract_main_text(page, URL).text
    assert found.startswith(FIRST + " ")
    assert SECOND[1:] in found


def test_result_depends_on_the_page_only() -> None:
    pages = [f"<p>{FIRST}</p><p>{SECOND}</p>", f"<p>{SECOND}</p><p>{COMMENT}</p>"] * 2
    forth = [extract(page) for page in pages]
    back = [extract(page) for page in reversed(pages)]
    assert forth == back[::-1]


PIECES = [
    *(f"<{tag}>" for tag in ("div", "p", "ul", "li", "table", "tr", "td", "pre", "a href=x", "h1")),
    *(f"</{tag}>" for tag in ("div", "p", "ul", "table", "tr", "td", "pre", "a", "h1", "html")),
    *("<br>", "<!--", "-->", "<script>", "</script>", '<div class="comment">', "&nbsp;", "&#0;"),
    *(FIRST, SECOND, "首页", "\n", "<", '"', "\x00", "<p style='display:none'>"),
]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join) | st.text(max_size=100))
@settings(max_examples=300)
def test_any_page_ends_as_tidy_text(page: str) -> None:
    found = extract(page)
    lines = found.text.split("\n") if found.text else []
    assert all(line.strip() for line in lines)
    assert "\n" not in found.title
