"""How fast cleaning is, step by step, and which lines it takes out of documents.

    python benchmarks/cleaning.py FILE.jsonl.gz ... [--documents 3000] [--examples 3]

A file has one JSON object a line with `text`. Texts are cleaned in batches as the pipeline's, on
one core; a figure is the best of several rounds. Beside it, in the same run: OpenCC converting the
same documents one by one, and the plain-Python references of the kernels. With --traditional the
documents are converted to traditional characters before. Then, for every file, removed lines by
reason with examples, chosen by hash.

    python benchmarks/cleaning.py --crawl crawl-*.warc.gz --index INDEX.jsonl.gz
        --gold GOLD.jsonl.gz

Cleans the whole text of the pages whose main text is known (all that a browser shows, as
resiliparse has it; files as for main_text.py): of the characters outside of the main text, how many
go with lines that are navigation; of those inside, which.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import opencc

from benchmarks.main_text import read_json_lines, read_pages
from filters.clean import Cleaner, CleanSettings
from filters.kernels.count_characters import count_in_batch
from filters.kernels.plain_characters import plain_batch
from filters.kernels.repeated_lines import Repeats, repeated_lines
from filters.kernels.text_batch import TextBatch
from filters.kernels.tidy_lines import join_lines, tidy_lines
from filters.kernels.trigger_words import possible_kinds_of_lines
from filters.navigation import NAVIGATION_RULES, TRIGGERS, first_rule
from filters.traditional import simplify, simplify_texts, traditional_characters
from pipeline.documents import BATCH_CHARACTERS, BATCH_ROWS
from pipeline.inspection.removed_lines import RemovedLines

ROUNDS = 5
SLOW_DOCUMENTS = 300
LONG_LINE = 15
Result = TypeVar("Result")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--crawl", nargs="*", type=Path, default=[])
    parser.add_argument("--index", type=Path)
    parser.add_argument("--gold", type=Path)
    parser.add_argument("--documents", type=int, default=3000)
    parser.add_argument("--examples", type=int, default=3)
    parser.add_argument("--traditional", action="store_true")
    arguments = parser.parse_args()
    rows: list[dict[str, float]] = []
    for path in arguments.files:
        texts = list(islice(read_texts(path), arguments.documents))
        if arguments.traditional:
            to_traditional = opencc.OpenCC("s2t")
            texts = [to_traditional.convert(text) for text in texts]
        rows.append(speeds(texts))
        print_removed(path.name, texts, arguments.examples)
    if arguments.crawl:
        print_whole_pages(arguments.crawl, arguments.index, arguments.gold)
    if not rows:
        return
    print("\nMB of UTF-8 text a second on one core\n")
    print("| step | " + " | ".join(path.name.partition(".")[0] for path in arguments.files) + " |")
    print("|---|" + "---|" * len(rows))
    for step in rows[0]:
        print(f"| {step} | " + " | ".join(f"{row[step]:.0f}" for row in rows) + " |")


def read_texts(path: Path) -> Iterator[str]:
    """The texts of a file; halves of characters, which JSON allows, are replaced."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)["text"].encode("utf-8", "replace").decode()


def in_batches(texts: list[str]) -> Iterator[TextBatch]:
    """Batches of the size that the pipeline hands to the cleaner."""
    waiting: list[str] = []
    characters = 0
    for text in texts:
        waiting.append(text)
        characters += len(text)
        if len(waiting) == BATCH_ROWS or characters >= BATCH_CHARACTERS:
            yield TextBatch.from_strings(waiting)
            waiting, characters = [], 0
    if waiting:
        yield TextBatch.from_strings(waiting)


def speeds(texts: list[str]) -> dict[str, float]:
    """MB a second of cleaning, of each of its steps and of what it is compared with."""
    size = sum(len(text.encode()) for text in texts) / 1e6
    cleaner = Cleaner(CleanSettings())
    batches = list(in_batches(texts))
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        spent: dict[str, float] = {}

        def timed(step: str, work: Callable[[], Result], spent: dict[str, float] = spent) -> Result:
            start = time.process_time()
            result = work()
            spent[step] = spent.get(step, 0.0) + time.process_time() - start
            return result

        for batch in batches:
            timed("cleaning", lambda batch=batch: cleaner.clean_batch(batch))
            clean_step_by_step(batch, timed)
        best = {step: min(spent[step], best.get(step, spent[step])) for step in spent}
    result = {step: size / seconds for step, seconds in best.items()}

    converter = opencc.OpenCC("t2s", include_tofu_risk_dictionaries=False)
    few = texts[:SLOW_DOCUMENTS]
    few_size = sum(len(text.encode()) for text in few) / 1e6
    for name, work in (("OpenCC alone", converter.convert), ("references", cleaner.clean)):
        seconds = float("inf")
        for _ in range(2):
            start = time.process_time()
            for text in few:
                work(text)
            seconds = min(seconds, time.process_time() - start)
        result[name] = few_size / seconds
    return result


