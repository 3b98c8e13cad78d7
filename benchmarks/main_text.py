"""How well and how fast main text is found on pages whose main text is known.

    python benchmarks/main_text.py crawl-*.warc.gz --index INDEX.jsonl.gz --gold GOLD.jsonl.gz

The index has one JSON object a page with `warc` (file name), `offset` and `kind`; the gold file one
with `url`, `lang` and `text` (what a person took for the main text). Prints precision, recall and
F1 on the Chinese gold pages, what share of the pages of each kind has a main text, and MB of HTML
a second. With --compare, trafilatura and resiliparse do the same in the same run, if installed.

Precision and recall are of the set of character 8-grams of letters and digits, averaged by page.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import logging
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from filters.encoding import UndecodableError, decode_page
from filters.main_text import ExtractionError, extract_main_text
from pipeline.reading import ReadLimits, Record, read_records

GRAM = 8
Extractor = Callable[[str, str], str]
Score = tuple[float, float, float]

_NOT_WORD = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class CrawledPage:
    """A decoded page and what the index says about it."""

    url: str
    html: str
    bytes: int
    kind: str


def ours(source: str, url: str) -> str:
    """The extractor that the pipeline uses."""
    try:
        return extract_main_text(source, url).text
    except ExtractionError:
        return ""


def installed_rivals() -> dict[str, Extractor]:
    """Other extractors at the settings with which they did best here."""
    rivals: dict[str, Extractor] = {}
    if importlib.util.find_spec("trafilatura"):
        import trafilatura

        logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
        rivals["trafilatura"] = lambda source, url: trafilatura.extract(source, url=url) or ""
        rivals["trafilatura, precise"] = lambda source, url: (
            trafilatura.extract(source, url=url, favor_precision=True, include_comments=False) or ""
        )
    if importlib.util.find_spec("resiliparse"):
        from resiliparse.extract.html2text import extract_plain_text

        rivals["resiliparse"] = lambda source, url: extract_plain_text(
            source, main_content=True, alt_texts=False, list_bullets=False, comments=False
        )
    return rivals


def read_pages(crawl: list[Path], index: Path) -> Iterator[CrawledPage]:
    """The pages of a crawl that the index knows and that decode."""
    kinds = {(entry["warc"], entry["offset"]): entry["kind"] for entry in read_json_lines(index)}
    for path in crawl:
        with path.open("rb") as file:
            for record in read_records(file, path.name, "warc", ReadLimits()):
                if not isinstance(record, Record) or (path.name, record.offset) not in kinds:
                    continue
                try:
                    page = decode_page(record.body, record.charset)
                except UndecodableError:
                    continue
                kind = kinds[path.name, record.offset]
                yield CrawledPage(record.url, page.text, len(record.body), kind)


def read_json_lines(path: Path) -> list[dict]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def grams(text: str) -> set[str]:
    """The character 8-grams of a text's letters and digits; a shorter text is one gram."""
    words = _NOT_WORD.sub("", text)
    return {words[i : i + GRAM] for i in range(max(1, len(words) - GRAM + 1))} if words else set()


def score(found: str, wanted: str) -> Score:
    """Precision, recall, F1."""
    found_grams, wanted_grams = grams(found), grams(wanted)
    common = len(found_grams & wanted_grams)
    precision = common / max(1, len(found_grams))
    recall = common / max(1, len(wanted_grams))
    return precision, recall, 2 * precision * recall / max(1e-9, precision + recall)


def report(name: str, extract: Extractor, pages: list[CrawledPage], gold: dict[str, str]) -> None:
    """Runs one extractor over all pages and prints its lines."""
    scores: dict[str, Score] = {}
    counts: Counter[str] = Counter()
    with_text: Counter[str] = Counter()
    characters: defaultdict[str, int] = defaultdict(int)
    seconds = 0.0
    for page in pages:
        start = time.process_time()
        text = extract(page.html, page.url)
        seconds += time.process_time() - start
        counts[page.kind] += 1
        with_text[page.kind] += bool(text)
        characters[page.kind] += len(text)
        if page.url in gold and page.url not in scores:
            scores[page.url] = score(text, gold[page.url])
    columns = zip(*scores.values(), strict=True)
    precision, recall, f1 = (sum(column) / len(scores) for column in columns)
    size = sum(page.bytes for page in pages) / 1e6
    print(
        f"\n{name}: precision {precision:.3f}, recall {recall:.3f}, F1 {f1:.3f} "
        f"on {len(scores)} pages; {size:.0f} MB in {seconds:.1f} s of CPU, "
        f"{size / seconds:.1f} MB/s, {1000 * seconds / len(pages):.1f} ms a page"
    )
    print(f"  {'kind':16}{'pages':>7}{'with text':>11}{'characters':>12}")
    for kind, count in counts.most_common():
        mean = characters[kind] / max(1, with_text[kind])
        print(f"  {kind:16}{count:7}{with_text[kind] / count:11.1%}{mean:12.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("crawl", nargs="+", type=Path)
    parser.add_argument("--index", required=True, type=Path)
    parser.add_argument("--gold", required=True, type=Path)
    parser.add_argument("--compare", action="store_true", help="also run other extractors")
    arguments = parser.parse_args()
    gold = {
        entry["url"]: entry["text"]
        for entry in read_json_lines(arguments.gold)
        if entry["lang"].startswith("zh")
    }
    pages = list(read_pages(arguments.crawl, arguments.index))
    report("ours", ours, pages, gold)
    if arguments.compare:
        for name, extract in installed_rivals().items():
            report(name, extract, pages, gold)


if __name__ == "__main__":
    main()
