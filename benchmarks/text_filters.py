"""What the presets make of pages of a crawl whose kinds are known, and of texts known to be good.

    python benchmarks/text_filters.py crawl-*.warc.gz --index INDEX.jsonl.gz
        [--texts FILE.jsonl.gz ...] [--presets pangu_alpha ...] [--show KIND VERDICT] [--words]

The index has one JSON object a page with `warc` (file name), `offset` and `kind`. Files of --texts
have one with `text` and perhaps `title`; each is a kind of its own. Prints, in Markdown, for every
preset a table kind × verdict, and what share of each kind has more than so many different phrases
of each word list. --show prints pages of one cell of the first preset's table, to look at;
--words how many characters a word of jieba has in the texts.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pyarrow as pa

from benchmarks.main_text import read_json_lines
from filters.presets import load_preset, preset_names
from pipeline.commands.terminal import one_line
from pipeline.pieces.filter_documents import KEPT, DocumentFilter
from pipeline.reading.extract_settings import ExtractSettings
from pipeline.reading.input_files import read_records
from pipeline.reading.page_extraction import Dropped, Extracted, PageExtractor
from pipeline.reading.record import Damage
from pipeline.recipe import recipe_of_preset

# Of each word list, the limits whose effect is shown: more than so many different phrases.
LIST_LIMITS = {"advertisement": (0, 1, 2), "spam": (0, 1), "sensitive": (0, 1, 3)}
SHOWN = 12
SHOWN_CHARACTERS = 400


@dataclass(frozen=True)
class Document:
    """A page or text of a kind; `outcome` is "" for one with a text, else why it has none."""

    kind: str
    url: str
    title: str
    text: str
    outcome: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("crawl", nargs="*", type=Path)
    parser.add_argument("--index", type=Path)
    parser.add_argument("--texts", nargs="*", type=Path, default=[])
    parser.add_argument("--presets", nargs="*", default=preset_names())
    parser.add_argument("--show", nargs=2, metavar=("KIND", "VERDICT"))
    parser.add_argument("--words", action="store_true")
    arguments = parser.parse_args()
    documents = [*read_pages(arguments.crawl, arguments.index), *read_texts(arguments.texts)]
    if arguments.words:
        print_words(documents)
        return
    if arguments.show:
        show(documents, verdicts(documents, arguments.presets[0]), *arguments.show)
        return
    found = {preset: verdicts(documents, preset) for preset in arguments.presets}
    print_summary(documents, found)
    for preset, outcomes in found.items():
        print_verdicts(documents, preset, outcomes)
    print_word_lists(documents)


def read_pages(crawl: Sequence[Path], index: Path | None) -> Iterator[Document]:
    """Every page record of the crawl that the index knows, extracted as a run does it."""
    if index is None:
        return
    kinds = {(row["warc"], row["offset"]): row["kind"] for row in read_json_lines(index)}
    settings = ExtractSettings()
    extractor = PageExtractor(settings)
    for path in crawl:
        with path.open("rb") as file:
            for item in read_records(file, path.name, "warc", settings):
                kind = kinds.get((path.name, item.offset))
                if kind is None or isinstance(item, Damage):
                    continue
                result = extractor.extract(item)
                if isinstance(result, Extracted):
                    yield Document(kind, item.url, result.title, result.text)
                else:
                    outcome = result.rule if isinstance(result, Dropped) else "dead letter"
                    yield Document(kind, item.url, "", "", outcome)


def read_texts(paths: Sequence[Path]) -> Iterator[Document]:
    """The rows of JSONL files; rows with a `label` are of that kind, others of their file's."""
    for path in paths:
        for row in read_json_lines(path):
            kind = row.get("label") or path.name.partition(".")[0]
            yield Document(kind, row.get("url") or "", row.get("title") or "", row["text"])


def verdicts(documents: Sequence[Document], preset: str) -> list[str]:
    """How each document ends under a preset."""
    judged = judge(documents, DocumentFilter(recipe_of_preset(preset)))
    rules = iter(judged.column("rule").to_pylist())
    return [document.outcome or next(rules) or KEPT for document in documents]


