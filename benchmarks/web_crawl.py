"""Runs a recipe over a crawl whose ground truth is known; shows what became of each kind of page.

    python benchmarks/web_crawl.py crawl-*.warc.gz --index crawl.index.jsonl.gz --out runs/web

The index holds one JSON object a line for each response: `warc` (file name), `offset` (of the
record in it), `kind`, and `dup_group` where pages are copies of each other. Fails if a page of a
kind without content is kept, if copies survive side by side though their texts are similar (Jaccard
of character 5-grams of 0.8 or more), or if the run takes too long.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from filters.minhash import MinHash

WITHOUT_CONTENT = ("redirect-stub", "error-page", "block-page")
COPIES = ("mirror", "dup-url")
SIMILAR = 0.8

Place = tuple[str, int]


def main() -> None:
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        out = arguments.out or Path(folder) / "run"
        seconds = run_recipe(arguments.crawl, out, arguments.workers, Path(folder))
        truth = read_truth(arguments.index)
        fates = read_fates(out)
        texts = read_texts(out)
    print(f"{len(truth):,} pages, {arguments.workers} workers, {seconds:.0f} s")
    print_kinds(truth, fates)
    failures = [*kept_without_content(truth, fates), *surviving_copies(truth, fates, texts)]
    if arguments.most_seconds and seconds > arguments.most_seconds:
        failures.append(f"took {seconds:.0f} s, more than {arguments.most_seconds} s")
    for failure in failures:
        print(f"FAILED: {failure}")
    sys.exit(bool(failures))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("crawl", nargs="+", type=Path)
    parser.add_argument("--index", required=True, type=Path)
    parser.add_argument("--out", type=Path, help="run directory; a temporary one by default")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--most-seconds", type=float, default=0)
    return parser.parse_args()


def run_recipe(crawl: list[Path], out: Path, workers: int, folder: Path) -> float:
    """Runs `pangu run` as a user would; returns the seconds it took."""
    recipe = {
        "name": "web",
        "sources": [{"name": "crawl", "paths": [str(path.resolve()) for path in crawl]}],
        "tokenizer": {"vocabulary_size": 16_000},
    }
    path = folder / "web.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    command = [sys.executable, "-m", "pangu", "run", str(path), "--out", str(out)]
    start = time.monotonic()
    subprocess.run([*command, "--workers", str(workers)], check=True)
    return time.monotonic() - start


def read_truth(index: Path) -> dict[Place, dict[str, Any]]:
    with gzip.open(index, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return {(row["warc"], row["offset"]): row for row in rows}


def read_fates(out: Path) -> dict[Place, tuple[str, str]]:
    """Place of each page -> (how it ended, why or into what it was merged)."""
    fates: dict[Place, tuple[str, str]] = {}
    kept = set()
    for path in sorted((out / "corpus").glob("*.parquet")):
        kept.update(pq.read_table(path, columns=["id"]).column("id").to_pylist())
    for path in sorted((out / "stages").glob("extract-*/documents/*.parquet")):
        for row in pq.read_table(path, columns=["id", "file", "offset"]).to_pylist():
            if row["id"] in kept:
                fates[place(row)] = ("kept", row["id"])
    for path in sorted((out / "dropped").glob("*.parquet")):
        for row in pq.read_table(path).to_pylist():
            merged = row["verdict"] == "merged"
            fates[place(row)] = (row["rule"], row["merged_into"] if merged else "")
    for path in sorted((out / "dead_letters").glob("*.parquet")):
        for row in pq.read_table(path).to_pylist():
            fates[place(row)] = (row["error"], row["detail"])
    return fates


def place(row: dict[str, Any]) -> Place:
    return Path(row["file"]).name, row["offset"]


def print_kinds(truth: dict[Place, dict[str, Any]], fates: dict[Place, tuple[str, str]]) -> None:
    by_kind: dict[str, Counter[str]] = defaultdict(Counter)
    for where, row in truth.items():
        by_kind[row["kind"]][fates.get(where, ("lost", ""))[0]] += 1
    for kind, counts in sorted(by_kind.items()):
        shown = "  ".join(f"{fate} {count}" for fate, count in counts.most_common())
        print(f"  {kind:<14} {counts.total():>5}  {shown}")


def kept_without_content(
    truth: dict[Place, dict[str, Any]], fates: dict[Place, tuple[str, str]]
) -> list[str]:
    return [
        f"{row['kind']} {row['url']} was {fates.get(where, ('lost', ''))[0]}"
        for where, row in truth.items()
        if row["kind"] in WITHOUT_CONTENT and fates.get(where, ("lost", ""))[0] in ("kept", "lost")
    ]


def read_texts(out: Path) -> dict[str, str]:
    """Id of each kept document -> its text."""
    texts: dict[str, str] = {}
    for path in sorted((out / "corpus").glob("*.parquet")):
        for row in pq.read_table(path, columns=["id", "text"]).to_pylist():
            texts[row["id"]] = row["text"]
    return texts


def surviving_copies(
    truth: dict[Place, dict[str, Any]],
    fates: dict[Place, tuple[str, str]],
    texts: dict[str, str],
) -> list[str]:
    """Groups of copies of which two pages with similar texts are in the corpus."""
    groups: dict[str, list[Place]] = defaultdict(list)
    for where, row in truth.items():
        if row.get("dup_group"):
            groups[row["dup_group"]].append(where)
    print(f"  {len(groups)} groups of copies")
    failures = []
    for group, members in sorted(groups.items()):
        kept = [where for where in members if fates.get(where, ("", ""))[0] == "kept"]
        for first, second in itertools.combinations(kept, 2):
            shared = jaccard(texts[fates[first][1]], texts[fates[second][1]])
            line = f"group {group}: {truth[first]['url']} and {truth[second]['url']}"
            print(f"  kept side by side, similarity {shared:.2f}: {line}")
            if shared >= SIMILAR and any(truth[where]["kind"] in COPIES for where in members):
                failures.append(f"{line} are both kept at similarity {shared:.2f}")
    return failures


def jaccard(first: str, second: str) -> float:
    minhash = MinHash(shingle=5, bands=16, rows=8, seed=1)
    a, b = (set(minhash.shingle_hashes(text)) for text in (first, second))
    return len(a & b) / max(1, len(a | b))


if __name__ == "__main__":
    main()
