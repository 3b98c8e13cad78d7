"""How well and how fast main text is found on pages whose main text is known.

    python benchmarks/main_text.py crawl-*.warc.gz --index INDEX.jsonl.gz --gold GOLD.jsonl.gz

The index has one JSON object a page with `warc` (file name), `offset`, `kind` and `charset`; the
gold file one with `url`, `lang` and `text` (what a person took for the main text). Prints a table
for all Chinese gold pages, one for forum pages, one for pages in GBK and its kin (old layouts of
tables), and the speed on large and on small pages of the crawl. Libraries that are not installed
are left out.

Precision and recall are of the set of 5-grams of Chinese characters, averaged by page. Navigation
is the share of the extracted Chinese characters that stand in lines of fewer than 20 characters
without any mark and not in the known text. --worst N also lists the pages where ours does worst.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from filters.encoding import UndecodableError, decode_page
from filters.extraction_libraries import resiliparse_text, trafilatura_text
from filters.kernels.html_blocks import read_page_reference
from filters.kernels.html_density import main_blocks_reference
from filters.main_text import ExtractionError, extract_main_text
from pipeline.reading.input_files import ReadLimits, Record, read_records

GRAM = 5
SHORT_LINE = 20
LARGE_BYTES, SMALL_BYTES = 100_000, (5_000, 30_000)
MOST_LARGE, MOST_SMALL = 300, 1_500
# A library that needs longer for its first pages is timed on those only.
MOST_SECONDS = 20.0
ROUNDS = 3

OURS = "density kernel"
Extractor = Callable[[bytes, str], str]

_HANZI = re.compile("[㐀-䶿一-鿿豈-﫿\U00020000-\U0003ffff]")
_MARK = re.compile("[，。！？；：、…,.;:!?]")


@dataclass(frozen=True)
class CrawledPage:
    """A decoded page and what the index says about it.

    Attributes:
      bytes: size of the body as it came.
    """

    url: str
    utf8: bytes
    bytes: int
    kind: str
    charset: str

    @property
    def html(self) -> str:
        """The page as characters."""
        return self.utf8.decode("utf-8")


def read_pages(crawl: list[Path], index: Path) -> Iterator[CrawledPage]:
    """The pages of a crawl that the index knows and that decode."""
    known = {(entry["warc"], entry["offset"]): entry for entry in read_json_lines(index)}
    for path in crawl:
        with path.open("rb") as file:
            for record in read_records(file, path.name, "warc", ReadLimits()):
                entry = known.get((path.name, record.offset))
                if not isinstance(record, Record) or entry is None:
                    continue
                try:
                    page = decode_page(record.body, record.charset)
                except UndecodableError:
                    continue
                size = len(record.body)
                yield CrawledPage(record.url, page.utf8, size, entry["kind"], entry["charset"])


def read_json_lines(path: Path) -> list[dict]:
    """The objects of a gzipped file with one JSON object a line."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def by_kernel(page: bytes, url: str) -> str:
    """What the pipeline does, with its library for pages of which it finds next to nothing."""
    try:
        return extract_main_text(page, url).text
    except ExtractionError:
        return ""


def by_reference(page: bytes, url: str) -> str:
    """The same rules in plain Python, without the library."""
    blocks = read_page_reference(page.decode("utf-8"))
    return "\n".join(blocks.blocks[index].text for index in main_blocks_reference(blocks))


def by_justext(page: bytes, url: str) -> str:
    """jusText, which knows no Chinese: no stop words, lengths of Chinese paragraphs."""
    import justext

    try:
        paragraphs = justext.justext(
            page,
            frozenset(),
            length_low=15,
            length_high=50,
            stopwords_low=0,
            stopwords_high=0,
            encoding="utf-8",
            enc_errors="replace",
        )
    except Exception:  # pages that lxml takes for empty
        return ""
    return "\n".join(part.text for part in paragraphs if not part.is_boilerplate)


def extractors() -> dict[str, Extractor]:
    """Ours, and the libraries that are installed, at the settings with which they did best."""
    found: dict[str, Extractor] = {OURS: by_kernel, "density reference": by_reference}
    if importlib.util.find_spec("trafilatura"):
        found["trafilatura"] = trafilatura_text
    found["resiliparse"] = lambda page, url: resiliparse_text(page)
    if importlib.util.find_spec("justext"):
        found["jusText"] = by_justext
    return found


def grams(text: str) -> set[str]:
    """The 5-grams of a text's Chinese characters; a shorter text is one gram."""
    hanzi = "".join(_HANZI.findall(text))
    return {hanzi[i : i + GRAM] for i in range(max(1, len(hanzi) - GRAM + 1))} if hanzi else set()


