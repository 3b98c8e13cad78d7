"""Every step from pages to measured documents, beside the usual libraries and the best wheels.

    python benchmarks/text.py --texts FILE-OR-FOLDER... --pages CRAWL.warc.gz...
        [--only text raw run] [--steps NAME...] [--megabytes 50] [--rounds 3] [--seconds 2]

Texts are JSONL, Parquet or text files; documents are resampled from their paragraphs, always the
same. Pages are WARC files. All times are CPU seconds of one core, the best of several rounds in
which the ways take turns, so the ratios hold on a machine that others use too. A slow way gets as
many documents as it can do in about --seconds. Prints Markdown tables; needs the extra [benchmark],
and leaves out what is not installed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import text_libraries, text_libraries_raw, text_ours, text_run
from benchmarks.text_corpus import Crawl, Documents, read_crawl, read_documents, sample_words
from filters.classifier_settings import FastTextSettings
from filters.classifier_training import Example, train_classifier

SECTIONS = ("text", "raw", "run")
WORDS = 1000
TRAINING_DOCUMENTS = 2000
# Pages of news portals have some 200 KB, those of blogs and manuals some 10 KB.
LARGE_PAGE_BYTES = 50_000
SOME = 20

Makers = dict[str, Callable[[], Callable[[Any], object]]]


class Input(Protocol):
    """Documents or a crawl: something that a prefix can be taken of."""

    @property
    def megabytes(self) -> float: ...

    def first(self, count: int) -> Any: ...

    def __len__(self) -> int: ...


@dataclass
class Way:
    """A way of doing a step, and how fast it was."""

    name: str
    work: Callable[[Any], object]
    given: Input
    seconds: float = float("inf")

    @property
    def megabytes_a_second(self) -> float:
        return self.given.megabytes / self.seconds

    @property
    def items_a_second(self) -> float:
        return len(self.given) / self.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--texts", nargs="*", type=Path, default=[])
    parser.add_argument("--pages", nargs="*", type=Path, default=[])
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--steps", nargs="*", default=[], help="some steps only, by their names")
    parser.add_argument("--megabytes", type=float, default=50, help="of text to make")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2, help="for a way, in each round")
    arguments = parser.parse_args()
    if "text" in arguments.only and not arguments.texts:
        parser.error("the section `text` needs --texts")
    if set(arguments.only) & {"raw", "run"} and not arguments.pages:
        parser.error("the sections `raw` and `run` need --pages")
    crawl = read_crawl(arguments.pages)
    if "text" in arguments.only or "raw" in arguments.only:
        documents = documents_for(arguments.texts, crawl, arguments.megabytes)
        words, model = sample_words(documents, WORDS), train(documents)
        bench = Bench(words, model, arguments.rounds, arguments.seconds, arguments.steps)
        print(f"\n{machine()}\n")
        if "text" in arguments.only:
            bench.print_text(documents)
        if "raw" in arguments.only:
            bench.print_raw(crawl)
    if "run" in arguments.only:
        text_run.print_run(crawl)


def documents_for(texts: Sequence[Path], crawl: Crawl, megabytes: float) -> Documents:
    """Resampled texts; without any, the main texts of the crawl."""
    if texts:
        return read_documents(texts, megabytes)
    return Documents(tuple(text_ours.main_texts(crawl)))


def train(documents: Documents) -> bytes:
    """Models to predict with. What they learn does not matter for the time that they take."""
    some = documents.first(TRAINING_DOCUMENTS)
    text_libraries.train_word_model(some)
    examples = (Example(text, number % 2 == 0) for number, text in enumerate(some.strings))
    return train_classifier(examples, FastTextSettings(epochs=1), held_out=0.1).content


def machine() -> str:
    """What the figures are of."""
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"Processor: {model}, {os.cpu_count()} cores; Python {sys.version.split()[0]}."


class Bench:
    """Times the ways of every step and prints a table."""

    def __init__(
        self, words: Sequence[str], model: bytes, rounds: int, seconds: float, steps: Sequence[str]
    ) -> None:
        self._inputs = (words, model)
        self._rounds = rounds
        self._seconds = seconds
        self._steps = steps

    def print_text(self, documents: Documents) -> None:
        print(
            f"{len(documents):,} documents, {documents.megabytes:.0f} MB of UTF-8, "
            f"{documents.megabytes / len(documents) * 1000:.1f} KB each.\n"
        )
        ours = text_ours.text_steps(*self._inputs)
        card = text_libraries.card_steps(self._inputs[0])
        wheels = text_libraries.wheel_steps(self._inputs[0])
        self._print_table("MB of text", ours, {"usual": card, "wheels": wheels}, documents)

    def print_raw(self, crawl: Crawl) -> None:
        for name, chosen in (
            ("large pages", [p for p in crawl.pages if len(p.body) >= LARGE_PAGE_BYTES]),
            ("small pages", [p for p in crawl.pages if len(p.body) < LARGE_PAGE_BYTES]),
        ):
            if not chosen:
                continue
            pages = Crawl(tuple(chosen))
            size = pages.megabytes / len(pages) * 1000
            print(f"\n{len(pages):,} {name}, {pages.megabytes:.0f} MB, {size:.0f} KB each.\n")
            ours = text_ours.raw_steps(*self._inputs)
            others = {
                "usual": text_libraries_raw.card_raw_steps(self._inputs[0]),
                "wheels": text_libraries_raw.wheel_raw_steps(self._inputs[0]),
                "jusText": text_libraries_raw.justext_steps(),
            }
            self._print_table("MB of HTML", ours, others, pages)

    def _print_table(
        self, unit: str, ours: Makers, others: dict[str, Makers], given: Input
    ) -> None:
        names = list(others)
        print(
            f"| step | ours, {unit}/s | a second | "
            + " | ".join(f"{name}, MB/s | × {name}" for name in names)
            + " |\n|---|---:|---:|"
            + "---:|---:|" * len(names),
            flush=True,
        )
        for step in ours:
            if self._steps and step not in self._steps:
                continue
            ways = [way for way in [self._way("ours", step, ours, given)] if way]
            for name, makers in others.items():
                way = self._way(name, step, makers, given)
                ways += [way] if way else []
            self._time(ways)
            found = {way.name: way for way in ways}
            own = found["ours"]
            cells = [f"{own.megabytes_a_second:.1f}", f"{own.items_a_second:,.0f}"]
            for name in names:
                if name in found:
                    speed = found[name].megabytes_a_second
                    cells += [f"{speed:.2f}", f"{own.megabytes_a_second / speed:.1f}"]
                else:
                    cells += ["–", "–"]
            print(f"| {step} | {' | '.join(cells)} |", flush=True)

    def _way(self, name: str, step: str, makers: Makers, given: Input) -> Way | None:
        """A way with as many documents as it can do in the time; None where it cannot be had."""
        if step not in makers:
            return None
        try:
            work = makers[step]()
        except ImportError as error:
            print(f"{name}, {step}: skipped; pip install {error.name}", file=sys.stderr)
            return None
        some = given.first(SOME)
        work(some)  # loads, compiles
        count = SOME
        while True:
            some = given.first(count)
            work(some.first(1))
            start = time.process_time()
            work(some)
            seconds = time.process_time() - start
            if count >= len(given) or seconds > self._seconds / 4:
                break
            count *= 4
        fitting = max(SOME, int(len(some) * self._seconds / max(seconds, 1e-6)))
        if fitting < len(given):
            return Way(name, work, given.first(fitting))
        return Way(name, work, given)

    def _time(self, ways: Sequence[Way]) -> None:
        for way in ways:
            way.work(way.given)  # brings the documents into the form that it starts from
        for _ in range(self._rounds):
            for way in ways:
                start = time.process_time()
                way.work(way.given)
                way.seconds = min(way.seconds, time.process_time() - start)


if __name__ == "__main__":
    main()
