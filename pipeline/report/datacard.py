"""The data card: what the corpus is, how it was made and what it lacks, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from filters.duplicate_settings import NearDuplicates
from filters.duplicates import OLDER
from filters.duplicates import explain as explain_duplicates
from filters.line_duplicates import explain as explain_lines
from pipeline.recipe import Recipe, Source
from pipeline.repetition import explain_repetitions
from pipeline.report.content import ReportInput, shorten
from pipeline.report.render import condition, mixture_rows, plain_facts

KNOWN_GAPS = (
    "Language is judged by the share of Chinese characters alone; dialects and classical Chinese "
    "are neither marked nor separated.",
    "Personal data are recognised by their form: names and postal addresses of persons stay.",
    "The licence of each page is not determined; addresses are kept so that owners' wishes can "
    "be met.",
    "Near-duplicates are found by MinHash, which misses some of those that are barely similar "
    "enough.",
    "Advertisements and sensitive pages are recognised by phrases; quotations and news about the "
    "same subjects may be dropped with them.",
)


def render_data_card(run: ReportInput) -> str:
    """Renders the data card of a run; the bytes depend on the run alone.

    Args:
      run: what gather_report read.

    Returns:
      Markdown text that ends in a newline.
    """
    sections = [
        f"# {shorten(run.recipe.name, 200)}",
        run.recipe.description.strip(),
        _summary(run),
        "## Sources",
        _sources(run),
        "## Cleaning",
        _cleaning(run),
        "## Classifiers",
        _classifiers(run),
        "## Rules",
        _rules(run.recipe),
        "## Deduplication",
        _deduplication(run),
        "## Evaluation sets",
        _evaluation_sets(run),
        "## Tokenizer",
        _list(f"{name}: {value}" for name, value in plain_facts(run.tokenizer).items()),
        "## Known gaps",
        _list(KNOWN_GAPS),
        "## More",
        "`report/index.html` shows where every page went, with examples; `recipe.yaml` holds every "
        "setting and `ledger.json` the books of every stage.",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _summary(run: ReportInput) -> str:
    read = sum(books.came_in.documents for books in run.stages[0].sources.values())
    last = run.stages[-1].sources.values()
    earliest, latest = run.captured
    lines = [
        f"pages read: {read:,}",
        f"documents: {sum(books.kept.documents for books in last):,}",
        f"characters: {sum(books.kept.characters for books in last):,}",
        f"bytes of UTF-8 text: {sum(books.kept.bytes for books in last):,}",
        f"tokens: {run.shards['tokens']:,}",
    ]
    if earliest is not None and latest is not None:
        lines.append(f"captured: from {earliest:%Y-%m-%d} to {latest:%Y-%m-%d}")
    return _list(lines)


def _sources(run: ReportInput) -> str:
    rows = []
    for source, row in zip(run.recipe.sources, mixture_rows(run), strict=True):
        read = run.stages[0].sources.get(source.name)
        rows.append(
            [
                source.name,
                _paths(source),
                f"{read.came_in.documents:,}" if read else "0",
                f"{row.documents:,}",
                f"{row.tokens:,}",
                f"{row.weight:g}",
                f"{row.drawn:.1%}",
                f"{row.epochs:.2f}",
            ]
        )
    heads = ["source", "files", "read", "documents", "tokens", "weight", "drawn", "epochs"]
    copies = explain_repetitions(run.shards["sources"])
    return _table(heads, rows) + (f"\n\n{copies}" if copies else "")


def _paths(source: Source) -> str:
    shown = ", ".join(f"`{path}`" for path in source.paths[:3])
    more = len(source.paths) - 3
    return shown + (f" and {more} more" if more > 0 else "")


def _cleaning(run: ReportInput) -> str:
    if not run.removed_lines:
        return "No line was taken out of a document."
    note = "Lines that were taken out of documents, by reason:"
    return f"{note}\n\n" + _list(f"{entry.reason}: {entry.lines:,}" for entry in run.removed_lines)


def _classifiers(run: ReportInput) -> str:
    if not run.classifiers:
        return "None was used."
    lines = []
    for classifier in run.classifiers:
        origin = f"`{classifier.model}`" if classifier.model else "trained by this run"
        line = f"{classifier.name}: {origin}, on {classifier.facts['features']}"
        if classifier.facts.get("held_out"):
            held_out = classifier.facts["held_out"]
            (best,) = (
                row
                for row in held_out["thresholds"]
                if row["threshold"] == held_out["best_threshold"]
            )
            line += (
                f"; {', '.join(classifier.facts['positives'])} told from "
                f"{', '.join(classifier.facts['negatives'])}; held out: precision "
                f"{best['precision']:.3f}, recall {best['recall']:.3f} at {best['threshold']}"
            )
        lines.append(line)
    return _list(lines)


def _rules(recipe: Recipe) -> str:
    if not recipe.rules:
        return "No rules: every document with a text was kept."
    rows = [
        [name, condition(rule), ", ".join(_sources_with(recipe, name)) or "none"]
        for name, rule in recipe.rules.items()
    ]
    note = "A document is dropped by the first rule, in this order, whose condition it breaks."
    return f"{note}\n\n" + _table(["rule", "a document stays if", "applies to"], rows)


def _sources_with(recipe: Recipe, rule: str) -> list[str]:
    return [source.name for source in recipe.sources if rule in recipe.rules_of(source)]


def _minhash(near: NearDuplicates) -> str:
    return (
        f"MinHash over {near.shingle} characters, {near.bands} bands of {near.rows} rows, "
        f"seed {near.seed}"
    )


def _deduplication(run: ReportInput) -> str:
    settings = run.recipe.deduplicate
    merges = [reason for reason in run.reasons if reason.verdict == "merged"]
    merged = sum(reason.documents for reason in merges)
    in_older = sum(reason.documents for reason in merges if reason.rule in OLDER.values())
    return _list(
        [
            *(line.strip() for line in explain_duplicates(settings)),
            *([_minhash(settings.near)] if settings.near.enabled else []),
            f"clusters: {sum(clusters for _, _, clusters, _ in run.clusters.by_size):,}",
            f"documents merged: {merged:,}",
            *([f"of them into older corpora: {in_older:,}"] if settings.against else []),
            *_line_duplicates(run),
        ]
    )


def _line_duplicates(run: ReportInput) -> list[str]:
    rules: Mapping[str, Any] = run.line_duplicates.get("rules", {})
    return [
        *explain_lines(run.recipe.deduplicate_lines),
        *(
            f"{rule}: {found['lines']:,} lines, {found['characters']:,} characters taken out"
            for rule, found in rules.items()
            if found["lines"]
        ),
    ]


def _evaluation_sets(run: ReportInput) -> str:
    found = run.decontamination
    if not found:
        return "None was named: overlap with evaluation sets is not removed."
    note = (
        f"A text was found if a document holds {found['min_share']:.0%} of the "
        f"{found['ngram']}-grams (letters and digits, folded) of a passage of it; texts of fewer "
        f"than {found['min_characters']} letters and digits were not looked for. Sentences were "
        f"cut out of {found['cut_documents']:,} documents, {found['dropped_documents']:,} were "
        "dropped."
    )
    rows = [
        [name, *(f"{counts[key]:,}" for key in ("items", "too_short", "found", "documents"))]
        for name, counts in found["sets"].items()
    ]
    heads = ["set", "items", "too short", "found", "documents with one"]
    return f"{note}\n\n" + _table(heads, rows)


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(
        "| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in lines
    )
