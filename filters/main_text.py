"""The main text and the title of an HTML page.

PanGu-α does not say how text was taken from Common Crawl's pages (§3.1.1 begins after it). Ours is
a density method made for Chinese pages: `kernels.html_blocks` reads a page into blocks and boxes,
`kernels.html_density` says which blocks are its text. A library does the same where the settings
ask for it, or where density finds next to nothing on a page with much Chinese.

A result depends on its page only.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from filters.extraction_libraries import Library, LibraryError, library_text
from filters.kernels.html_blocks import MAX_BLOCKS, REFRESH, PageArrays, read_page
from filters.kernels.html_density import main_blocks
from filters.kernels.html_elements import (
    BLOCK_CHARACTERS,
)
from filters.kernels.html_prose import weigh_reference
from filters.kernels.html_reading import hanzi_of_blocks, text_of_blocks
from filters.kernels.html_text import Block
from filters.page_title import page_title
from pangu_settings import Settings

# A page of this size takes up to 2.5 seconds and eight times its size in memory.
MAX_PAGE_BYTES = 64 * 1024 * 1024

_FIRST_ELEMENT = re.compile(rb"<([A-Za-z][\w:.-]*)")
_FEED_ELEMENTS = frozenset({b"rss", b"feed", b"rdf:rdf"})
_FEED_HEAD_BYTES = 2_000
_STUB_CHARACTERS = 200  # a page that sends its reader on and shows less than this is a stub
# The library's text is taken if it holds this many times the prose that density found.
_FALLBACK_GAIN = 2.0

Method = Literal["density", "resiliparse", "trafilatura"]


class MainTextSettings(Settings):
    """How the main text of a page is found."""

    method: Method = Field("density", description="what finds the main text")
    fallback: bool = Field(
        True,
        description="ask resiliparse where density finds little and the page has much Chinese; its "
        "text is taken if it is not little itself and holds twice the prose",
    )
    fallback_hanzi: int = Field(
        300,
        ge=0,
        description="Chinese characters in long lines, not made of links, that are much",
    )
    fallback_share: float = Field(
        0.1, ge=0, le=1, description="of those, a text with a smaller share is little"
    )


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
    """Title and main text of a page.

    Attributes:
      title: one line; "" if there is none.
      text: paragraphs joined by a line break; "" if there is none.
      method: what found the text: density, resiliparse or trafilatura.
    """

    title: str
    text: str
    method: Method = "density"


_DEFAULTS = MainTextSettings()


def extract_main_text(
    page: bytes,
    url: str,
    settings: MainTextSettings = _DEFAULTS,
    ask: Callable[[Library, bytes, str], str] = library_text,
) -> MainText:
    """Returns the title and the main text of a page.

    Feeds, pages that only send the reader elsewhere and pages without prose have the text "".

    Args:
      page: HTML as valid UTF-8.
      url: where the page is from; its host helps to tell the site's name from the title.
      settings: what finds the text.
      ask: calls a library; the extract stage does it where a page cannot hold it up.

    Raises:
      ExtractionError: the page is larger than MAX_PAGE_BYTES or MAX_BLOCKS, or the library that
        the settings name gives up on it.
      UserError: the settings name a library that is not installed.
    """
    if len(page) > MAX_PAGE_BYTES:
        raise ExtractionError("too_large", f"{len(page)} bytes of HTML, more than {MAX_PAGE_BYTES}")
    if _is_feed(page):
        return MainText("", "")
    arrays = read_page(page)
    if arrays.is_full:
        raise ExtractionError("too_large", f"paragraphs or boxes, {MAX_BLOCKS} or more")
    title = page_title(page, arrays, url)
    if _is_redirect_stub(page, arrays):
        return MainText(title, "")
    if settings.method != "density":
        try:
            return MainText(title, ask(settings.method, page, url), settings.method)
        except LibraryError as error:
            raise ExtractionError("extraction_failed", str(error)) from error
    chosen = main_blocks(arrays)
    text = text_of_blocks(arrays, chosen)
    if settings.fallback:
        found, readable = hanzi_of_blocks(arrays, chosen)
        wanted = settings.fallback_share * readable
        if readable >= settings.fallback_hanzi and found < wanted:
            try:
                other = _blocks(ask("resiliparse", page, url))
            except LibraryError:  # what density found, however little, is the best there is
                other = []
            enough = sum(block.hanzi for block in other) >= wanted
            if enough and _prose(other) > _FALLBACK_GAIN * _prose(_blocks(text)):
                return MainText(title, "\n".join(block.text for block in other), "resiliparse")
    return MainText(title, text)


def _blocks(text: str) -> list[Block]:
    return [Block.of(line) for line in text.split("\n")]


def _prose(blocks: list[Block]) -> float:
    return sum(weigh_reference(block) for block in blocks)


def _is_feed(page: bytes) -> bool:
    head = page[:_FEED_HEAD_BYTES]
    if not head.lstrip().startswith(b"<?xml"):
        return False
    element = _FIRST_ELEMENT.search(head)
    return element is not None and element[1].lower() in _FEED_ELEMENTS


def _is_redirect_stub(page: bytes, arrays: PageArrays) -> bool:
    start, end = arrays.span(REFRESH)
    if b"url" not in page[start:end].lower():
        return False
    return int(arrays.blocks[:, BLOCK_CHARACTERS].sum()) < _STUB_CHARACTERS
