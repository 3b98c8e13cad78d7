"""Bytes of a page to characters, whatever was declared and whatever is broken.

Servers and pages often name a wrong charset or none, a byte goes astray, and crawlers cut long
pages inside a character. So a declared charset is a candidate, not an order, and decoding is
tolerant: strict UTF-8 first, which other encodings hardly ever pass by chance; otherwise each
candidate reads a sample of the page's non-ASCII bytes, and the one that gives the largest share
of common characters is right. Japanese and Korean encodings compete too, so that such pages are
recognised instead of turning into rare hanzi.
"""

from __future__ import annotations

import codecs
import re
import struct
from collections import Counter
from dataclasses import dataclass
from functools import cache

import pyarrow as pa

from filters import common_characters
from filters.charset_labels import codec_of_label, declared_in_page
from filters.kernels.alignment import take_out_stray_bytes
from filters.kernels.charset import (
    COMMON,
    RARE,
    SILENT,
    ReadingTable,
    read_utf8,
    read_with_table,
    reading_table,
    take_sample,
)
from filters.kernels.double_byte import DoubleByteTable, double_byte_table, double_byte_to_utf8

# Enough for thousands of characters; taken from all over the page.
SAMPLE_BYTES = 8192
RUN_BYTES = 512
# A sample's share of common characters: right decodings lie above 0.6, wrong ones below 0.3.
CONVINCING_SHARE = 0.75
PLAUSIBLE_SHARE = 0.4
# Bytes below 0x20 other than white space and escape, as a share of what is not text.
MAX_CONTROL_SHARE = 0.02
BINARY_BYTES = 65536
# So few non-ASCII bytes may be lost.
MAX_STRAY_SHARE = 0.02

REPLACEMENT = "\ufffd"


class UndecodableError(ValueError):
    """No candidate encoding reads the bytes as text."""


@dataclass(frozen=True, slots=True)
class DecodedPage:
    """Characters of a page.

    Attributes:
      utf8: the page as valid UTF-8, without byte order mark.
      encoding: name of the Python codec that read it.
      replaced: characters that could not be decoded and became U+FFFD.
    """

    utf8: bytes
    encoding: str
    replaced: int

    @property
    def text(self) -> str:
        """The page as a Python string."""
        return self.utf8.decode("utf-8")


def decode_page(body: bytes, declared: str | None) -> DecodedPage:
    """Decodes the bytes of a page, or of a piece of text.

    Args:
      body: HTML, XML or plain text.
      declared: charset label from outside, such as the HTTP header's; unknown ones are ignored.

    Raises:
      UndecodableError: it is not text in any of the encodings known here.
    """
    if may_be_utf16(body):
        page = _decode_utf16(body)
        if page is not None:
            return page
        _refuse_binary(body)
    body = body.removeprefix(codecs.BOM_UTF8)
    if _is_utf8(body):
        return DecodedPage(body, "utf-8", 0)
    if _is_cut_utf8(body):
        return _decode_tolerantly(body, "utf-8")
    return _decode_tolerantly(body, _choose_codec(body, declared))


def may_be_utf16(body: bytes) -> bool:
    """Whether bytes begin as UTF-16 does: with its mark, or with the zeros of its markup."""
    has_mark = body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return has_mark or body.count(0, 0, 64) >= 16


_HIGH_BYTES = bytes(range(0x80, 0x100))
_LONE_HIGH_BYTE = re.compile(rb"(?<![\x80-\xff])[\x80-\xff](?![\x80-\xff])")
_CONTROL_BYTES = bytes(set(range(0x20)) - set(b"\t\n\f\r\x1b")) + b"\x7f"

_HANZI = frozenset(common_characters.SIMPLIFIED + common_characters.TRADITIONAL)
_KANA = frozenset(map(chr, range(0x3041, 0x30FF)))
_HANGUL = frozenset(common_characters.HANGUL)
_COMMON_ANYWHERE = _HANZI | _KANA | _HANGUL | frozenset("\t\n\r" + bytes(range(32, 127)).decode())
# Characters that a right decoding consists of. The order decides between equal shares.
_COMMON_OF_CODEC = {
    "gb18030": _HANZI,
    "big5hkscs": _HANZI,
    "cp949": _HANGUL,
    "cp932": _HANZI | _KANA,
    "euc_jp": _HANZI | _KANA,
}
# Bytes of the longest character, where it is more than two.
_LONGEST_OF_CODEC = {"gb18030": 4, "euc_jp": 3}
# The full-width space of many editors, which Python maps to the private use area.
_INSTEAD = {"\ue5e5": "\u3000"}
_WESTERN = "àáâãäåæçèéêëìíîïñòóôõöøùúûüýÿßœÉÀÇÄÖÜÑ’‘“”–—…•·©®°«»€£\u00a0"


