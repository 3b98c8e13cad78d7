"""Lists the merges of a run over a crawl whose copies are known, to be looked at one by one.

    pangu run web.yaml --out runs/web --set filters=null
    python benchmarks/crawl_merges.py runs/web --index crawl.index.jsonl.gz --show

The index holds one JSON object a line for each response: `warc` (file name), `offset`, `kind`, and
`dup_group` where pages are copies of each other. Counts groups that became one cluster and those
that did not, with the similarity of their texts, and merges of pages of no common group; with
`--show` each of the near ones, and in what the two texts differ.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from filters.minhash import MinHash
from pipeline.inspection.cluster_view import differences
from pipeline.run_directory import RunDirectory

LINES_SHOWN = 6

Rows = dict[str, dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--index", required=True, type=Path)
    parser.add_argument("--show", action="store_true", help="each near merge outside the groups")
    arguments = parser.parse_args()
    documents = read_documents(arguments.run, arguments.index)
    print(f"{len(documents):,} documents came in")
    print_groups(documents)
    outside = [
        row
        for row in documents.values()
        if row["merged_into"] and not in_one_group(row, documents[row["merged_into"]])
    ]
    counts = Counter(
        (row["merge"], row["kind"], documents[row["merged_into"]]["kind"]) for row in outside
    )
    print(
        f"{len(outside)} merges outside the groups: how, kind of page, kind of the one that stays"
    )
    for kinds, count in counts.most_common():
        print(f"  {count:>5}  {'  '.join(kinds)}")
    if arguments.show:
        for row in sorted(outside, key=lambda row: row["similarity"] or 0):
            if row["merge"] == "near":
                print_merge(row, documents[row["merged_into"]])


def read_documents(run: Path, index: Path) -> Rows:
    """Id of each document that came to deduplication -> url, text, truth and what became of it."""
    with gzip.open(index, "rt", encoding="utf-8") as lines:
        truth = {(row["warc"], row["offset"]): row for row in map(json.loads, lines)}
    directory = RunDirectory(str(run))
    documents: Rows = {}
    for path in sorted(Path(directory.current_folder("clean"), "documents").glob("*.parquet")):
        columns = ["id", "url", "file", "offset", "text"]
        for row in pq.read_table(path, columns=columns).to_pylist():
            known = truth[Path(row["file"]).name, row["offset"]]
            documents[row["id"]] = {**row, "kind": known["kind"], "group": known.get("dup_group")}
    for path in sorted(Path(directory.current_folder("deduplicate"), "verdicts").glob("*.parquet")):
        for row in pq.read_table(path).to_pylist():
            if row["cluster_id"]:
                documents[row["id"]].update(row, kind=documents[row["id"]]["kind"])
                documents[row["id"]]["merge"] = row["kind"]
    return {name: row for name, row in documents.items() if "cluster_id" in row}


def in_one_group(row: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(row["group"]) and row["group"] == other["group"]


def print_groups(documents: Rows) -> None:
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in documents.values():
        if row["group"]:
            groups[row["group"]].append(row)
    several = [rows for rows in groups.values() if len(rows) > 1]
    split = [rows for rows in several if len({row["cluster_id"] for row in rows}) > 1]
    print(f"{len(several) - len(split)} of {len(several)} groups of copies became one cluster")
    for rows in split:
        pairs = itertools.combinations(rows, 2)
        shared = ", ".join(f"{jaccard(a['text'], b['text']):.3f}" for a, b in pairs)
        print(f"  not merged, similarities {shared}: {' '.join(row['url'] for row in rows)}")


def jaccard(first: str, second: str) -> float:
    minhash = MinHash(shingle=5, bands=16, rows=8, seed=1)
    a, b = (set(minhash.shingle_hashes(text)) for text in (first, second))
    return len(a & b) / max(1, len(a | b))


def print_merge(row: dict[str, Any], survivor: dict[str, Any]) -> None:
    print(f"{row['similarity']:.3f}  {row['kind']}  {row['url']}")
    print(f"  stays  {survivor['kind']}  {survivor['url']}")
    for line in itertools.islice(differences(row["text"], survivor["text"]), LINES_SHOWN):
        print(f"    {line}")


if __name__ == "__main__":
    main()
