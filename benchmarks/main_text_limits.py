"""How much the quality of main text owes to limits that were chosen on the very same pages.

    python benchmarks/main_text_limits.py crawl-*.warc.gz --index INDEX --gold GOLD

Takes the files of `main_text.py`. Each weight and limit of the density method is made half and one
and a half times as large, and F1 on the Chinese gold pages printed. Then the pages are halved by
address; the best of all pairs of changes on one half is scored on the other, which is what a page
that nobody has looked at would get.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.main_text import Score, read_json_lines, read_pages
from filters.kernels import html_density, html_prose
from filters.kernels.html_blocks import Page, read_page
from filters.kernels.html_density import main_blocks_reference

FACTORS = (0.5, 1.0, 1.5)
LIMITS: dict[str, ModuleType] = {
    "LINK_COST": html_prose,
    "UNMARKED_WEIGHT": html_prose,
    "SHORT_WEIGHT": html_prose,
    "FURNITURE_CHARACTERS": html_prose,
    "BOX_SHARE": html_density,
    "BESIDE_SHARE": html_density,
    "LINK_SHARE": html_density,
    "MIN_PROSE": html_density,
    "POST_PROSE": html_density,
    "POSTS_SHARE": html_density,
    "POST_LEVELS": html_density,
}
Change = tuple[tuple[str, float], ...]  # limits and the factors by which they are multiplied


@contextmanager
def changed(change: Change) -> Iterator[None]:
    """The reference with other limits; the kernel keeps what it was compiled with."""
    before = {name: getattr(LIMITS[name], name) for name, _ in change}
    try:
        for name, factor in change:
            value = before[name] * factor
            setattr(LIMITS[name], name, int(value) if isinstance(before[name], int) else value)
        yield
    finally:
        for name, value in before.items():
            setattr(LIMITS[name], name, value)


def f1_by_page(pages: dict[str, Page], gold: dict[str, str], change: Change) -> dict[str, float]:
    """F1 of every page under changed limits."""
    with changed(change):
        texts = {
            url: "\n".join(page.blocks[index].text for index in main_blocks_reference(page))
            for url, page in pages.items()
        }
    return {url: Score.of(text, gold[url]).f1 for url, text in texts.items()}


def mean(values: dict[str, float], urls: list[str]) -> float:
    return sum(values[url] for url in urls) / len(urls)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("crawl", nargs="+", type=Path)
    parser.add_argument("--index", required=True, type=Path)
    parser.add_argument("--gold", required=True, type=Path)
    arguments = parser.parse_args()
    gold = {
        entry["url"]: entry["text"]
        for entry in read_json_lines(arguments.gold)
        if entry["lang"].startswith("zh")
    }
    pages = {
        page.url: read_page(page.utf8).to_page()
        for page in read_pages(arguments.crawl, arguments.index)
        if page.url in gold
    }
    urls = sorted(pages, key=lambda url: hashlib.sha256(url.encode()).digest())
    print(f"F1 on {len(urls)} pages, as it is: {mean(f1_by_page(pages, gold, ()), urls):.3f}")
    print(f"  {'':22}" + "".join(f"{f'× {factor}':>8}" for factor in FACTORS if factor != 1.0))
    singles: dict[Change, dict[str, float]] = {}
    for name in LIMITS:
        for factor in FACTORS:
            singles[((name, factor),)] = f1_by_page(pages, gold, ((name, factor),))
        row = [mean(singles[((name, factor),)], urls) for factor in FACTORS if factor != 1.0]
        print(f"  {name:22}" + "".join(f"{value:8.3f}" for value in row))
    changes = dict(singles)
    for first, second in itertools.combinations(["LINK_COST", "UNMARKED_WEIGHT", "BOX_SHARE"], 2):
        for factors in itertools.product(FACTORS, FACTORS):
            change = tuple(zip((first, second), factors, strict=True))
            changes[change] = f1_by_page(pages, gold, change)
    every = sorted(mean(scores, urls) for scores in changes.values())
    middle = every[len(every) // 2]
    print(f"{len(every)} changes: {every[0]:.3f} to {every[-1]:.3f}, median {middle:.3f}")
    half = len(urls) // 2
    for chosen, scored in ((urls[:half], urls[half:]), (urls[half:], urls[:half])):
        best = max(changes, key=lambda change: mean(changes[change], chosen))
        print(
            f"best on one half: {mean(changes[best], chosen):.3f} there, "
            f"{mean(changes[best], scored):.3f} on the other; {dict(best)}"
        )


if __name__ == "__main__":
    main()
