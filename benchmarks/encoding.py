"""How often encoding recovery finds the right charset on a crawl whose charsets are known.

    python benchmarks/encoding.py CRAWL.warc.gz... --index INDEX.jsonl.gz

The index has one JSON object a page, with `warc` (file name), `offset` and `charset` (the real
one). Every page is decoded as it is and in four damaged forms; a result is right if it names the
real charset's codec or gives the same characters. The speeds are of the pages as they are and
with every declaration taken off, in MB of page a second of processor time, best of five runs; the
last column is Python's own codec when it is told which one.
"""

from __future__ import annotations

import argparse
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

from filters.charset_labels import codec_of_label
from filters.encoding import UndecodableError, decode_page
from pipeline.reading.input_files import ReadLimits, Record, read_records

Page = tuple[bytes, str | None]

_DECLARATION = re.compile(rb"((?:charset|encoding)\s*=\s*[\"']?\s*)([\w.:-]+)", re.IGNORECASE)
_NON_ASCII = re.compile(rb"[\x80-\xff]+")
RUNS = 5


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


def read_pages(crawls: list[str], index: str) -> dict[str, list[Page]]:
    """Pages by the codec of their real charset."""
    with gzip.open(index, "rt", encoding="utf-8") as rows:
        entries = [json.loads(row) for row in rows]
    charsets = {(entry["warc"], entry["offset"]): entry["charset"] for entry in entries}
    pages: dict[str, list[Page]] = {}
    for crawl in crawls:
        with open(crawl, "rb") as file:
            for record in read_records(file, crawl, "warc", ReadLimits()):
                charset = charsets.get((Path(crawl).name, record.offset))
                if not isinstance(record, Record) or charset is None:
                    continue
                codec = codec_of_label(charset)
                if codec is None:
                    raise SystemExit(f"unknown charset in the index: {charset}")
                pages.setdefault(codec, []).append((record.body, record.charset))
    return dict(sorted(pages.items(), key=lambda item: -len(item[1])))


def speed(pages: list[Page], decode: Callable[[bytes, str | None], object]) -> float:
    """MB of pages a second."""
    best = float("inf")
    for _ in range(RUNS):
        start = time.process_time()
        for body, declared in pages:
            decode(body, declared)
        best = min(best, time.process_time() - start)
    return sum(len(body) for body, _ in pages) / best / 1e6


def main(crawls: list[str], index: str) -> None:
    """Prints right pages by real charset and form, and the speed of decoding."""
    names = [form.__name__ for form in FORMS]
    speeds = ("as_stored", "undeclared", "codec")
    print(f"{'':10}{'pages':>6}" + "".join(f"{name:>17}" for name in names), end="")
    print("   MB/s:" + "".join(f"{name:>11}" for name in speeds))
    right: Counter[str] = Counter()
    total = 0
    for codec, pages in read_pages(crawls, index).items():
        found = {form.__name__: 0 for form in FORMS}
        for form in FORMS:
            for page in pages:
                found[form.__name__] += is_right(*form(*page, codec), codec)
        right.update(found)
        total += len(pages)
        shares = "".join(f"{found[name] / len(pages):17.2%}" for name in names)
        bare = [undeclared(*page, codec) for page in pages]
        rates = (
            speed(pages, decode_page),
            speed(bare, decode_page),
            speed(pages, lambda body, declared, codec=codec: body.decode(codec, "replace")),
        )
        print(f"{codec:10}{len(pages):6}{shares}        " + "".join(f"{r:11.0f}" for r in rates))
    shares = "".join(f"{right[name] / total:17.2%}" for name in names)
    print(f"{'all':10}{total:6}{shares}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("crawls", nargs="+")
    parser.add_argument("--index", required=True)
    given = parser.parse_args()
    main(given.crawls, given.index)
