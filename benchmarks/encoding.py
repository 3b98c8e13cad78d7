"""How often encoding recovery finds the right charset on a crawl whose charsets are known.

    python benchmarks/encoding.py CRAWL.warc.gz INDEX.jsonl.gz

The index has one JSON object a page, with `warc` (file name), `offset` and `charset` (the real
one). Every page is decoded as it is and in four damaged forms; a result is right if it names the
real charset's codec or gives the same characters.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from filters.encoding import UndecodableError, codec_of_label, decode_page
from pipeline.reading import ReadLimits, Record, read_records

Page = tuple[bytes, str | None]

_DECLARATION = re.compile(rb"((?:charset|encoding)\s*=\s*[\"']?\s*)([\w.:-]+)", re.IGNORECASE)
_NON_ASCII = re.compile(rb"[\x80-\xff]+")


def as_stored(body: bytes, declared: str | None, codec: str) -> Page:
    """The page and the charset of its HTTP header."""
    return body, declared


def bad_byte(body: bytes, declared: str | None, codec: str) -> Page:
    """One byte from 0x80 to 0xFF put into the middle of the text; value and place by hash."""
    runs = list(_NON_ASCII.finditer(body))
    if not runs:
        return body, declared
    digest = hashlib.blake2b(body, digest_size=2).digest()
    place = runs[len(runs) // 2].start() + digest[0] % 2
    return body[:place] + bytes([0x80 | digest[1]]) + body[place:], declared


def cut_tail(body: bytes, declared: str | None, codec: str) -> Page:
    """The page cut after the first byte of its last non-ASCII run."""
    runs = list(_NON_ASCII.finditer(body))
    return (body[: runs[-1].start() + 1] if runs else body), declared


def undeclared(body: bytes, declared: str | None, codec: str) -> Page:
    """No charset in the HTTP header, none in the page."""
    return _DECLARATION.sub(rb"\1", body), None


def wrongly_declared(body: bytes, declared: str | None, codec: str) -> Page:
    """Header and page agree on a charset that is wrong."""
    wrong = "utf-8" if codec != "utf-8" else "gbk"
    return _DECLARATION.sub(rb"\g<1>" + wrong.encode(), body), wrong


FORMS: tuple[Callable[[bytes, str | None, str], Page], ...] = (
    as_stored,
    bad_byte,
    cut_tail,
    undeclared,
    wrongly_declared,
)


def is_right(body: bytes, declared: str | None, codec: str) -> bool:
    """Whether decode_page reads body in codec, or as the same characters."""
    try:
        page = decode_page(body, declared)
    except UndecodableError:
        return False
    return page.encoding == codec or page.text == body.decode(codec, "replace")


def main(crawl: str, index: str) -> None:
    """Prints right pages by real charset and form, and the cost of decoding."""
    with gzip.open(index, "rt", encoding="utf-8") as rows:
        entries = [json.loads(row) for row in rows]
    charsets = {e["offset"]: e["charset"] for e in entries if e["warc"] == Path(crawl).name}
    right: Counter[tuple[str, str]] = Counter()
    pages: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    size: Counter[str] = Counter()
    with open(crawl, "rb") as file:
        for record in read_records(file, crawl, "warc", ReadLimits()):
            if not isinstance(record, Record) or record.offset not in charsets:
                continue
            codec = codec_of_label(charsets[record.offset])
            if codec is None:
                raise SystemExit(f"unknown charset in the index: {charsets[record.offset]}")
            pages[codec] += 1
            size[codec] += len(record.body)
            start = time.process_time()
            decode_page(record.body, record.charset)
            seconds[codec] += time.process_time() - start
            for form in FORMS:
                right[codec, form.__name__] += is_right(
                    *form(record.body, record.charset, codec), codec
                )
    names = [form.__name__ for form in FORMS]
    print(f"{'':12}{'pages':>7}" + "".join(f"{name:>18}" for name in names) + f"{'MB/s':>8}")
    for codec, count in pages.most_common():
        shares = "".join(f"{right[codec, name] / count:18.2%}" for name in names)
        print(f"{codec:12}{count:7}{shares}{size[codec] / seconds[codec] / 1e6:8.0f}")
    total = pages.total()
    shares = "".join(f"{sum(right[c, name] for c in pages) / total:18.2%}" for name in names)
    print(f"{'all':12}{total:7}{shares}{size.total() / seconds.total() / 1e6:8.0f}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
