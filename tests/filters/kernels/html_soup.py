"""Made-up pages in which anything may stand beside anything, for tests of the HTML kernels."""

from __future__ import annotations

from hypothesis import strategies as st

# fmt: off
_TAGS = [
    "html", "body", "br", "hr", "div", "p", "h1", "h2", "h3", "ul", "ol", "li", "dl", "dd", "dt",
    "table", "caption", "tbody", "tr", "td", "th", "pre", "nav", "aside", "template", "button",
    "select", "option", "svg", "script", "style", "title", "textarea", "noscript", "a", "ruby",
    "rt", "span", "b", "meta", "x-own", "blockquote", "form", "article", "section", "head",
]
_ATTRIBUTES = [
    "", "", "", " hidden", " class=comment", ' class="main-nav x"', ' style="display: none"',
    " style=DISPLAY:none", " id=toc", ' href="a>b"', " a='b", ' "', " =x", ' class = "x y"',
    " Class=post", ' property=og:title content="T &amp; x"', "/", " /", " class", " style='a:b'",
    ' http-equiv=Refresh content="0;url=x"', "\x00", " 中=文 class=\u3000x", " id='a' id=share",
]
_TEXTS = [
    "中文，测试。", "这是一句话，有两个标点。" * 3, "这是一句话，有两个标点。" * 2, "文" * 16,
    "全文】", "上一篇", "abc, d", " ", "\n", "\n  ", "\t", "\u3000", "&nbsp;", "&#20013;",
    "&nGt;", "&#0;", "&#10;", "\x00", "<", "</", "</>", "<!", "<!-- x > -->", "<!-->",
    "<!--->", "<!--!>", "<!-- a --!>", "<?x>", "-->", '"', "'", ">", "首页", "😀", "𠀀",
    "a,b;", "&lt", "&notit;", "！", "x" * 20, "字" * 25, "</3", "<!---!>", "\r\n", "&#13;",
    "\xa0", "e,", "\u2028", "\x1f", "１２", "<DIV", "</script",
]
# fmt: on


def _tags() -> st.SearchStrategy[str]:
    names = st.sampled_from(_TAGS + [tag.upper() for tag in _TAGS[:12]])
    starts = st.builds("<{}{}>".format, names, st.sampled_from(_ATTRIBUTES))
    ends = st.builds("</{}{}>".format, names, st.sampled_from(["", "", " ", "/"]))
    return starts | ends


SOUP = st.lists(_tags() | st.sampled_from(_TEXTS), max_size=40).map("".join)


@st.composite
def mutated(draw: st.DrawFn, page: str) -> str:
    """A page with pieces taken out, doubled, or replaced by soup."""
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(page)))
        end = start + draw(st.integers(0, 200))
        piece = draw(st.just("") | st.just(page[start:end] * 2) | SOUP)
        page = page[:start] + piece + page[end:]
    return page
