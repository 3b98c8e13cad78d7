"""What lines that documents share would go, at several settings, and how fast they are found.

    python benchmarks/line_duplicates.py RUN [--index crawl.index.jsonl.gz] [--show]
    python benchmarks/line_duplicates.py --made-up 10000000
    python benchmarks/line_duplicates.py --made-up 20000000 --steps --memory 512MB

RUN is a run directory whose stages up to deduplicate are finished; whether it took lines out itself
does not matter. The index holds one JSON object a line for each page, with `url` and `kind`: then
it is said how often a paragraph that an article and a list share stays in the article, for several
ways to choose, and with `--show` which pages that are not lists lose a paragraph. The other forms
make up lines, of which 30 % stand in several documents: in memory, or in files from which all steps
of the stage find them, with one worker.
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ByteSize, TypeAdapter

from filters.line_duplicate_settings import CorpusWide, DeduplicateLines, PerHost
from filters.line_duplicates import (
    Lines,
    Repeated,
    removed_lines,
    repeated_lines,
    repetition,
)
from pipeline.duplicates.inputs import Inputs, NumberedPart
from pipeline.execution import Execution
from pipeline.line_duplicates.keys import (
    HOSTS,
    HashHosts,
    LineReader,
    host_sizes,
    write_host_sizes,
)
from pipeline.line_duplicates.repeated import joined
from pipeline.line_duplicates.summary import line_at
from pipeline.parts import Part
from pipeline.run_directory import RunDirectory
from pipeline.stages.deduplicate_lines import find_line_duplicates

# min_documents, min_share
PER_HOST = [(5, 0.0), (10, 0.0), (5, 0.1), (10, 0.1), (20, 0.1), (10, 0.2), (20, 0.2)]
# min_documents, min_characters
CORPUS_WIDE = [(2, 10), (3, 10), (2, 30), (3, 30), (2, 80), (3, 80), (3, 150)]
# Kinds of pages that are not lists of others.
WITH_TEXT = ("article", "mirror", "dup-url", "ad", "forum")
SHOWN = 12


class Corpus:
    """The lines of a run's documents, in memory."""

    def __init__(self, run: str, work: str) -> None:
        directory = RunDirectory(run)
        self.inputs = Inputs(
            *(directory.current_folder(stage) for stage in ("clean", "measure", "decide")), ()
        )
        tables = Path(self.inputs.decide, "verdicts").glob("*.parquet")
        names = sorted(path.stem for path in tables)
        self.parts = self.inputs.number([Part(name, "", "", "", 0) for name in names])
        merges = directory.current_folder("deduplicate")
        self.reader = LineReader(self.inputs, merges, work, 0)
        units = [numbered.part for numbered in self.parts]
        Execution().map_parts(HashHosts(self.reader), units, work, HOSTS)
        write_host_sizes(work, units, 1)
        self.lines = joined([lines for part in self.parts for lines in self.reader.read(part)])
        documents = sum(part.rows for part in self.parts)
        self.letters = np.zeros(documents, np.int64)
        np.add.at(self.letters, self.lines.documents.astype(int), self.lines.letters)

    def repeated(self, settings: DeduplicateLines) -> Repeated:
        return repeated_lines(
            self.lines, settings, lambda hosts: host_sizes(self.reader.work, hosts)
        )

    def repeated_letters(self, repeated: Repeated) -> np.ndarray:
        """Letters in repeated lines of the document of each line."""
        documents = repeated.lines.documents.astype(int)
        sums: np.ndarray = np.bincount(documents, repeated.lines.letters, len(self.letters))
        return sums[documents]

    def repetitions(self, repeated: Repeated) -> np.ndarray:
        """How much the document of each line repeats others."""
        letters = self.letters[repeated.lines.documents.astype(int)]
        found: np.ndarray = repetition(self.repeated_letters(repeated), letters)
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", nargs="?")
    parser.add_argument("--index", type=Path)
    parser.add_argument("--show", action="store_true", help="the lines of most documents, too")
    parser.add_argument("--made-up", type=int, metavar="LINES")
    parser.add_argument("--steps", action="store_true", help="all steps, from files")
    parser.add_argument("--memory", type=TypeAdapter(ByteSize).validate_python, default=2**30)
    arguments = parser.parse_args()
    if arguments.steps:
        print_steps(arguments.made_up, arguments.memory)
    elif arguments.made_up:
        print_speed(arguments.made_up)
    if not arguments.run:
        return
    with tempfile.TemporaryDirectory() as work:
        corpus = Corpus(arguments.run, work)
        print(f"{len(corpus.lines):,} lines of {(corpus.letters > 0).sum():,} documents")
        for documents, share in PER_HOST:
            rule = PerHost(enabled=True, min_documents=documents, min_share=share)
            settings = DeduplicateLines(per_host=rule)
            title = f"per_host: {documents} documents, {share:.0%} of the host"
            print_setting(corpus, title, settings, arguments.show)
        for documents, letters in CORPUS_WIDE:
            wide = CorpusWide(enabled=True, min_documents=documents, min_characters=letters)
            settings = DeduplicateLines(corpus_wide=wide)
            title = f"corpus_wide: {documents} documents, {letters} letters"
            print_setting(corpus, title, settings, arguments.show)
        if arguments.index:
            for letters in (30, 80):
                print_keepers(corpus, arguments.index, letters)
            print_losses(corpus, arguments.index, arguments.show)