def _choose_codec(body: bytes, declared: str | None) -> str:
    """The codec for bytes that are not valid UTF-8.

    Raises:
      UndecodableError: none reads as text.
    """
    _refuse_binary(body)
    sample = take_sample(body, RUN_BYTES, SAMPLE_BYTES)
    labels = [label for label in (declared, declared_in_page(body)) if label]
    named = [codec for codec in map(codec_of_label, labels) if codec]
    shares: dict[str, float] = {}
    for codec in dict.fromkeys([*named, "utf-8", *_COMMON_OF_CODEC]):
        shares[codec] = _share_of_common(sample, codec)
        if shares[codec] >= CONVINCING_SHARE:
            return codec
    best = max(shares, key=lambda codec: shares[codec])
    if shares[best] >= PLAUSIBLE_SHARE:
        return best
    # Neither UTF-8 nor East Asian, or too few characters to tell: then a declaration counts.
    fitting = [
        codec
        for codec in named
        if codec != "utf-8" and REPLACEMENT not in sample.decode(codec, "replace")
    ]
    single_byte = [codec for codec in fitting if codec not in _COMMON_OF_CODEC]
    if single_byte:
        return single_byte[0]
    if _share_of_western(sample) >= PLAUSIBLE_SHARE:
        return "cp1252"
    if fitting:
        return fitting[0]
    if _count_high(body) <= MAX_STRAY_SHARE * len(body):
        return "utf-8"
    if shares[best] > 0:
        return best
    raise UndecodableError("no encoding gives common characters")


def _refuse_binary(body: bytes) -> None:
    head = body[:BINARY_BYTES]
    if len(head) - len(head.translate(None, _CONTROL_BYTES)) > MAX_CONTROL_SHARE * len(head):
        raise UndecodableError("not text: many control bytes")


def _share_of_common(sample: bytes, codec: str) -> float:
    """Common characters as a share of all that are neither ASCII nor punctuation.

    Punctuation says nothing: the East Asian encodings have much of it at the same places.
    UTF-8 proves itself by its form: there all that is well-formed counts, whatever it means.
    Unreadable bytes count against a codec. 0 for codecs without a list of common characters.
    """
    if codec == "utf-8":
        return read_utf8(sample).share
    if codec not in _COMMON_OF_CODEC:
        return 0.0
    table = _reading_table(codec)
    if codec == "gb18030":
        sample = take_out_stray_bytes(sample, table)
    return read_with_table(sample, table).share


@cache
def _reading_table(codec: str) -> ReadingTable:
    common = _COMMON_OF_CODEC[codec]

    def classify(character: str) -> int:
        if character <= "\x7f" or _is_punctuation(character):
            return SILENT
        return COMMON if character in common else RARE

    return reading_table(_character_table(codec), classify, _LONGEST_OF_CODEC.get(codec, 2))


@cache
def _character_table(codec: str) -> DoubleByteTable:
    return double_byte_table(codec, _INSTEAD if codec == "gb18030" else {})


def _is_utf8(body: bytes) -> bool:
    """Whether bytes are valid UTF-8, told by Arrow in half the time of making a string of them."""
    ends = pa.py_buffer(struct.pack("=qq", 0, len(body)))
    text = pa.LargeStringArray.from_buffers(1, ends, pa.py_buffer(body))
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _is_cut_utf8(body: bytes) -> bool:
    """Whether bytes are valid UTF-8 but for a last character that is cut off."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    return False


def _count_high(data: bytes) -> int:
    """Bytes beyond ASCII."""
    return len(data) - len(data.translate(None, _HIGH_BYTES))


def _is_punctuation(character: str) -> bool:
    """General and CJK punctuation, full-width forms of ASCII."""
    return (
        "\u2000" <= character <= "\u206f"
        or "\u3000" <= character <= "\u303f"
        or "\uff00" <= character <= "\uff60"
    )


def _share_of_western(sample: bytes) -> float:
    """Non-ASCII bytes that stand alone among ASCII and are common in Western text, as a share."""
    high_bytes = _count_high(sample)
    lone = b"".join(_LONE_HIGH_BYTE.findall(sample)).decode("cp1252", "replace")
    return sum(character in _WESTERN for character in lone) / high_bytes if high_bytes else 0.0


def _decode_tolerantly(body: bytes, codec: str) -> DecodedPage:
    if codec in _COMMON_OF_CODEC:
        utf8 = double_byte_to_utf8(body, _character_table(codec))
        if utf8 is not None:
            return DecodedPage(utf8, codec, 0)
    text = _replace_damage(body, codec)
    replaced = text.count(REPLACEMENT)
    if codec == "utf-8":
        replaced -= body.count(REPLACEMENT.encode())
    elif codec == "gb18030":
        for character, better in _INSTEAD.items():
            text = text.replace(character, better)
    return DecodedPage(text.encode("utf-8"), codec, replaced)


def _replace_damage(body: bytes, codec: str) -> str:
    """Decodes body, with U+FFFD for what cannot be decoded."""
    if codec != "gb18030":
        return body.decode(codec, "replace")
    try:
        return body.decode(codec)
    except UnicodeDecodeError:
        return take_out_stray_bytes(body, _reading_table(codec)).decode(codec, "replace")


def _decode_utf16(body: bytes) -> DecodedPage | None:
    """UTF-16 with a byte order mark, or with the zero bytes that markup has in it; None if not."""
    little_endian = not body.startswith(codecs.BOM_UTF16_BE) and body[:1] != b"\0"
    codec = "utf-16-le" if little_endian else "utf-16-be"
    start = body[: 2 * SAMPLE_BYTES].decode(codec, "replace").removeprefix("\ufeff")
    counts = Counter(start)
    familiar = sum(
        count
        for character, count in counts.items()
        if character in _COMMON_ANYWHERE or _is_punctuation(character)
    )
    if familiar < PLAUSIBLE_SHARE * counts.total():
        return None
    text = body.decode(codec, "replace").removeprefix("\ufeff")
    return DecodedPage(text.encode("utf-8"), codec, text.count(REPLACEMENT))
