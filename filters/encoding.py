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

# Enough for thousands of characters; taken from all over the page.
SAMPLE_BYTES = 8192
RUN_BYTES = 512
# Charset declarations stand within the first 1,024 bytes by the HTML standard; many do not.
DECLARATION_BYTES = 8192
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


def codec_of_label(label: str) -> str | None:
    """Returns the Python codec for a charset label of the web, or None if it is unknown.

    As in browsers (WHATWG Encoding Standard), a label means the largest encoding of its family:
    `gb2312` is GB18030, `big5` Big5-HKSCS, `iso-8859-1` windows-1252, `shift_jis` cp932.
    """
    label = label.strip().strip("\"'").lower().replace("_", "-")
    if label in _CODEC_OF_LABEL:
        return _CODEC_OF_LABEL[label]
    match = _SINGLE_BYTE_LABEL.fullmatch(label)
    return f"{'cp' if match['windows'] else 'iso8859-'}{match['number']}" if match else None


def declared_in_page(body: bytes) -> str | None:
    """Returns the charset label in a page's `<meta>` or XML declaration, if it has one."""
    match = _DECLARATION.search(body, 0, DECLARATION_BYTES)
    return match[1].decode("ascii").lower() if match else None


_DECLARATION = re.compile(
    rb"<(?:meta\b[^>]{0,300}?\bcharset|\?xml\b[^>]{0,100}?\bencoding)\s*=\s*[\"']?\s*([\w.:-]+)",
    re.IGNORECASE,
)
_HIGH_BYTES = bytes(range(0x80, 0x100))
_LONE_HIGH_BYTE = re.compile(rb"(?<![\x80-\xff])[\x80-\xff](?![\x80-\xff])")
_CONTROL_BYTES = bytes(set(range(0x20)) - set(b"\t\n\f\r\x1b")) + b"\x7f"

_LABELS = {
    "utf-8": "utf8 utf-8 unicode-1-1-utf-8 unicode11utf8 x-unicode20utf8 unicode",
    "gb18030": "gb18030 gbk gb2312 x-gbk cn-gb gb-2312 gb2312-80 csgb2312 csiso58gb231280 chinese "
    "iso-ir-58 cp936 ms936 windows-936 gb18030-2000 gb18030-2005 gb18030-2022 euc-cn",
    "big5hkscs": "big5 big5-hkscs big5hkscs cn-big5 csbig5 x-x-big5 x-big5 cp950 ms950 windows-950",
    "cp932": "shift-jis shiftjis sjis x-sjis ms-kanji ms932 cp932 windows-31j csshiftjis",
    "euc_jp": "euc-jp eucjp x-euc-jp cseucpkdfmtjapanese",
    "cp949": "euc-kr euckr korean ks-c-5601-1987 ks-c-5601-1989 ksc5601 ksc-5601 cseuckr "
    "csksc56011987 iso-ir-149 cp949 ms949 uhc windows-949",
    "cp1252": "iso-8859-1 iso8859-1 iso88591 latin1 latin-1 l1 ascii us-ascii cp1252 x-cp1252 "
    "windows-1252 ansi-x3.4-1968 ibm819",
    "cp1254": "iso-8859-9 iso8859-9 latin5 windows-1254",
    "cp874": "tis-620 iso-8859-11 windows-874 dos-874",
    "koi8-r": "koi8-r koi8 koi csksc",
    "koi8-u": "koi8-u koi8-ru",
    "cp866": "cp866 ibm866 866",
    "mac-roman": "macintosh mac x-mac-roman",
}
_CODEC_OF_LABEL = {label: codec for codec, labels in _LABELS.items() for label in labels.split()}
_SINGLE_BYTE_LABEL = re.compile(
    r"(?P<windows>(?:windows-|cp|x-cp)(?=125[0-8]))?(?(windows)|iso-?8859-)"
    r"(?P<number>125[0-8]|[2-8]|1[03-6])(?:-[ei])?"
)

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
    table = _table_of(codec)
    if codec == "gb18030":
        sample = take_out_stray_bytes(sample, table)
    return read_with_table(sample, table).share


@cache
def _table_of(codec: str) -> ReadingTable:
    common = _COMMON_OF_CODEC[codec]

    def classify(character: str) -> int:
        if character <= "\x7f" or _is_punctuation(character):
            return SILENT
        return COMMON if character in common else RARE

    return reading_table(codec, classify)


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
    text = _replace_damage(body, codec)
    replaced = text.count(REPLACEMENT)
    if codec == "utf-8":
        replaced -= body.count(REPLACEMENT.encode())
    elif codec == "gb18030":
        # The full-width space of many editors, which Python maps to the private use area.
        text = text.replace("\ue5e5", "\u3000")
    return DecodedPage(text.encode("utf-8"), codec, replaced)


def _replace_damage(body: bytes, codec: str) -> str:
    """Decodes body, with U+FFFD for what cannot be decoded."""
    if codec != "gb18030":
        return body.decode(codec, "replace")
    try:
        return body.decode(codec)
    except UnicodeDecodeError:
        return take_out_stray_bytes(body, _table_of(codec)).decode(codec, "replace")


def _decode_utf16(body: bytes) -> DecodedPage | None:
    """UTF-16 with a byte order mark, or with the zero bytes that markup has in it; None if not."""
    little_endian = not body.startswith(codecs.BOM_UTF16_BE) and body[:1] != b"\0"
    codec = "utf-16-le" if little_endian else "utf-16-be"
    text = body.decode(codec, "replace").removeprefix("\ufeff")
    counts = Counter(text[:SAMPLE_BYTES])
    familiar = sum(
        count
        for character, count in counts.items()
        if character in _COMMON_ANYWHERE or _is_punctuation(character)
    )
    if familiar < PLAUSIBLE_SHARE * counts.total():
        return None
    return DecodedPage(text.encode("utf-8"), codec, text.count(REPLACEMENT))
