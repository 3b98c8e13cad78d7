"""What cleaning, measuring and a preset's rules do to the pages of a crawl, and how fast.

    python benchmarks/text_filters.py crawl-*.warc.gz --index INDEX.jsonl.gz [--preset pangu_alpha]

The index has one JSON object a page with `warc` (file name), `offset` and `kind`. Prints MB of text
a second and core for cleaning and measuring, lines removed by reason, a table kind × verdict, and
for advertising phrases the share of pages of each kind that each limit would drop.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pyarrow as pa

from benchmarks.main_text import read_pages
from filters.clean import Cleaner, CleanSettings
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
    parser.add_argument("--preset", default="pangu_alpha")
    arguments = parser.parse_args()
    kinds, titles, texts = read_texts(arguments.crawl, arguments.index)
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
        f"{len(texts)} pages, {size:.1f} MB of text: clean {size / (middle - start):.1f} MB/s, "
        f"measure {size / (end - middle):.1f} MB/s, both {size / (end - start):.1f} MB/s"
    )
    removed: Counter[str] = Counter()
    for result in cleaned:
        removed.update(result.removed)
    print("lines removed: " + ", ".join(f"{reason} {count}" for reason, count in removed.items()))

    signals = pa.table({name: pa.array([row[name] for row in rows]) for name in SIGNALS})
    verdicts = apply_rules(load_preset(arguments.preset).rules, signals)
    reasons = [
        (reason or KEPT) if text else NO_TEXT
        for reason, text in zip(verdicts.rule.to_pylist(), texts, strict=True)
    ]
    print_verdicts(kinds, reasons)
    print_advertising(kinds, texts, [int(row["advertisement_words"]) for row in rows])


def read_texts(crawl: list[Path], index: Path) -> tuple[list[str], list[str], list[str]]:
    """Kinds, titles and main texts of a crawl's pages; those that cannot be extracted left out."""
    kinds, titles, texts = [], [], []
    for page in read_pages(crawl, index):
        try:
            main_text = extract_main_text(page.html, page.url)
        except ExtractionError:
            continue
        kinds.append(page.kind)
        titles.append(main_text.title)
        texts.append(main_text.text)
    return kinds, titles, texts


def print_verdicts(kinds: list[str], reasons: list[str]) -> None:
    """A row for each kind of page, a column for each verdict."""
    counts = Counter(zip(kinds, reasons, strict=True))
    columns = [KEPT, NO_TEXT, *sorted(set(reasons) - {KEPT, NO_TEXT})]
    print(f"\n{'kind':16}{'pages':>7}" + "".join(f"{column:>20}" for column in columns))
    for kind, pages in Counter(kinds).most_common():
        cells = "".join(f"{counts[kind, column]:20}" for column in columns)
        print(f"{kind:16}{pages:7}{cells}")


def print_advertising(kinds: list[str], texts: list[str], phrases: list[int]) -> None:
    """For every kind, the share of pages with text that have more than k advertising phrases."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for kind, text, count in zip(kinds, texts, phrases, strict=True):
        if text:
            found[kind].append(count)
    print("\nadvertising phrases" + "".join(f"{f'> {limit}':>8}" for limit in LIMITS))
    for kind, counts in sorted(found.items()):
        shares = [sum(count > limit for count in counts) / len(counts) for limit in LIMITS]
        print(f"{kind:19}" + "".join(f"{share:8.1%}" for share in shares))


if __name__ == "__main__":
    main()