@dataclass(frozen=True)
class Score:
    """Of one page: precision, recall and F1 between 0 and 1, and Chinese characters."""

    precision: float
    recall: float
    f1: float
    hanzi: int
    navigation: int

    @classmethod
    def of(cls, found: str, wanted: str) -> Score:
        """Compares a text with the known one."""
        found_grams, wanted_grams = grams(found), grams(wanted)
        common = len(found_grams & wanted_grams)
        precision = common / max(1, len(found_grams))
        recall = common / max(1, len(wanted_grams))
        f1 = 2 * precision * recall / max(1e-9, precision + recall)
        known = "".join(wanted.split())
        navigation = sum(
            len(_HANZI.findall(line))
            for line in found.splitlines()
            if len(line) < SHORT_LINE and not _MARK.search(line)
            if "".join(line.split()) not in known
        )
        return cls(precision, recall, f1, len(_HANZI.findall(found)), navigation)


Scores = dict[str, Score]  # by the address of the page


def print_quality(
    title: str, pages: list[CrawledPage], scores: dict[str, dict[str, Score]]
) -> None:
    """One row for each extractor, over some of the pages."""
    print(f"\n{title}: {len(pages)} pages")
    print(f"  {'':20}{'precision':>11}{'recall':>9}{'F1':>8}{'navigation':>13}")
    for name, by_url in scores.items():
        chosen = [by_url[page.url] for page in pages]
        means = [
            sum(getattr(score, column) for score in chosen) / len(chosen)
            for column in ("precision", "recall", "f1")
        ]
        navigation = sum(s.navigation for s in chosen) / max(1, sum(s.hanzi for s in chosen))
        print(f"  {name:20}{means[0]:11.3f}{means[1]:9.3f}{means[2]:8.3f}{navigation:13.2%}")


def megabytes_a_second(extract: Extractor, pages: list[CrawledPage]) -> float:
    """Of HTML and of CPU time of this process; the best of some rounds."""
    best = 0.0
    for _ in range(ROUNDS):
        size, start = 0, time.process_time()
        for page in pages:
            extract(page.utf8, page.url)
            size += len(page.utf8)
            if time.process_time() - start > MOST_SECONDS:
                break
        seconds = time.process_time() - start
        best = max(best, size / 1e6 / seconds)
        if seconds > MOST_SECONDS:
            break
    return best


def print_speed(pages: list[CrawledPage], found: dict[str, Extractor]) -> None:
    """MB of HTML per second and core on large and on small pages."""
    large = [page for page in pages if len(page.utf8) >= LARGE_BYTES][:MOST_LARGE]
    low, high = SMALL_BYTES
    small = [page for page in pages if low <= len(page.utf8) < high][:MOST_SMALL]
    groups = {"large": large, "small": small}
    print("\nMB of HTML per second and core")
    for name, group in groups.items():
        mean = sum(len(page.utf8) for page in group) / max(1, len(group)) / 1e3
        print(f"  {name}: {len(group)} pages of {mean:.0f} KB on average")
    print(f"  {'':20}{'large':>9}{'small':>9}{'times slower than ours':>26}")
    speeds = {
        name: [megabytes_a_second(extract, group) for group in groups.values()]
        for name, extract in found.items()
    }
    for name, (on_large, on_small) in speeds.items():
        slower = f"{speeds[OURS][0] / on_large:.0f} and {speeds[OURS][1] / on_small:.0f}"
        print(f"  {name:20}{on_large:9.1f}{on_small:9.1f}{slower:>26}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("crawl", nargs="+", type=Path)
    parser.add_argument("--index", required=True, type=Path)
    parser.add_argument("--gold", required=True, type=Path)
    parser.add_argument("--worst", type=int, default=0, help="list so many pages")
    arguments = parser.parse_args()
    gold = {
        entry["url"]: entry["text"]
        for entry in read_json_lines(arguments.gold)
        if entry["lang"].startswith("zh")
    }
    pages = list(read_pages(arguments.crawl, arguments.index))
    known = list({page.url: page for page in reversed(pages) if page.url in gold}.values())
    found = extractors()
    scores = {
        name: {page.url: Score.of(extract(page.utf8, page.url), gold[page.url]) for page in known}
        for name, extract in found.items()
    }
    print_quality("All Chinese pages with known text", known, scores)
    print_quality("Forum pages", [page for page in known if page.kind == "forum"], scores)
    print_quality("GBK pages", [page for page in known if page.charset.startswith("gb")], scores)
    for page in sorted(known, key=lambda page: scores[OURS][page.url].f1)[: arguments.worst]:
        score = scores[OURS][page.url]
        print(f"  {score.precision:.3f} {score.recall:.3f} {score.f1:.3f} {page.kind} {page.url}")
    print_speed(pages, found)


if __name__ == "__main__":
    main()
