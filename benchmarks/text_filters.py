"""What cleaning, measuring and a preset's rules do to the pages of a crawl, and how fast.

    python benchmarks/text_filters.py crawl-*.warc.gz --index INDEX.jsonl.gz
        [--texts FILE.jsonl.gz ...] [--preset pangu_alpha]

The index has one JSON object a page with `warc` (file name), `offset` and `kind`. Files of --texts
have one with `text` and perhaps `title`; each is a kind of its own, for comparison with text that
is known to be good. Prints MB of text a second and core for cleaning and measuring, lines removed
by kind and reason, a table kind × verdict, and for advertising phrases the share of documents of
each kind that each limit would drop.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pyarrow as pa

from benchmarks.main_text import read_json_lines, read_pages
from filters.clean import REMOVAL_REASONS, Cleaner, CleanSettings
from filters.main_text import ExtractionError, extract_main_text
from filters.presets import load_preset
from filters.rules import apply_rules
from filters.signals import SIGNALS, Measurer
from filters.word_lists import load_word_list

LIMITS = range(5)
NO_TEXT = "no_main_text"
KEPT = "kept"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("crawl", nargs="+", type=Path)
    parser.add_argument("--index", required=True, type=Path)
    parser.add_argument("--texts", nargs="*", type=Path, default=[])
    parser.add_argument("--preset", default="pangu_alpha")
    arguments = parser.parse_args()
    kinds, titles, texts = read_texts(arguments.crawl, arguments.index, arguments.texts)
    size = sum(len(text.encode()) for text in texts) / 1e6

    cleaner = Cleaner(CleanSettings())
    measurer = Measurer(load_word_list("advertisement"), load_word_list("sensitive"))
    measurer.measure("", cleaner.clean("說").text)  # dictionaries are loaded on first use
    start = time.process_time()
    cleaned = [cleaner.clean(text) for text in texts]
    middle = time.process_time()
    rows = [measurer.measure(title, c.text) for title, c in zip(titles, cleaned, strict=True)]
    end = time.process_time()
    print(
        f"{len(texts)} documents, {size:.1f} MB of text: clean {size / (middle - start):.1f} MB/s, "
        f"measure {size / (end - middle):.1f} MB/s, both {size / (end - start):.1f} MB/s"
    )
    print_removed(kinds, [result.removed for result in cleaned])

    signals = pa.table({name: pa.array([row[name] for row in rows]) for name in SIGNALS})
    verdicts = apply_rules(load_preset(arguments.preset).rules, signals)
    reasons = [
        (reason or KEPT) if text else NO_TEXT
        for reason, text in zip(verdicts.rule.to_pylist(), texts, strict=True)
    ]
    print_verdicts(kinds, reasons)
    print_advertising(kinds, texts, [int(row["advertisement_words"]) for row in rows])


def read_texts(
    crawl: list[Path], index: Path, files: list[Path]
) -> tuple[list[str], list[str], list[str]]:
    """Kinds, titles and texts of a crawl's pages that extract, and of the rows of JSONL files."""
    kinds, titles, texts = [], [], []
    for page in read_pages(crawl, index):
        try:
            main_text = extract_main_text(page.html, page.url)
        except ExtractionError:
            continue
        kinds.append(page.kind)
        titles.append(main_text.title)
        texts.append(main_text.text)
    for path in files:
        for row in read_json_lines(path):
            kinds.append(path.name.partition(".")[0])
            titles.append(row.get("title") or "")
            texts.append(row["text"])
    return kinds, titles, texts


def print_removed(kinds: list[str], removed: list[dict[str, int]]) -> None:
    """For every kind, the lines that cleaning removed."""
    totals: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for kind, counts in zip(kinds, removed, strict=True):
        totals[kind].update(counts)
    print(f"\n{'lines removed':24}" + "".join(f"{reason:>20}" for reason in REMOVAL_REASONS))
    for kind, counts in totals.items():
        print(f"{kind:24}" + "".join(f"{counts[reason]:20}" for reason in REMOVAL_REASONS))


def print_verdicts(kinds: list[str], reasons: list[str]) -> None:
    """A row for each kind of page, a column for each verdict."""
    counts = Counter(zip(kinds, reasons, strict=True))
    columns = [KEPT, NO_TEXT, *sorted(set(reasons) - {KEPT, NO_TEXT})]
    print(f"\n{'kind':24}{'all':>7}" + "".join(f"{column:>20}" for column in columns))
    for kind, pages in Counter(kinds).most_common():
        cells = "".join(f"{counts[kind, column]:20}" for column in columns)
        print(f"{kind:24}{pages:7}{cells}")


def print_advertising(kinds: list[str], texts: list[str], phrases: list[int]) -> None:
    """For every kind, the share of pages with text that have more than k advertising phrases."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for kind, text, count in zip(kinds, texts, phrases, strict=True):
        if text:
            found[kind].append(count)
    print(f"\n{'advertising phrases':24}" + "".join(f"{f'> {limit}':>8}" for limit in LIMITS))
    for kind, counts in sorted(found.items()):
        shares = [sum(count > limit for count in counts) / len(counts) for limit in LIMITS]
        print(f"{kind:24}" + "".join(f"{share:8.2%}" for share in shares))


if __name__ == "__main__":
    main()
