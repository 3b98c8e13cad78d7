"""The title of a page without the name of its site."""

from __future__ import annotations

import html
import re
from urllib.parse import urlsplit

from filters.kernels.html_blocks import SHARED_TITLE, TITLE_SPAN, PageArrays
from filters.kernels.html_reading import first_heading, title_heading

_CHINESE = re.compile("[㐀-鿿]")
_SEPARATOR = re.compile(
    r"\s*(?:[_|｜]+|::)\s*|\s+[-–—·•»«/]+\s*|(?<=[^\x00-\x7f])-+(?=[^\x00-\x7f]|[A-Z])"
)
_SITE_WORD = re.compile(
    r"网|频道|论坛|博客|百科|门户|官方|资讯|新闻|日报|晚报|在线|公众号|\.com|blog", re.IGNORECASE
)
_PART_OF_WORK = re.compile(r"第|\d")
_TITLE_CHARACTERS = 300  # longer titles are cut here
_SOURCE_BYTES = 4096  # of a title in the page; more than _TITLE_CHARACTERS need
_SITE_NAME_CHARACTERS = 20
_PLAIN_SITE_NAME_CHARACTERS = 8  # a name without a word that gives it away


def page_title(page: bytes, arrays: PageArrays, url: str) -> str:
    """Returns the title of a page, one line of at most 300 characters; "" if it has none.

    A heading that the document's title begins with is the title. Failing that it is og:title or
    the document's title, cut where a site puts its name, or the first h1.

    Args:
      page: HTML as UTF-8; arrays: what was read of it.
      url: where the page is from; its host helps to tell the site's name from the title.
    """
    document_title = _title_line(page, arrays.span(TITLE_SPAN))
    heading = title_heading(arrays, document_title)
    if heading:
        return heading
    title = _title_line(page, arrays.span(SHARED_TITLE)) or document_title
    if title:
        return _without_site_name(title, url)
    return first_heading(arrays)[:_TITLE_CHARACTERS]


def _title_line(page: bytes, span: tuple[int, int]) -> str:
    start, end = span
    source = page[start : min(end, start + _SOURCE_BYTES)].decode("utf-8", "ignore")
    text = html.unescape(source).replace("\0", " ")
    return " ".join(text.split())[:_TITLE_CHARACTERS]


def _without_site_name(title: str, url: str) -> str:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:  # an address that is none, such as "http://[": no help, no harm
        host = ""
    while True:
        separators = list(_SEPARATOR.finditer(title))
        if not separators:
            return title
        rest, name = title[: separators[-1].start()], title[separators[-1].end() :]
        if not rest or not _is_site_name(name, rest, host):
            return title
        title = rest


def _is_site_name(name: str, title: str, host: str) -> bool:
    if len(name) > _SITE_NAME_CHARACTERS:
        return False
    if _SITE_WORD.search(name) or (host and "".join(name.lower().split()) in host):
        return True
    if _CHINESE.search(title) and not _CHINESE.search(name):
        return not _PART_OF_WORK.search(name)
    return len(name) <= _PLAIN_SITE_NAME_CHARACTERS and not _PART_OF_WORK.search(name)
