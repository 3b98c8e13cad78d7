"""A look at a page's raw bytes that tells whether decoding and parsing it can be worth while."""

from __future__ import annotations

from filters.encoding import may_be_utf16
from filters.kernels.chinese_bytes import count_chinese


def chinese_in_bytes(body: bytes, enough: int) -> int:
    """How many Chinese characters the bytes of a page show, whatever charset they are in.

    Counted are UTF-8 hanzi, rows of GBK or Big5 characters, and character references
    (`filters.kernels.chinese_bytes` says how). It errs on the side of Chinese: pages in other
    double-byte or eight-bit charsets pass, and so does whatever may be UTF-16.

    Args:
      body: HTML as sent.
      enough: counting stops here.

    Returns:
      From 0 to enough.
    """
    return enough if may_be_utf16(body) else count_chinese(body, enough)
