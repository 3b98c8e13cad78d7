"""How well texts of evaluation sets are found, what else is taken for one, and how fast it is.

    python benchmarks/decontamination.py --sets cmrc2018='eval/cmrc2018/*' --sets c3='eval/c3/*' \\
        TEXTS.jsonl.gz... [--show 5] [--seed 1]

Texts have one JSON object a line with `text`. Prints, for each file, how many documents are found;
how many of those that stand letter for letter in a set (looked up in plain Python, so that it
depends on nothing else here), and which of these are not; with --show, the others that are found,
and the nearest of those that are not. Then what other limits would find, how many edited items are
found, and the speed.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import opencc

from benchmarks.main_text import read_json_lines
from filters.decontamination import Decontaminator, comparable
from filters.decontamination_settings import Decontaminate, EvaluationSet
from filters.folding import fold_texts
from filters.kernels.ngram_overlap import NgramIndex
from filters.kernels.text_batch import TextBatch
from pipeline.decontamination.evaluation_sets import read_set

ROUNDS = 5
EDITED = 500
# Texts of so many characters are edited: passages, not answers.
EDITED_CHARACTERS = (100, 600)
BATCH_BYTES = 1 << 20
# Places of the items that are looked up first.
HEAD = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("texts", nargs="+", type=Path)
    parser.add_argument("--sets", action="append", required=True, metavar="NAME=PATTERN")
    parser.add_argument("--show", type=int, default=0, help="finds of each file to print")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    patterns: dict[str, list[str]] = {}
    for given in arguments.sets:
        name, _, pattern = given.partition("=")
        patterns.setdefault(name, []).append(str(Path(pattern).absolute()))
    items = [
        item
        for name, paths in patterns.items()
        for item in read_set("/", name, EvaluationSet(paths=paths))
    ]
    texts = list(dict.fromkeys(text for item in items for text in item.texts))
    known = list(dict.fromkeys(comparable(texts)))
    start = time.process_time()
    found = Decontaminator(known, Decontaminate())
    seconds = time.process_time() - start
    print(
        f"{len(items):,} items, {len(known):,} texts, {found.is_looked_for.sum():,} looked for; "
        f"index built in {seconds:.1f} s\n"
    )
    corpus = {
        path.name.partition(".")[0]: [row["text"] for row in read_json_lines(path)]
        for path in arguments.texts
    }
    whole = ["".join(comparable(list(item.texts))) for item in items]
    print_found(found, known, whole, corpus, arguments.show)
    print_nearest(found, known, corpus, arguments.show)
    print_limits(known, corpus)
    print_edited(found, texts, random.Random(arguments.seed))
    print_speed(found, known, corpus)


def print_found(
    found: Decontaminator,
    known: Sequence[str],
    items: Sequence[str],
    corpus: dict[str, list[str]],
    show: int,
) -> None:
    """A row for each file, then the finds that no item holds letter for letter."""
    print(
        "| texts | documents | share an n-gram | stand in an item | of these found | others found |"
    )
    print("|---|---:|---:|---:|---:|---:|")
    held = Copies(items)
    index = NgramIndex(TextBatch.from_strings(known), 13)
    missed: list[str] = []
    others: list[str] = []
    for name, documents in corpus.items():
        batch = TextBatch.from_strings(documents)
        leaks = {leak.document: leak for leak in found.find_batch(batch)}
        forms = fold_texts(batch).comparable
        places, _ = index.search(forms)
        sharing = np.count_nonzero(np.diff(np.searchsorted(places, forms.starts)))
        copies = {number for number, form in enumerate(forms.to_strings()) if held.holds(form)}
        print(
            f"| {name} | {len(documents):,} | {sharing:,} | {len(copies)} | "
            f"{len(copies & leaks.keys())} | {len(leaks.keys() - copies)} |"
        )
        missed += [f"{name} {n}: {documents[n][:80]!r}" for n in sorted(copies - leaks.keys())]
        for number in sorted(leaks.keys() - copies)[:show]:
            best = max(leaks[number].shared, key=lambda shared: shared.share)
            excerpt = documents[number][best.start : best.start + 60]
            others.append(
                f"{name} {number} ({len(documents[number]):,} characters): {best.found} of "
                f"{best.of}: {excerpt!r}"
            )
    for title, lines in (("stand in an item, not found", missed), ("others found", others)):
        print("\n".join(["", f"{title}:", *lines]) if lines else "", end="\n" if lines else "")
    print()


class Copies:
    """Says whether a text stands letter for letter in one of the items.

    Args:
      items: comparable, each as one text.
    """

    def __init__(self, items: Sequence[str]) -> None:
        self._whole = "\n".join(items)
        self._heads: dict[str, list[int]] = {}
        for place in range(0, len(self._whole) - HEAD, HEAD):
            self._heads.setdefault(self._whole[place : place + HEAD], []).append(place)

    def holds(self, text: str) -> bool:
        """Whether one does; a text of fewer than 2 * HEAD - 1 letters and digits is in none."""
        # One of so many places of the text is at a multiple of HEAD, if it is there at all.
        for shift in range(HEAD if len(text) >= 2 * HEAD - 1 else 0):
            for place in self._heads.get(text[shift : shift + HEAD], ()):
                if place >= shift and self._whole.startswith(text, place - shift):
                    return True
        return False


def print_nearest(
    found: Decontaminator, known: Sequence[str], corpus: dict[str, list[str]], show: int
) -> None:
    """The documents that are not found of which the largest part of a passage is in a set."""
    looser = Decontaminator(known, Decontaminate(min_share=0.1, min_characters=13))
    print("| texts | not found, but a tenth of a passage shared | largest share of these |")
    print("|---|---:|---:|")
    lines = []
    for name, documents in corpus.items():
        batch = TextBatch.from_strings(documents)
        leaks = {leak.document for leak in found.find_batch(batch)}
        near = [leak for leak in looser.find_batch(batch) if leak.document not in leaks]
        best = [max(leak.shared, key=lambda shared: shared.share) for leak in near]
        # Passages too short to be looked for are no near-misses.
        long = [
            (shared.share, shared, leak.document)
            for shared, leak in zip(best, near, strict=True)
            if found.is_looked_for[shared.known]
        ]
        long.sort(key=lambda entry: (-entry[0], entry[2]))
        print(f"| {name} | {len(long)} | {f'{long[0][0]:.0%}' if long else '–'} |")
        for _, shared, document in long[:show]:
            excerpt = documents[document][shared.start : shared.start + 40]
            lines.append(
                f"{name} {document}: {shared.found} of {shared.of}: {excerpt!r}; "
                f"looked for: {known[shared.known][:60]!r}"
            )
    print("\n".join(["", "nearest of those not found:", *lines]) if lines else "")
    print()


def print_limits(known: Sequence[str], corpus: dict[str, list[str]]) -> None:
    """Documents found at other limits."""
    limits = [
        Decontaminate(min_share=share, min_characters=least)
        for share, least in ((0.1, 13), (0.3, 20), (0.5, 13), (0.5, 20), (0.5, 40), (0.8, 20))
    ]
    heads = [f"{limit.min_share:g}, {limit.min_characters}" for limit in limits]
    print(f"| min_share, min_characters | {' | '.join(heads)} |\n|---|{'---:|' * len(limits)}")
    finders = [Decontaminator(known, limit) for limit in limits]
    for name, documents in corpus.items():
        batch = TextBatch.from_strings(documents)
        counts = [len(finder.find_batch(batch)) for finder in finders]
        print(f"| {name} | {' | '.join(map(str, counts))} |")
    print()


def edits(seed: random.Random) -> dict[str, Callable[[str], str]]:
    """Ways in which a text on the web differs from the one in a set."""
    convert = {name: opencc.OpenCC(name).convert for name in ("s2t", "s2twp", "t2s")}

    def changed(share: float) -> Callable[[str], str]:
        def change(text: str) -> str:
            return "".join(
                chr(seed.randrange(0x4E00, 0x9FA5)) if seed.random() < share else c for c in text
            )

        return change

    def widened(text: str) -> str:
        return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)

    return {
        "as it is": lambda text: text,
        "traditional": convert["s2t"],
        "Taiwan's words": convert["s2twp"],
        "simplified": convert["t2s"],
        "full width": widened,
        "without punctuation": lambda text: "".join(filter(str.isalnum, text)),
        "a space after each character": " ".join,
        "1 % of characters changed": changed(0.01),
        "2 %": changed(0.02),
        "5 %": changed(0.05),
        "10 %": changed(0.10),
        "first two thirds": lambda text: text[: len(text) * 2 // 3],
        "first half": lambda text: text[: len(text) // 2],
        "last third": lambda text: text[len(text) * 2 // 3 :],
        "first 30 characters": lambda text: text[:30],
    }


def print_edited(found: Decontaminator, texts: Sequence[str], seed: random.Random) -> None:
    """The share of edited passages that are found."""
    least, most = EDITED_CHARACTERS
    passages = [text for text in texts if least <= len(text) <= most]
    chosen = seed.sample(passages, min(EDITED, len(passages)))
    print(f"| {len(chosen)} passages | found |\n|---|---:|")
    for name, edit in edits(seed).items():
        leaks = found.find_batch(TextBatch.from_strings([edit(text) for text in chosen]))
        print(f"| {name} | {len(leaks) / max(1, len(chosen)):.1%} |")
    print()


def print_speed(found: Decontaminator, known: Sequence[str], corpus: dict[str, list[str]]) -> None:
    """Megabytes of UTF-8 a second on one core, best of ROUNDS; batches as the stage has them."""
    print("| texts | MB | n-grams in documents, MB/s | with folding and passages, MB/s |")
    print("|---|---:|---:|---:|")
    chosen = [text for text in known if len(text) >= Decontaminate().min_characters]
    index = NgramIndex(TextBatch.from_strings(chosen), Decontaminate().ngram)
    for name, documents in corpus.items():
        batches = [TextBatch.from_strings(texts) for texts in in_batches(documents)]
        megabytes = sum(len(text.encode()) for text in documents) / 1e6
        folded = [fold_texts(batch).comparable for batch in batches]
        alone = fastest(index.search, folded)
        all_of_it = fastest(found.find_batch, batches)
        print(
            f"| {name} | {megabytes:.1f} | {megabytes / alone:.0f} | {megabytes / all_of_it:.0f} |"
        )
    print(f"\n{index.count:,} different n-grams")


def in_batches(documents: Sequence[str]) -> list[list[str]]:
    """Documents in runs of about BATCH_BYTES."""
    ends = itertools.accumulate(len(text.encode()) for text in documents)
    numbered = zip(documents, (end // BATCH_BYTES for end in ends), strict=True)
    return [
        [text for text, _ in group]
        for _, group in itertools.groupby(numbered, lambda pair: pair[1])
    ]


def fastest(work: Callable[[TextBatch], object], batches: Sequence[TextBatch]) -> float:
    """Processor seconds of all batches, the fastest of ROUNDS."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for batch in batches:
            work(batch)
        seconds.append(time.process_time() - start)
    return min(seconds)


if __name__ == "__main__":
    main()
