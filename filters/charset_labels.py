"""The names of charsets: what pages call them, and what they mean by it."""

from __future__ import annotations

import re

# Charset declarations stand within the first 1,024 bytes by the HTML standard; many do not.
DECLARATION_BYTES = 8192

_DECLARATION = re.compile(
    rb"<(?:meta\b[^>]{0,300}?\bcharset|\?xml\b[^>]{0,100}?\bencoding)\s*=\s*[\"']?\s*([\w.:-]+)",
    re.IGNORECASE,
)
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