def clean_step_by_step(batch: TextBatch, timed: Callable[..., object]) -> None:
    """What Cleaner.clean_batch does, each step with a name of its own."""
    settings = CleanSettings()
    counts = timed("· count", lambda: count_in_batch(batch, traditional_characters()))
    plain = timed("· plain characters", lambda: plain_batch(batch, settings.width))
    simplified = timed("· simplify", lambda: simplify_texts(plain, counts.chosen))
    lines = timed("· lines and symbols", lambda: tidy_lines(simplified, settings.symbols))
    kinds = timed("· triggers", lambda: possible_kinds_of_lines(lines.lines, TRIGGERS))
    timed(
        "· navigation rules",
        lambda: [
            first_rule(lines.lines.text(line), int(kinds[line]))
            for line in np.flatnonzero(kinds).tolist()
        ],
    )
    every = np.ones(len(lines.lines), np.bool_)
    repeats = Repeats(1, settings.repeated_short_lines)
    timed("· repeated lines", lambda: repeated_lines(lines, every, repeats))
    timed("· join", lambda: join_lines(lines, every))


def print_removed(name: str, texts: list[str], examples: int) -> None:
    """Removed lines of one file by reason, with some examples."""
    cleaner = Cleaner(CleanSettings())
    removed = RemovedLines()
    lines = 0
    for batch in in_batches(texts):
        cleaned = cleaner.clean_batch(batch)
        removed.add(cleaned)
        lines += len(cleaned.lines)
    print(f"\n{name}: {len(texts)} documents, {lines} lines")
    for reason, count in removed.counts.items():
        if count:
            shown = " · ".join(list(removed.samples[reason].values())[:examples])
            print(f"  {count:6} {reason:28} {shown[:160]}")


def print_whole_pages(crawl: list[Path], index: Path, gold: Path) -> None:
    """What cleaning takes out of whole pages, beside and inside of the text that they are about."""
    from resiliparse.extract.html2text import extract_plain_text

    main_texts = {
        entry["url"]: [letters(line) for line in entry["text"].splitlines()]
        for entry in read_json_lines(gold)
        if entry["lang"].startswith("zh")
    }
    cleaner = Cleaner(CleanSettings())
    beside: Counter[str] = Counter()
    inside: list[tuple[str, str]] = []
    characters_inside = pages = 0
    for page in read_pages(crawl, index):
        main_lines = main_texts.pop(page.url, None)
        if main_lines is None:
            continue
        pages += 1
        main_text = "".join(main_lines)
        text = extract_plain_text(page.html, main_content=False, list_bullets=False)
        for line in cleaner.explain(text):
            content = letters(line.cleaned)
            # A short line, such as 国际, is in many a sentence.
            is_long = len(content) >= LONG_LINE
            if content in (main_text if is_long else main_lines):
                characters_inside += len(line.cleaned)
                if line.reason in NAVIGATION_RULES:
                    inside.append((line.reason, line.cleaned))
            else:
                beside[line.reason or "kept"] += len(line.cleaned)
    total = beside.total()
    print(f"\n{pages} whole pages; beside the main text {total} characters, of them by reason:")
    for reason, count in beside.most_common():
        print(f"  {count / total:7.1%} {reason}")
    lost = sum(len(line) for _, line in inside)
    print(f"inside {characters_inside} characters, removed {lost} in {len(inside)} lines:")
    for reason, line in inside:
        print(f"  {reason:24} {line[:100]}")


def letters(text: str) -> str:
    """Letters and digits, simplified: what tells whether a line belongs to a text."""
    return re.sub(r"[\W_]+", "", simplify(text))


if __name__ == "__main__":
    main()
