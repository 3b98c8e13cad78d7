"""The way of one document through extraction, cleaning, measuring and rules, told line by line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from filters.clean import ExplainedLine
from filters.folding import fold
from filters.personal_data_kinds import PERSONAL_DATA
from filters.rules import Rule, breaks, explain_rule
from pipeline.commands.terminal import one_line
from pipeline.pieces.filter_documents import KEPT, DocumentFilter
from pipeline.reading.page_extraction import Dropped, PageExtractor, Unreadable
from pipeline.reading.record import Record

# Of a run of lines that are kept so many are shown at either end.
KEPT_LINES_SHOWN = 2
PHRASES_SHOWN = 8


def explain(
    record: Record, documents: DocumentFilter, characters: int = 100, all_lines: bool = False
) -> Iterator[str]:
    """Yields the lines that `pangu filter FILE` prints.

    Args:
      record: a page or a text.
      documents: what cleans and judges it.
      characters: most of each line to show.
      all_lines: show every line that is kept.
    """
    extracted = PageExtractor(documents.recipe.extract).extract(record)
    yield f"read        {_reading(record)}"
    if isinstance(extracted, Unreadable):
        yield f"verdict     dead letter: {extracted.error}: {one_line(extracted.detail, 300)}"
        return
    if isinstance(extracted, Dropped):
        found = f"{extracted.value} (passes: {extracted.limit})"
        yield f"verdict     dropped by {extracted.rule}: {found}"
        return
    if extracted.encoding:
        repaired = f", {extracted.replaced:,} characters repaired" if extracted.replaced else ""
        yield f"encoding    {extracted.encoding}{repaired}"
        yield f"main text   {len(extracted.text):,} characters, found by {extracted.method}"
    yield f"title       {one_line(extracted.title, characters)}"
    lines = documents.cleaner.explain(extracted.text)
    removed = sum(line.reason is not None for line in lines)
    yield f"cleaning    {removed} of {len(lines)} lines removed; others as they are judged:"
    yield from _lines(lines, characters, all_lines)
    title, text = (pa.array([value], pa.string()) for value in (extracted.title, extracted.text))
    (judged,) = documents.judge(title, text).to_pylist()
    masked = {k: n for k, n in judged.items() if k.startswith("personal_") and n}
    if masked:
        shown = ", ".join(
            f"{count} {kind.removeprefix('personal_')}" for kind, count in masked.items()
        )
        line = _with_placeholder(judged["text"])
        yield f"personal    {shown}; as in: {one_line(line, characters)}"
    yield "signals"
    yield from _signals(judged, documents)
    yield f"rules       {documents.recipe.filters or documents.recipe.name}"
    yield from _rules(judged, extracted.title, documents)
    if judged["verdict"] == KEPT:
        yield f"verdict     kept by all {len(documents.recipe.rules)} rules"
    else:
        rule = documents.recipe.rules[judged["rule"]]
        yield (
            f"verdict     dropped by {judged['rule']}: {rule.signal} {judged['value']} "
            f"(limit {judged['limit']})"
        )


def _reading(record: Record) -> str:
    if record.kind == "text":
        return f"text, {len(record.text):,} characters {record.url}".rstrip()
    declared = f", declared {record.charset}" if record.charset else ""
    return f"{len(record.body):,} bytes{declared} {record.url}".rstrip()


def _lines(lines: list[ExplainedLine], characters: int, all_lines: bool) -> Iterator[str]:
    kept: list[str] = []
    for line in [*lines, None]:
        if line is not None and line.reason is None:
            kept.append(one_line(line.cleaned, characters))
            continue
        hidden = 0 if all_lines else max(0, len(kept) - 2 * KEPT_LINES_SHOWN - 1)
        end = KEPT_LINES_SHOWN if hidden else len(kept)
        yield from (f"    {text}" for text in kept[:end])
        if hidden:
            yield f"    … {hidden + 1} lines"
            yield from (f"    {text}" for text in kept[-KEPT_LINES_SHOWN:])
        kept = []
        if line is not None:
            yield f"  - {one_line(line.line.strip(), characters)}  [{line.reason}]"


def _with_placeholder(text: str) -> str:
    """The first line in which a placeholder stands for personal data."""
    placeholders = [datum.placeholder for datum in PERSONAL_DATA.values()]
    lines = text.splitlines()
    return next((line for line in lines if any(mark in line for mark in placeholders)), "")


def _signals(judged: dict[str, Any], documents: DocumentFilter) -> Iterator[str]:
    cells = [f"{name} {_shown(judged[name])}" for name in documents.signals.names]
    width = max(map(len, cells)) + 2
    for first in range(0, len(cells), 2):
        yield ("    " + "".join(cell.ljust(width) for cell in cells[first : first + 2])).rstrip()


def _shown(value: Any) -> str:
    return (
        f"{value:.4g}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else value
    )


def _rules(judged: dict[str, Any], title: str, documents: DocumentFilter) -> Iterator[str]:
    for name, rule in documents.recipe.rules.items():
        field = documents.signals.field(rule.signal)
        broken = breaks(rule, pa.array([judged[rule.signal]], field.type))[0]
        mark = "✗" if broken else "✓"
        value = f"{rule.signal} {_shown(judged[rule.signal])}"
        yield f"  {mark} {name:<26} {value:<40} drops {_condition(rule)}"
        phrases = _phrases(rule, f"{title}\n{judged['text']}", documents)
        if phrases:
            more = (
                f" and {len(phrases) - PHRASES_SHOWN} more" if len(phrases) > PHRASES_SHOWN else ""
            )
            yield f"    {'':<26} found: {', '.join(phrases[:PHRASES_SHOWN])}{more}"


def _phrases(rule: Rule, text: str, documents: DocumentFilter) -> list[str]:
    """The phrases of a word list that a text holds, for a rule that counts them."""
    name, _, kind = rule.signal.rpartition("_")
    if kind not in ("words", "hits") or name not in documents.words:
        return []
    folded = fold(text)
    return [phrase for phrase in documents.words[name] if fold(phrase) in folded]


def _condition(rule: Rule) -> str:
    """When a rule drops, without the signal's name: "< 150", "not zh"."""
    return explain_rule(rule).removeprefix(f"{rule.signal} ")
