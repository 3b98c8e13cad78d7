"""An HTML page as a flat list of text blocks and the tree of boxes that hold them.

A block is what a browser shows as one paragraph: the text between two block-level borders. The
tree remembers which boxes (block-level elements) hold which run of blocks, so that a reader can
ask for the box with most of a page's prose without touching markup again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lxml import etree, html

# Elements whose content is never running text of the page itself.
# fmt: off
SKIPPED_TAGS = frozenset({
    "aside", "audio", "button", "canvas", "footer", "head", "iframe", "input", "map", "nav",
    "noscript", "object", "option", "script", "select", "style", "svg", "template", "textarea",
    "video",
})
HEADING_TAGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
CELL_TAGS = frozenset({"td", "th"})
# Elements that begin and end a block. `br` is one of them: old pages set paragraphs with it.
BLOCK_TAGS = HEADING_TAGS | CELL_TAGS | {
    "address", "article", "blockquote", "body", "br", "center", "dd", "div", "dl", "dt",
    "fieldset", "figcaption", "figure", "form", "header", "hr", "html", "li", "main", "ol", "p",
    "pre", "section", "table", "tbody", "tr", "ul",
}
# fmt: on

# Names that authors give to boxes beside the text: comments, recommendations, menus, share bars.
_BESIDE_NAME = re.compile(
    r"advert|banner|breadcrumb|catlinks|comment|copyright|disclaimer|editsection|footer|gutter"
    r"|hot-?news|hotlist|modal|pager|paginat|pinglun|popup|qrcode|recommend|reflist|relate|share"
    r"|side-?bar|statement|tooltip"
    r"|(?<![a-z])(?:login|menu|nav|rank|reply)|(?<![a-z])(?:references?|toc)(?![a-z])",
    re.IGNORECASE,
)
_NAME_CHARACTERS = 200  # class names beyond this many characters are not looked at
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none", re.IGNORECASE)
# A line break in the source between two wide characters is not a space (CSS Text 3, §4.1.3).
_WRAPPED_LINE = re.compile(r"(?<=[⺀-鿿豈-﫿＀-￯])[ \t]*[\r\n]\s*(?=[⺀-鿿豈-﫿＀-￯])")
_CELL_CHARACTERS = 40  # cells up to this length are data; longer ones are a page's layout

_RESOURCE_LIMIT = etree.ErrorTypes.ERR_RESOURCE_LIMIT
_PARSER_OPTIONS = {
    "collect_ids": False,
    "default_doctype": False,
    "encoding": "utf-8",
    "huge_tree": True,  # the caller bounds the page; elements may then nest 2,048 deep, not 256
    "remove_comments": True,
    "remove_pis": True,
}


class PageError(Exception):
    """The parser could not read a page to its end."""


@dataclass(slots=True)
class Block:
    """One paragraph as shown: its text, one line per line of a `pre`, without empty lines."""

    text: str
    link_characters: int  # of the text, how many (without spaces) lie inside links
    is_heading: bool
    is_beside: bool  # inside a box named as comments, recommendations, a menu …


@dataclass(slots=True)
class Box:
    """A block-level element: it holds blocks[start:end]."""

    tag: str
    start: int
    end: int = 0
    boxes: list[Box] = field(default_factory=list)


@dataclass(slots=True)
class Page:
    """The blocks of a page in reading order, and the outermost box."""

    blocks: list[Block]
    box: Box
    root: html.HtmlElement


def read_page(source: str) -> Page | None:
    """Parses HTML of any quality; None where the parser finds no element at all.

    Args:
      source: the decoded page. Lone surrogates and NUL, which no page may hold, are replaced.

    Raises:
      PageError: the parser stopped before the end, for instance on elements nested too deep.
    """
    body = source.replace("\x00", " ").encode("utf-8", "replace")
    parser = html.HTMLParser(**_PARSER_OPTIONS)
    try:
        root = html.document_fromstring(body, parser=parser)
    except etree.ParserError:  # lxml's word for a document without content
        return None
    except etree.LxmlError as error:
        raise PageError(str(error)) from error
    stopped = [entry.message for entry in parser.error_log if entry.type == _RESOURCE_LIMIT]
    if stopped:
        raise PageError(stopped[0])
    reader = _BlockReader()
    reader.read(root)
    return Page(reader.blocks, reader.boxes[0], root)


class _BlockReader:
    """Walks the elements of one page once and collects blocks and boxes."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.boxes = [Box("html", 0)]  # the open boxes, outermost first
        self._texts: list[str] = []  # of the block being collected
        self._link_characters = 0
        self._links = self._headings = self._besides = self._preformatted = 0  # open elements
        self._rows: list[list[int]] = []  # open table rows: [first block, cells]

    def read(self, root: html.HtmlElement) -> None:
        walker = etree.iterwalk(root, events=("start", "end"))
        besides: list[bool | None] = []  # per open element; None for one that is skipped
        for event, element in walker:
            tag = element.tag
            if event == "start":
                if tag in SKIPPED_TAGS or _is_hidden(element):
                    walker.skip_subtree()
                    besides.append(None)
                    continue
                is_beside = tag in BLOCK_TAGS and _is_named_beside(element)
                besides.append(is_beside)
                self._open(tag, is_beside)
                self._add(element.text)
            else:
                was_beside = besides.pop()
                if was_beside is not None:
                    self._close(tag, was_beside)
                self._add(element.tail)
        self._end_block()
        self.boxes[0].end = len(self.blocks)

    def _open(self, tag: str, is_beside: bool) -> None:
        if tag == "a":
            self._links += 1
        elif tag in BLOCK_TAGS:
            self._end_block()
            box = Box(tag, len(self.blocks))
            self.boxes[-1].boxes.append(box)
            self.boxes.append(box)
            self._besides += is_beside
            if tag in HEADING_TAGS:
                self._headings += 1
            elif tag == "pre":
                self._preformatted += 1
            elif tag == "tr":
                self._rows.append([len(self.blocks), 0])
            elif tag in CELL_TAGS and self._rows:
                self._rows[-1][1] += 1

    def _close(self, tag: str, was_beside: bool) -> None:
        if tag == "a":
            self._links -= 1
        elif tag in BLOCK_TAGS:
            self._end_block()
            self._besides -= was_beside
            if tag in HEADING_TAGS:
                self._headings -= 1
            elif tag == "pre":
                self._preformatted -= 1
            elif tag == "tr":
                self._join_row(*self._rows.pop())
            self.boxes.pop().end = len(self.blocks)

    def _add(self, text: str | None) -> None:
        if not text:
            return
        if not self._preformatted and "\n" in text:
            text = _WRAPPED_LINE.sub("", text)
        self._texts.append(text)
        if self._links:
            self._link_characters += len("".join(text.split()))

    def _end_block(self) -> None:
        if not self._texts:
            return
        text = "".join(self._texts)
        if self._preformatted:
            text = "\n".join(line.rstrip() for line in text.splitlines() if line.strip())
        else:
            text = " ".join(text.split())
        if text:
            self.blocks.append(
                Block(text, self._link_characters, self._headings > 0, self._besides > 0)
            )
        self._texts.clear()
        self._link_characters = 0

    def _join_row(self, first: int, cells: int) -> None:
        """A row of short cells is one line of text; rows that lay out a page are left alone."""
        row = self.blocks[first:]
        if 2 <= len(row) <= cells and all(len(block.text) <= _CELL_CHARACTERS for block in row):
            self.boxes[-1].boxes.clear()  # the cells are no boxes of their own any more
            self.blocks[first:] = [
                Block(
                    " ".join(block.text for block in row),
                    sum(block.link_characters for block in row),
                    is_heading=False,
                    is_beside=row[0].is_beside,
                )
            ]


def _is_hidden(element: html.HtmlElement) -> bool:
    style = element.get("style")
    return element.get("hidden") is not None or bool(style and _HIDDEN_STYLE.search(style))


def _is_named_beside(element: html.HtmlElement) -> bool:
    names = f"{element.get('class') or ''} {element.get('id') or ''}"
    if names == " " or element.tag in ("html", "body"):
        return False
    return _BESIDE_NAME.search(names[:_NAME_CHARACTERS]) is not None
