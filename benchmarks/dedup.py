"""Shows how well and how fast near-duplicates are found, beside other ways, where all are known.

    python benchmarks/dedup.py DIR --documents 70000

Makes documents of any collection (JSONL, Parquet or text files) that are copies, edits and issues
of each other (`dedup_corpus.py`), finds all similar pairs by brute force (`dedup_truth.py`), lets
each way deduplicate them in a process of its own (`dedup_ways.py`), and prints, as Markdown: what
was found and what was wrongly merged, by similarity and by kind; speed, and memory; what each step
of ours costs (`dedup_steps.py`); which goals are met; and what a billion documents would need.
Ways that would take long get a smaller sample, made in the same manner.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import dedup_ways
from benchmarks.dedup_corpus import Document, make_corpus, write_corpus
from benchmarks.dedup_cost import print_billion, print_steps
from benchmarks.dedup_steps import Costs, measure_kernels, measure_stage, read_texts
from benchmarks.dedup_truth import (
    BANDS,
    SIMILAR,
    Truth,
    exact_survivors,
    find_truth,
    score,
    score_bands,
    score_kinds,
)
from benchmarks.dedup_ways import CHECKED, MEGABYTES, WAYS, Survivors

ROUNDS = 2
# Documents of a corpus that shows what starting a process costs.
FEW = 50
# Of the goals: bytes of a document.
DOCUMENT_BYTES = 2048
EXACT = "exact search"
OURS = "pangu, checked"


@dataclass(frozen=True)
class Sample:
    """Documents, their file and the truth about them."""

    documents: list[Document]
    path: Path
    truth: Truth

    def __len__(self) -> int:
        return len(self.documents)


@dataclass(frozen=True)
class Run:
    """What one way made of a sample.

    Attributes:
      seconds: of processor time, all processes of it, the fastest of ROUNDS.
      start: of these, what a file of FEW documents takes.
      megabytes: peak of its largest process.
    """

    sample: Sample
    survivors: Survivors
    seconds: float
    start: float
    megabytes: float

    @property
    def speed(self) -> float:
        """Documents a second."""
        return len(self.sample) / self.seconds


def main() -> None:
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        large = make_sample(arguments.paths, arguments.documents, arguments.seed, folder)
        small = make_sample(arguments.paths, arguments.sample, arguments.seed, folder)
        few = make_sample(arguments.paths, FEW, arguments.seed, folder)
        print_corpus(large)
        runs = {}
        for way in WAYS:
            sample = small if way in arguments.slow else large
            print(f"{way} …", file=sys.stderr)
            runs[way] = run(way, sample, few, folder)
        half = run("pangu", small, few, folder)
        results = {EXACT: (large, by_exact_search(large))}
        for way, done in runs.items():
            for check, survivors in done.survivors.items():
                results[f"{way}, {check}"] = (done.sample, survivors)
        print_quality(results)
        print_speed(runs, half)
        print_bands(results)
        print_kinds(large, {name: s for name, (sample, s) in results.items() if sample is large})
        costs = measure_kernels(list(read_texts(large.path)))
        stage, of_few = measure_stage(large.path), measure_stage(small.path)
    print_steps(costs, stage)
    print_goals(large, results[OURS][1], runs["pangu"], costs)
    print_billion(costs, stage, of_few)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("paths", type=Path, nargs="+", help="JSONL, Parquet, text files, folders")
    parser.add_argument("--documents", type=int, default=70_000)
    parser.add_argument("--sample", type=int, default=10_000, help="documents for slow ways")
    parser.add_argument("--slow", nargs="*", choices=list(WAYS), default=["beam"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", help="for files; a temporary place by default")
    return parser.parse_args()


def make_sample(paths: Sequence[Path], documents: int, seed: int, folder: Path) -> Sample:
    made = make_corpus(paths, documents, seed)
    path = folder / f"{documents}.parquet"
    write_corpus(made, path)
    return Sample(made, path, find_truth([document.text for document in made]))


def run(way: str, sample: Sample, few: Sample, folder: Path) -> Run:
    """Lets one way deduplicate a sample."""
    out = folder / f"{way}.npz"
    start = min(_timed(way, few.path, out)[0] for _ in range(ROUNDS))
    seconds, survivors = zip(*(_timed(way, sample.path, out) for _ in range(ROUNDS)), strict=True)
    megabytes = max(float(found.pop(MEGABYTES)) for found in survivors)
    return Run(sample, survivors[0], min(seconds), start, megabytes)


def _timed(way: str, path: Path, out: Path) -> tuple[float, Survivors]:
    """Processor seconds of a process that deduplicates a file, and what it wrote."""
    arguments = [sys.executable, dedup_ways.__file__, way, str(path), str(out)]
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{way} failed:\n{errors}")
    with np.load(out) as found:
        return usage.ru_utime + usage.ru_stime, dict(found)


def by_exact_search(sample: Sample) -> np.ndarray:
    """Our rule, the longest stays, then the first, over all similar pairs."""
    lengths = np.array([len(document.text) for document in sample.documents])
    ranks = np.empty(len(lengths), np.int64)
    ranks[np.lexsort((np.arange(len(lengths)), -lengths))] = np.arange(len(lengths))
    return exact_survivors(sample.truth.similar, ranks)


def print_corpus(sample: Sample) -> None:
    megabytes = sum(len(document.text.encode()) for document in sample.documents) / 1e6
    exact = by_exact_search(sample)
    redundant = (exact != np.arange(len(exact))).mean()
    print(
        f"{len(sample):,} documents, {megabytes:.0f} MB, {megabytes * 1e6 / len(sample):,.0f} "
        f"bytes each; {len(sample.truth.similar):,} pairs of similarity {SIMILAR} and more; "
        f"{redundant:.1%} of the documents have to go\n"
    )


def print_quality(results: dict[str, tuple[Sample, np.ndarray]]) -> None:
    print(
        "| way | documents | removed | precision | recall | F1 | pairs: precision | recall | F1 |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, (sample, survivors) in results.items():
        found = score(sample.truth, survivors)
        values = (found.precision, found.recall, found.f1)
        values += (found.pair_precision, found.pair_recall, found.pair_f1)
        cells = " | ".join(f"{value:.4f}" for value in values)
        print(f"| {name} | {len(sample):,} | {found.removed:,} | {cells} |")
    print()


def print_speed(runs: dict[str, Run], half: Run) -> None:
    print("| way | documents | documents/s/core | without start-up | start-up, s | peak MB |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, done in [*runs.items(), ("pangu, fewer", half)]:
        warm = len(done.sample) / max(1e-9, done.seconds - done.start)
        print(
            f"| {name} | {len(done.sample):,} | {done.speed:,.0f} | {warm:,.0f} | "
            f"{done.start:.1f} | {done.megabytes:,.0f} |"
        )
    print()


def print_bands(results: dict[str, tuple[Sample, np.ndarray]]) -> None:
    """Recall by similarity; in brackets of pairs that no third document is similar to."""
    scores = {name: score_bands(sample.truth, s) for name, (sample, s) in results.items()}
    heads = [f"{low:.2f} to {min(1, high):.2f}" for low, high in BANDS]
    print("| of pairs of similarity (lone pairs), not both stay |", " | ".join(heads), "|")
    print("|---|" + "---:|" * len(BANDS))
    counts = [f"{s.pairs:,} ({s.lone_pairs:,})" for s in scores.pop(EXACT).values()]
    print("| pairs |", " | ".join(counts), "|")
    for name, bands in scores.items():
        cells = [f"{s.found:.4f} ({s.lone_found:.4f})" for s in bands.values()]
        print(f"| {name} |", " | ".join(cells), "|")
    print()


def print_kinds(sample: Sample, results: dict[str, np.ndarray]) -> None:
    """Recall and wrong removals by kind."""
    scores = {name: score_kinds(sample.documents, sample.truth, s) for name, s in results.items()}
    names = [name for name in scores if name.endswith(f", {CHECKED}")]
    print("| kind | documents | similar |", " | ".join(f"{n}: found | wrong" for n in names), "|")
    print("|---|---:|---:|" + "---:|---:|" * len(names))
    for kind, one in sorted(scores[EXACT].items()):
        cells = [f"{one.documents:,}", f"{one.planned:,}"]
        for name in names:
            cells += [f"{scores[name][kind].found:.4f}" if one.planned else "–"]
            cells += [str(scores[name][kind].wrong)]
        print(f"| {kind} |", " | ".join(cells), "|")
    print()


def print_goals(sample: Sample, survivors: np.ndarray, done: Run, costs: Costs) -> None:
    found = score(sample.truth, survivors)
    kinds = score_kinds(sample.documents, sample.truth, survivors)
    full_documents = costs.text_bytes / DOCUMENT_BYTES
    hard = score_bands(sample.truth, survivors)[BANDS[0]]
    signing = costs.seconds["signatures, bands"]
    folding = costs.seconds["decode and fold"]
    goals = [
        ("precision", found.precision, 0.995),
        ("recall", found.recall, 0.99),
        ("recall, similarity 0.80 to 0.85", hard.found, 0.95),
        ("the same, lone pairs", hard.lone_found, 0.95),
        ("recall, 1 % of characters edited", kinds["edited 1.0%"].found, 0.99),
        ("recall, 2 % edited", kinds["edited 2.0%"].found, 0.95),
        ("recall, traditional copies", kinds["traditional"].found, 0.99),
        (
            "pages of a site not wrongly removed",
            1 - kinds["site"].wrong / kinds["site"].documents,
            1,
        ),
        ("signatures and bands, documents of 2 KB/s/core", full_documents / signing, 100_000),
        ("the same with decoding and folding", full_documents / (signing + folding), 100_000),
        ("end to end, documents/s/core", done.speed, 10_000),
    ]
    print("| goal | at least | measured | met |\n|---|---:|---:|---|")
    for name, value, least in goals:
        form = ",.0f" if least > 1 else ".4g"
        met = "yes" if value >= least else "**no**"
        print(f"| {name} | {least:{form}} | {value:{form}} | {met} |")
    print()


if __name__ == "__main__":
    main()
