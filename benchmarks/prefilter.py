"""What the look at raw bytes drops from a crawl whose languages are known, and how fast it is.

    python benchmarks/prefilter.py CRAWL.warc.gz... --index INDEX.jsonl.gz

The index has one JSON object a page, with `warc` (file name), `offset`, `lang` and `charset`. For
every language: pages, how many are dropped at some limits, and the least that a page shows. Speeds
are MB of page a second of processor time, best of five runs: with the limit of the recipe's
default, at which counting mostly stops at once, on the pages that it drops, and counting to the
end.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from filters.chinese_prefilter import chinese_in_bytes
from pipeline.reading.extract_settings import ExtractSettings
from pipeline.reading.input_files import ReadLimits, Record, read_records

DEFAULT = ExtractSettings().chinese_prefilter
LIMITS = (5, DEFAULT, 20, 50, 100)
EVERYTHING = 10**9
RUNS = 5


def read_pages(crawls: list[str], index: str) -> dict[str, list[bytes]]:
    """Bodies by the language of the index."""
    with gzip.open(index, "rt", encoding="utf-8") as rows:
        entries = [json.loads(row) for row in rows]
    languages = {(entry["warc"], entry["offset"]): entry["lang"] for entry in entries}
    pages: dict[str, list[bytes]] = {}
    for crawl in crawls:
        with open(crawl, "rb") as file:
            for record in read_records(file, crawl, "warc", ReadLimits()):
                language = languages.get((Path(crawl).name, record.offset))
                if isinstance(record, Record) and language:
                    pages.setdefault(language, []).append(record.body)
    return pages


def speed(pages: list[bytes], enough: int) -> float:
    """MB of pages a second."""
    best = float("inf")
    for _ in range(RUNS):
        start = time.process_time()
        for body in pages:
            chinese_in_bytes(body, enough)
        best = min(best, time.process_time() - start)
    return sum(map(len, pages)) / best / 1e6


def main(crawls: list[str], index: str) -> None:
    """Prints a line for each language and one for each speed."""
    by_language = read_pages(crawls, index)
    print(f"{'':10}{'pages':>7}" + "".join(f"  below {limit:>4}" for limit in LIMITS) + "   least")
    for language, pages in sorted(by_language.items(), key=lambda item: -len(item[1])):
        shown = [chinese_in_bytes(body, EVERYTHING) for body in pages]
        below = "".join(f"{sum(s < limit for s in shown):12,}" for limit in LIMITS)
        print(f"{language:10}{len(pages):7,}{below}{min(shown):8,}")
    everything = [body for pages in by_language.values() for body in pages]
    dropped = [body for body in everything if chinese_in_bytes(body, DEFAULT) < DEFAULT]
    print(f"speed, all pages, limit {DEFAULT}: {speed(everything, DEFAULT):,.0f} MB/s")
    print(f"speed, dropped pages:     {speed(dropped, DEFAULT):,.0f} MB/s")
    print(f"speed, to the end:        {speed(everything, EVERYTHING):,.0f} MB/s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("crawls", nargs="+")
    parser.add_argument("--index", required=True)
    given = parser.parse_args()
    main(given.crawls, given.index)