def judge(documents: Sequence[Document], judge: DocumentFilter) -> pa.Table:
    """Signals and verdicts of the documents that have a text, in order."""
    with_text = [document for document in documents if not document.outcome]
    batches = [
        judge.judge(
            pa.array([document.title for document in with_text[start : start + 256]], pa.string()),
            pa.array([document.text for document in with_text[start : start + 256]], pa.string()),
        )
        for start in range(0, len(with_text), 256)
    ]
    return pa.Table.from_batches(batches, judge.schema)


def print_summary(documents: Sequence[Document], found: dict[str, list[str]]) -> None:
    """A row for each kind, a column for each preset: the share that is kept."""
    kinds = Counter(document.kind for document in documents)
    print(f"| kept of each kind | all | {' | '.join(found)} |")
    print("|---|---|" + "---|" * len(found))
    for kind, total in kinds.most_common():
        kept = [
            sum(
                document.kind == kind and outcome == KEPT
                for document, outcome in zip(documents, outcomes, strict=True)
            )
            for outcomes in found.values()
        ]
        print(f"| {kind} | {total} | " + " | ".join(f"{k / total:.1%}" for k in kept) + " |")


def print_verdicts(documents: Sequence[Document], preset: str, outcomes: list[str]) -> None:
    """A row for each kind of page, a column for each verdict."""
    counts = Counter(
        (document.kind, outcome) for document, outcome in zip(documents, outcomes, strict=True)
    )
    reasons = [*load_preset(preset).rules]
    columns = [KEPT, *sorted(set(outcomes) - {KEPT, *reasons})]
    columns += [reason for reason in reasons if reason in outcomes]
    print(f"\n{preset}\n\n| kind | all | {' | '.join(columns)} |")
    print("|---|---|" + "---|" * len(columns))
    for kind, total in Counter(document.kind for document in documents).most_common():
        cells = " | ".join(str(counts[kind, column] or "") for column in columns)
        print(f"| {kind} | {total} | {cells} |")


def print_word_lists(documents: Sequence[Document]) -> None:
    """For every kind, the share of documents with more than so many phrases of each list."""
    overrides = [f"words.{name}=builtin" for name in LIST_LIMITS]
    judged = judge(documents, DocumentFilter(recipe_of_preset("pangu_alpha", overrides)))
    kinds = np.array([document.kind for document in documents if not document.outcome])
    columns = [(name, limit) for name, limits in LIST_LIMITS.items() for limit in limits]
    print("\n| documents | all | " + " | ".join(f"{name} > {n}" for name, n in columns) + " |")
    print("|---|---|" + "---|" * len(columns))
    for kind, total in Counter(kinds.tolist()).most_common():
        found = [
            (np.asarray(judged.column(f"{name}_words"))[kinds == kind] > limit).mean()
            for name, limit in columns
        ]
        cells = " | ".join(f"{share:.2%}" if share else "0" for share in found)
        print(f"| {kind} | {total} | {cells} |")


def print_words(documents: Sequence[Document]) -> None:
    """How many characters a word of jieba has, marks counted as words and not."""
    import jieba

    jieba.setLogLevel(60)
    words = [
        word
        for document in documents[:: max(1, len(documents) // 300)]
        for word in jieba.cut(document.text)
        if word.strip()
    ]
    letters = [word for word in words if any(map(str.isalnum, word))]
    for name, chosen in (("marks counted", words), ("without marks", letters)):
        print(f"{name}: {sum(map(len, chosen)) / len(chosen):.2f} characters a word")


def show(documents: Sequence[Document], outcomes: list[str], kind: str, verdict: str) -> None:
    """Prints some documents of one cell of the table, spread evenly over it."""
    cell = [
        document
        for document, outcome in zip(documents, outcomes, strict=True)
        if (document.kind, outcome) == (kind, verdict)
    ]
    print(f"{len(cell)} of kind {kind} end as {verdict}")
    for document in cell[:: max(1, len(cell) // SHOWN)]:
        print(f"\n{document.url}\n{one_line(document.title, 80)}")
        print(f"{len(document.text)}: {one_line(document.text, SHOWN_CHARACTERS)}")


if __name__ == "__main__":
    main()