def print_setting(corpus: Corpus, title: str, settings: DeduplicateLines, show: bool) -> None:
    repeated = corpus.repeated(settings)
    goes = removed_lines(repeated, corpus.repetitions(repeated), settings)
    letters = int(repeated.lines.letters[goes].sum())
    print(
        f"{title:<44} {len(np.unique(repeated.groups)):>6,} lines, {goes.sum():>6,} taken out, "
        f"{letters / corpus.letters.sum():.2%} of the letters"
    )
    if show:
        firsts = np.flatnonzero(np.diff(repeated.groups, prepend=-1))
        for row in firsts[np.argsort(-repeated.counts[firsts], kind="stable")][:SHOWN]:
            line, _ = text_of(corpus, repeated.lines, row)
            print(f"    {repeated.counts[row]:>5} {line[:90]}")


def text_of(corpus: Corpus, lines: Lines, row: int) -> tuple[str, str]:
    """A line, and the address of its document."""
    place = (int(lines.documents[row]), int(lines.numbers[row]))
    return line_at(corpus.inputs, corpus.parts, *place)


def read_kinds(index: Path) -> dict[str, str]:
    """Address -> kind of page."""
    with gzip.open(index, "rt", encoding="utf-8") as rows:
        return {row["url"]: row["kind"] for row in map(json.loads, rows)}


def print_losses(corpus: Corpus, index: Path, show: bool) -> None:
    """From which kinds of pages paragraphs go by the default settings."""
    kinds = read_kinds(index)
    settings = DeduplicateLines(corpus_wide=CorpusWide(enabled=True))
    repeated = corpus.repeated(settings)
    goes = removed_lines(repeated, corpus.repetitions(repeated), settings)
    counts: Counter[str] = Counter()
    for row in np.flatnonzero(goes):
        line, url = text_of(corpus, repeated.lines, row)
        kind = kinds.get(url, "unknown")
        counts[kind] += 1
        if show and kind in WITH_TEXT:
            (keeper,) = np.flatnonzero((repeated.groups == repeated.groups[row]) & ~goes)[:1]
            _, kept = text_of(corpus, repeated.lines, keeper)
            print(f"    {kind}: {line[:40]} from {url}; kept by {kinds.get(kept)} {kept}")
    shown = ", ".join(f"{kind} {count}" for kind, count in counts.most_common())
    print(f"corpus_wide by default takes paragraphs out of: {shown}")


def print_keepers(corpus: Corpus, index: Path, letters: int) -> None:
    """How often an article keeps a paragraph, chosen by what is known of its documents."""
    wide = CorpusWide(enabled=True, min_documents=2, min_characters=letters)
    repeated = corpus.repeated(DeduplicateLines(corpus_wide=wide))
    kinds = read_kinds(index)
    urls, qualities, characters = columns_of(corpus.inputs, corpus.parts)
    is_article = np.array([kinds.get(url) in WITH_TEXT for url in urls])
    documents = repeated.lines.documents.astype(int)
    ways: dict[str, np.ndarray] = {
        "least repetition": corpus.repetitions(repeated),
        "fewest repeated letters": corpus.repeated_letters(repeated),
        "smallest share of them": corpus.repeated_letters(repeated) / corpus.letters[documents],
        "best quality": -qualities[documents],
        "longest": -characters[documents],
        "shortest": characters[documents],
        "first": documents,
    }
    starts = np.flatnonzero(np.diff(repeated.groups, prepend=-1))
    groups = np.split(np.arange(len(documents)), starts[1:])
    mixed = [rows for rows in groups if 0 < is_article[documents[rows]].sum() < len(rows)]
    print(f"{len(mixed)} paragraphs of {letters} letters and more stand in articles and in lists")
    for name, values in ways.items():
        kept = sum(is_article[documents[rows[np.argmin(values[rows])]]] for rows in mixed)
        print(f"    an article keeps it if it is that of {name:<22} {kept / len(mixed):.0%}")


