"""The main text and the title of an HTML page, by where its Chinese prose is dense.

PanGu-α does not say how text was taken from Common Crawl's pages (§3.1.1 begins after it). This is
a density method made for Chinese pages: prose has sentence marks and few links, menus and
recommendations have links and no marks. Four steps:

1. weigh: each block's characters outside links count as prose, fully where it has sentence marks;
2. set aside: boxes that authors named comments, recommendations, menus do not count, unless the
   page has next to nothing else (a thread, a page of short reviews);
3. descend: from the whole page into the box that holds most of the prose, as long as there is one;
4. read: from the first to the last prose block of that box, leaving out blocks made of links.

A result depends on its page only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field

from filters.page_blocks import Block, Box, Page, PageError, read_page
from pangu_settings import Settings

# Bounds on the work for one page; docs/filters.md says what a page at these sizes costs.
MAX_HTML_CHARACTERS = 10_000_000
MAX_TAGS = 300_000

# Weights and limits, chosen on pages with hand-made main text; docs/filters.md has the table.
LINK_COST = 4.0  # characters of prose that each character inside a link takes away
UNMARKED_WEIGHT = 0.2  # of a block without sentence marks (verse, captions, chatty blogs)
SHORT_WEIGHT = 0.3  # of a short block with a mark (a line of dialogue)
BOX_SHARE = 0.6  # descend into a box with this share of the prose
BESIDE_SHARE = 0.1  # prose outside comment-like boxes below this share: the page is those boxes
LINK_SHARE = 0.4  # a block with this share of links is not text even amid prose
MIN_PROSE = 5.0  # prose characters that a main text has at least

# Boxes that are parts of a text: the text around them would be lost by descending into one.
_PARTS_OF_TEXT = frozenset({"blockquote", "dl", "ol", "pre", "ul"})

# A mark of Western writing counts where a space follows, so that code is not taken for prose.
_SENTENCE_MARK = re.compile(r"[，。！？；：、…]|[,;!?](?=\s|$)")
# Blocks that end in a link like these are the teaser of another page.
_TEASER_END = re.compile(r"(?:详细|详情|全文|更多|查看|\.\.\.|…)\W*$")
_FURNITURE_WORD = re.compile(
    "版权所有|ICP备|责任编辑|上一篇|下一篇|Copyright|分享到|扫一扫|相关阅读|免责声明|举报|登录|注册"
)
_FURNITURE_CHARACTERS = 40  # a block as long as this with such a word is a sentence about it

_FIRST_ELEMENT = re.compile(r"<([A-Za-z][\w:.-]*)")
_FEED_ELEMENTS = frozenset({"rss", "feed", "rdf:rdf"})
_FEED_HEAD_CHARACTERS = 2_000
_STUB_CHARACTERS = 200  # a page that sends its reader on and shows less than this is a stub

_CHINESE = re.compile("[㐀-鿿]")
_TITLE_SEPARATOR = re.compile(
    r"\s*(?:[_|｜]+|::)\s*|\s+[-–—·•»«/]+\s*|(?<=[^\x00-\x7f])-+(?=[^\x00-\x7f]|[A-Z])"
)
_SITE_WORD = re.compile(
    r"网|频道|论坛|博客|百科|门户|官方|资讯|新闻|日报|晚报|在线|公众号|\.com|blog", re.IGNORECASE
)
_PART_OF_WORK = re.compile(r"第|\d")
_TITLE_CHARACTERS = 300  # longer titles are cut here
_SITE_NAME_CHARACTERS = 20
_PLAIN_SITE_NAME_CHARACTERS = 8  # a name without a word that gives it away


Method = Literal["density", "resiliparse", "trafilatura"]


class MainTextSettings(Settings):
    """How the main text of a page is found."""

    method: Method = Field("density", description="what finds the main text")


class ExtractionError(Exception):
    """A page whose main text cannot be had.

    Attributes:
      error: "too_large" or "extraction_failed", the words of the dead-letter vocabulary.
      detail: what happened, with the number or the parser's message.
    """

    def __init__(self, error: str, detail: str) -> None:
        super().__init__(f"{error}: {detail}")
        self.error = error
        self.detail = detail


@dataclass(frozen=True)
class MainText:
    """Title and main text of a page; paragraphs are joined by a line break, "" if there is none."""

    title: str
    text: str
    method: str = "density"


def extract_main_text(
    page: bytes | str, url: str, settings: MainTextSettings = MainTextSettings()
) -> MainText:
    """Returns the title and the main text of a page.

    Feeds, pages that only send the reader elsewhere and pages without prose have the text "".

    Args:
      page: HTML as valid UTF-8.
      url: where the page is from; its host helps to tell the site's name from the title.

    Raises:
      ExtractionError: the page is larger than MAX_HTML_CHARACTERS or MAX_TAGS, or the parser
        gives up on it.
    """
    source = page if isinstance(page, str) else page.decode("utf-8", "replace")
    if len(source) > MAX_HTML_CHARACTERS:
        raise ExtractionError(
            "too_large", f"{len(source)} characters of HTML, more than {MAX_HTML_CHARACTERS}"
        )
    tags = source.count("<")
    if tags > MAX_TAGS:
        raise ExtractionError("too_large", f"{tags} tags, more than {MAX_TAGS}")
    if _is_feed(source):
        return MainText("", "")
    try:
        blocks = read_page(source)
    except PageError as error:
        raise ExtractionError("extraction_failed", str(error)) from error
    if blocks is None:
        return MainText("", "")
    text = "" if _is_redirect_stub(blocks) else _main_text(blocks)
    return MainText(_title(blocks, url), text)


def prose_weight(block: Block) -> float:
    """Returns how many characters of prose a block counts for; 0 for links, menus, furniture."""
    length = len(block.text)
    free = length - LINK_COST * block.link_characters
    if free <= 0 or _is_furniture(block):
        return 0.0
    if block.link_characters and _TEASER_END.search(block.text):
        return 0.0
    marks = len(_SENTENCE_MARK.findall(block.text))
    if (marks >= 2 and length >= 15) or (marks and length >= 30):
        return free
    if length >= 15:
        return UNMARKED_WEIGHT * free
    return SHORT_WEIGHT * free if marks else 0.0


def _main_text(page: Page) -> str:
    weights = [prose_weight(block) for block in page.blocks]
    main_weights = [
        0.0 if block.is_beside else weight
        for block, weight in zip(page.blocks, weights, strict=True)
    ]
    beside_is_main = sum(main_weights) < BESIDE_SHARE * sum(weights)
    if beside_is_main:
        main_weights = weights
    box, prose = _densest_box(page.box, main_weights)
    if prose < MIN_PROSE:
        return ""
    return "\n".join(
        block.text
        for block in _prose_run(page.blocks, main_weights, box)
        if (beside_is_main or not block.is_beside) and _is_text(block)
    )


def _densest_box(box: Box, weights: list[float]) -> tuple[Box, float]:
    """The innermost box reached by descending where the prose is, and the prose in it."""
    before = [0.0]  # before[i]: prose of the blocks in front of block i
    for weight in weights:
        before.append(before[-1] + weight)
    prose = before[box.end] - before[box.start]
    while prose > 0:
        inner = next(
            (b for b in box.boxes if before[b.end] - before[b.start] >= BOX_SHARE * prose), None
        )
        if inner is None or inner.tag in _PARTS_OF_TEXT:
            break
        if inner.end - inner.start == 1 and box.end - box.start > 1:
            break  # one long paragraph is not the box of the text around it
        box, prose = inner, before[inner.end] - before[inner.start]
    return box, prose


def _prose_run(blocks: list[Block], weights: list[float], box: Box) -> list[Block]:
    """The blocks of a box from its first prose (and the headings above it) to its last."""
    prose = [index for index in range(box.start, box.end) if weights[index] > 0]
    first = prose[0]
    while first > box.start and blocks[first - 1].is_heading:
        first -= 1
    return blocks[first : prose[-1] + 1]


def _is_text(block: Block) -> bool:
    return block.link_characters < LINK_SHARE * len(block.text) and not _is_furniture(block)


def _is_furniture(block: Block) -> bool:
    short = len(block.text) < _FURNITURE_CHARACTERS
    return short and _FURNITURE_WORD.search(block.text) is not None


def _is_feed(source: str) -> bool:
    head = source[:_FEED_HEAD_CHARACTERS]
    element = _FIRST_ELEMENT.search(head)
    is_xml = head.lstrip().startswith("<?xml")
    return is_xml and element is not None and element[1].lower() in _FEED_ELEMENTS


def _is_redirect_stub(page: Page) -> bool:
    shown = sum(len(block.text) for block in page.blocks)
    return shown < _STUB_CHARACTERS and any(
        meta.get("http-equiv", "").lower() == "refresh" and "url" in meta.get("content", "").lower()
        for meta in page.root.iter("meta")
    )


def _title(page: Page, url: str) -> str:
    """The page's title without the site's name.

    A heading that the document's title begins with is the title. Failing that it is og:title or
    the document's title, cut where a site puts its name, or the first h1.
    """
    document_title = _text_of(page, ".//title")
    repeated = [
        block.text
        for block in page.blocks
        if block.is_heading and len(block.text) >= 4 and document_title.startswith(block.text)
    ]
    if repeated:
        return max(repeated, key=len)
    shared = page.root.xpath("string(.//meta[@property='og:title']/@content)")
    title = _title_line(shared) or document_title
    return _without_site_name(title, url) if title else _text_of(page, ".//h1")


def _text_of(page: Page, path: str) -> str:
    element = page.root.find(path)
    return _title_line(element.text_content()) if element is not None else ""


def _title_line(text: str) -> str:
    return " ".join(text.split())[:_TITLE_CHARACTERS]


def _without_site_name(title: str, url: str) -> str:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:  # an address that is none, such as "http://[": no help, no harm
        host = ""
    while True:
        separators = list(_TITLE_SEPARATOR.finditer(title))
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
