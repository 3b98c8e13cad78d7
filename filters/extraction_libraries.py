"""Main text by libraries: chosen in the settings, and asked where density finds next to nothing.

Both build a tree of the page, and the time that takes can grow with the square of how deep its
elements are nested; what would take them long is refused before they see it.
"""

from __future__ import annotations

import logging
from typing import Literal

from resiliparse.extract.html2text import extract_plain_text

from filters.kernels.html_blocks import nesting
from pangu_settings import UserError

# 10,000 nested elements cost resiliparse 5 seconds and 60,000 nine minutes.
MAX_NESTING = 2_000
MAX_BYTES = 16 * 1024 * 1024


Library = Literal["resiliparse", "trafilatura"]


class LibraryError(Exception):
    """A page that a library cannot read or must not be given."""


def library_text(library: Library, page: bytes, url: str) -> str:
    """The main text that a library finds.

    Raises:
      LibraryError: the page is too large or too deep, or the library gives up on it.
      UserError: the library is not installed.
    """
    return resiliparse_text(page) if library == "resiliparse" else trafilatura_text(page, url)


def check_readable(page: bytes) -> None:
    """Raises LibraryError for a page that would cost a library more than a second or so."""
    if len(page) > MAX_BYTES:
        raise LibraryError(f"{len(page)} bytes of HTML, more than {MAX_BYTES}")
    depth = nesting(page)
    if depth > MAX_NESTING:
        raise LibraryError(f"elements nested {depth} deep, more than {MAX_NESTING}")


def resiliparse_text(page: bytes) -> str:
    """The main text that resiliparse finds, without alternative texts, bullets and comments.

    Raises:
      LibraryError: the page is too large or too deep, or the library gives up on it.
    """
    check_readable(page)
    source = page.decode("utf-8", "replace").replace("\0", " ")
    try:
        text: str = extract_plain_text(
            source, main_content=True, alt_texts=False, list_bullets=False, comments=False
        )
    except Exception as error:  # of the library's own kinds, none of them public
        raise LibraryError(f"resiliparse: {error}") from error
    return tidy(text)


def trafilatura_text(page: bytes, url: str) -> str:
    """The main text that trafilatura finds at its precise setting, without comments.

    Raises:
      LibraryError: the page is too large or too deep, or the library gives up on it.
      UserError: the library is not installed.
    """
    try:
        import trafilatura
    except ImportError as error:
        raise UserError(MISSING.format(error=error)) from error
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    check_readable(page)
    source = page.decode("utf-8", "replace").replace("\0", " ")
    try:
        text = trafilatura.extract(source, url=url, favor_precision=True, include_comments=False)
    except Exception as error:  # any that lxml or its own code raises on odd pages
        raise LibraryError(f"trafilatura: {error}") from error
    return tidy(text or "")


MISSING = (
    "extract.main_text.method: trafilatura is not installed ({error}); "
    "pip install 'pangu-alpha[benchmark]', or choose density or resiliparse"
)


def tidy(text: str) -> str:
    """The lines of a text without blank ones and without white space around them."""
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line)