def columns_of(
    inputs: Inputs, parts: list[NumberedPart]
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Of all documents: address, quality and characters."""
    urls: list[str] = []
    for numbered in parts:
        for batch in inputs.documents(numbered.part, ["url"], 65_536):
            urls += batch.column("url").to_pylist()
    tables = [inputs.verdicts(numbered.part, ["quality", "characters"]) for numbered in parts]
    qualities, characters = (
        np.concatenate([np.asarray(table.column(name)) for table in tables])
        for name in ("quality", "characters")
    )
    return urls, qualities, characters


def made_up(count: int, seed: int = 0) -> Lines:
    """Lines of which 30 % stand in several documents; 20 lines a document, 50 documents a host."""
    common = np.random.default_rng(1).integers(0, 2**64, max(1, count // 20), np.uint64)
    rng = np.random.default_rng([2, seed])
    hashes = rng.integers(0, 2**64, count, np.uint64)
    again = rng.random(count) < 0.3
    hashes[again] = common[rng.integers(len(common), size=again.sum())]
    documents = np.arange(count, dtype=np.uint64) // np.uint64(20)
    letters = (10 + hashes % np.uint64(100)).astype(np.uint32)
    numbers = (np.arange(count) % 20).astype(np.uint32)
    return Lines(hashes, letters, documents // np.uint64(50) + np.uint64(1), documents, numbers)


def print_speed(count: int) -> None:
    settings = DeduplicateLines(
        per_host=PerHost(enabled=True), corpus_wide=CorpusWide(enabled=True, min_characters=10)
    )

    def sizes(hosts: np.ndarray) -> np.ndarray:
        return np.full(len(hosts), 50)

    repeated_lines(made_up(1000), settings, sizes)  # compiled before the clock starts
    lines = made_up(count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found, seconds = timed(lambda: repeated_lines(lines, settings, sizes))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    none = np.zeros(len(found.lines))
    _, choosing = timed(lambda: removed_lines(found, none, settings))
    print(
        f"{count:,} lines, {len(found.lines):,} of them repeated: "
        f"{count / (seconds + choosing) / 1e6:.1f} million lines/s/core, "
        f"{(after - before) * 1024 / count:.0f} bytes a line beside the lines themselves"
    )


def print_steps(count: int, memory: int) -> None:
    settings = DeduplicateLines(
        per_host=PerHost(enabled=True), corpus_wide=CorpusWide(enabled=True, min_characters=10)
    )
    with tempfile.TemporaryDirectory() as folder:
        names = [f"part{number:02d}" for number in range(10)]
        for number, name in enumerate(names):
            write_tables(Path(folder), name, count // len(names), number)
        inputs = Inputs(folder, folder, folder, ())
        reader = LineReader(inputs, f"{folder}/merges", f"{folder}/work", 10)
        parts = tuple(inputs.number([Part(name, "", "", "", 0) for name in names]))
        wall, processor = time.monotonic(), time.process_time()
        find_line_duplicates(Execution(), reader, parts, settings, memory)
        wall, processor = time.monotonic() - wall, time.process_time() - processor
        blocks = len(list(Path(folder, "work", "repeated").iterdir()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{count:,} lines of {count // 20:,} documents in {blocks} blocks: {wall:.0f} s, "
        f"{processor:.0f} s of processor time, {peak:.2f} GB at most"
    )


def write_tables(folder: Path, name: str, count: int, seed: int) -> None:
    """Writes the columns that the steps read, for so many lines, 20 a document."""
    lines = made_up(count, seed)
    places = np.zeros(2 * count, np.int32)
    documents = count // 20
    packed = {
        f"paragraph_{column}": [row.tobytes() for row in values.reshape(documents, -1)]
        for column, values in (
            ("hashes", lines.hashes),
            ("letters", lines.letters),
            ("places", places),
        )
    }
    hosts = seed * 10**6 + np.arange(documents) // 50
    tables: dict[str, dict[str, Any]] = {
        "signals": packed,
        "documents": {"url": [f"http://{host}.cn/" for host in hosts]},
        "verdicts": {"id": np.arange(documents)},
        "merges/verdicts": {"kept": np.ones(documents, np.bool_)},
    }
    for table, columns in tables.items():
        path = folder / table / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path, row_group_size=20_000)


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """What a function returns, and the processor time that it took, the least of three, in s."""
    seconds = []
    for _ in range(3):
        start = time.process_time()
        result = function()
        seconds.append(time.process_time() - start)
    return result, min(seconds)


if __name__ == "__main__":
    main()
