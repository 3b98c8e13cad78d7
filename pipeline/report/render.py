"""Turns what was gathered from a run into one HTML page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from filters.rules import Rule, limit_shown
from pipeline.ledger import OUTCOMES, Books, Count
from pipeline.repetition import explain_repetitions
from pipeline.report.content import (
    SCORE_QUANTILES,
    ClassifierSummary,
    ReportInput,
    ScoresOfSource,
    StageBooks,
)
from pipeline.report.figures import Step, funnel, mirrored_histogram
from pipeline.report.gather import limits_of
from pipeline.report.sample import Histogram

TEMPLATE = "template.html"
# Every picture of the funnel is drawn for a desk and for a phone; the page shows one of the two.
WIDE, NARROW = 912, 340
HISTOGRAM_SIZE = (420, 270)
# A recipe may name hundreds of sources: all are in the summary, the first ones in detail.
PICTURED_SOURCES = 12
DETAILED_SOURCES = 60


@dataclass(frozen=True)
class LedgerRow:
    """One line of the books as the page shows it.

    Attributes:
      kind: in, kept, sum, or an outcome of the ledger (dropped, merged, dead, removed); passed
        stands alone for a stage that kept everything.
      reason: of an outcome; for a sum whether it `closes` or is `open`.
      came_in: documents that came into the stage.
    """

    stage: str
    kind: str
    reason: str
    count: Count
    came_in: int

    @property
    def share(self) -> float:
        """Documents of this line as a share of those that came into the stage."""
        return self.count.documents / self.came_in if self.came_in else 0.0


@dataclass(frozen=True)
class SourceSection:
    """The funnel of one source: pictures and books."""

    name: str
    wide: Markup | None
    narrow: Markup | None
    rows: Sequence[LedgerRow]


@dataclass(frozen=True)
class MixtureRow:
    """What a source gives to pretraining.

    Attributes:
      held: its share of the corpus' tokens.
      drawn: its share of the training samples.
      epochs: how often its tokens are seen while as many are drawn as the corpus holds.
    """

    name: str
    weight: float
    documents: int
    tokens: int
    held: float
    drawn: float
    epochs: float


@dataclass(frozen=True)
class ClassifierSection:
    """A classifier as the page shows it: with the limits of rules on its score."""

    summary: ClassifierSummary
    limits: Sequence[str]
    scores: Sequence[ScoresOfSource]


def render_report(run: ReportInput) -> str:
    """Renders the report of a run.

    The bytes depend on the run alone. Text of pages is escaped; the page loads nothing, runs no
    script and links to nothing but the run's own files.

    Args:
      run: what gather_report read.

    Returns:
      An HTML document.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=_number, share=_share, size=_size, figure=_figure, condition=condition
    )
    total = [StageBooks(books.stage, {"": sum_sources(books)}) for books in run.stages]
    return environment.get_template(TEMPLATE).render(
        run=run,
        wide=WIDE,
        read=_books(total[0], "").came_in,
        corpus=_books(total[-1], "").kept,
        total=_section(total, "", "total", pictured=True),
        total_characters=_pictures(total, "", "total", "characters"),
        summary=[_summary(run.stages, name) for name in source_names(run)],
        summary_total=_summary(total, ""),
        sources=[
            _section(run.stages, name, f"source-{place}", place < PICTURED_SOURCES)
            for place, name in enumerate(source_names(run)[:DETAILED_SOURCES])
        ],
        lengths=_histogram(run, run.lengths, "characters", logarithmic=True),
        qualities=_histogram(run, run.qualities, "quality", logarithmic=False),
        classifiers=[_classifier(run, summary) for summary in run.classifiers],
        quantiles=SCORE_QUANTILES,
        mixture=mixture_rows(run),
        copies=explain_repetitions(run.shards["sources"]),
        tokenizer=plain_facts(run.tokenizer),
    )


def source_names(run: ReportInput) -> list[str]:
    """Sources in the recipe's order."""
    return [source.name for source in run.recipe.sources]


def sum_sources(books: StageBooks) -> Books:
    """The books of a stage over all sources."""
    total = Books()
    for source in books.sources.values():
        total.merge(source)
    return total


def _books(stage: StageBooks, source: str) -> Books:
    return stage.sources.get(source) or Books()


def _section(
    stages: Iterable[StageBooks], source: str, identity: str, pictured: bool
) -> SourceSection:
    stages = list(stages)
    wide, narrow = None, None
    if pictured:
        wide, narrow = _pictures(stages, source, identity, "documents")
    return SourceSection(source, wide, narrow, _ledger_rows(stages, source))


def _pictures(
    stages: Sequence[StageBooks], source: str, identity: str, unit: str
) -> tuple[Markup, Markup]:
    steps = _steps(stages, source, unit)
    wide, narrow = (
        Markup(funnel(steps, width, f"{identity}-{unit}-{width}")) for width in (WIDE, NARROW)
    )
    return wide, narrow


def _steps(stages: Sequence[StageBooks], source: str, unit: str) -> list[Step]:
    """The way from what was read to the corpus, one step for each reason that took something."""
    remaining = getattr(_books(stages[0], source).came_in, unit)
    steps = [Step("读入 read", "came_in", 0, remaining)]
    for stage in stages:
        for outcome in OUTCOMES:
            reasons = _books(stage, source).outcomes[outcome].items()
            for reason, count in sorted(reasons, key=lambda item: -getattr(item[1], unit)):
                left = getattr(count, unit)
                remaining -= left
                # Cleaning may lengthen a text; there is nothing to draw of that.
                if left > 0:
                    steps.append(Step(f"{stage.stage} · {reason}", outcome, left, remaining))
    return [*steps, Step("语料 corpus", "kept", 0, remaining)]


def _ledger_rows(stages: Iterable[StageBooks], source: str) -> list[LedgerRow]:
    rows = []
    for stage in stages:
        books = _books(stage, source)
        entries = [("in", "", books.came_in)]
        for outcome in OUTCOMES:
            reasons = sorted(books.outcomes[outcome].items())
            entries += [(outcome, reason, count) for reason, count in reasons if count != Count()]
        if len(entries) == 1 and books.kept == books.came_in:
            rows.append(LedgerRow(stage.stage, "passed", "", books.kept, books.kept.documents))
            continue
        entries.append(("kept", "", books.kept))
        summed = Count()
        for _, _, count in entries[1:]:
            summed.add(**count.to_json())
        entries.append(("sum", "closes" if summed == books.came_in else "open", summed))
        all_documents = books.came_in.documents
        rows += [LedgerRow(stage.stage, *entry, all_documents) for entry in entries]
    return rows


def _summary(stages: Sequence[StageBooks], source: str) -> Mapping[str, Any]:
    """Documents of a source by how they ended, over all stages, and what it gave to the corpus."""
    ended = {
        outcome: sum(
            count.documents
            for stage in stages
            for count in _books(stage, source).outcomes[outcome].values()
        )
        for outcome in OUTCOMES
    }
    read, kept = _books(stages[0], source).came_in, _books(stages[-1], source).kept
    return {"name": source, "read": read, "kept": kept, **ended}


def _histogram(
    run: ReportInput, histogram: Histogram, signal: str, logarithmic: bool
) -> Markup | None:
    """A picture with the limits of the rules that look at that signal; None without documents."""
    if histogram.documents == 0:
        return None
    limits = [
        (f"{name}: {condition(run.recipe.rules[name])}", limit)
        for name, limit in limits_of(run.recipe, signal)
    ]
    return Markup(mirrored_histogram(histogram, limits, logarithmic, HISTOGRAM_SIZE, signal))


def _classifier(run: ReportInput, summary: ClassifierSummary) -> ClassifierSection:
    limits = [
        f"{name}: {condition(run.recipe.rules[name])}"
        for name, _ in limits_of(run.recipe, summary.signal)
    ]
    return ClassifierSection(summary, limits, summary.scores[:DETAILED_SOURCES])


def mixture_rows(run: ReportInput) -> list[MixtureRow]:
    """What the sources' weights mean for the tokens they hold (PanGu-α Table 4)."""
    held: Mapping[str, Mapping[str, Any]] = run.shards["sources"]
    tokens = run.shards["tokens"]
    # A source without tokens cannot be drawn from, whatever its weight.
    weights = {name: source["weight"] for name, source in held.items() if source["tokens"]}
    all_weights = sum(weights.values())
    rows = []
    for source in run.recipe.sources:
        facts = held.get(source.name, {"documents": 0, "tokens": 0})
        share = facts["tokens"] / tokens if tokens else 0.0
        drawn = weights.get(source.name, 0.0) / all_weights if all_weights else 0.0
        epochs = drawn / share if share else 0.0
        counts = (facts["documents"], facts["tokens"])
        rows.append(MixtureRow(source.name, source.weight, *counts, share, drawn, epochs))
    return rows


def plain_facts(facts: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested facts as one level: those people look for first, then the others by dotted name."""
    first = ("vocabulary_size", "characters_per_token", "unknown_share")
    plain: dict[str, Any] = {}
    for name in sorted(facts, key=lambda name: (name not in first, name)):
        value = facts[name]
        if isinstance(value, Mapping):
            plain |= plain_facts(value, f"{prefix}{name}.")
        else:
            plain[f"{prefix}{name}"] = value
    return plain


def condition(rule: Rule) -> str:
    """What a rule asks of a document, such as `characters ≥ 150`."""
    comparison = "≥" if rule.min is not None else "≤" if rule.max is not None else "one of"
    return f"{rule.signal} {comparison} {limit_shown(rule)}"


def _number(value: float) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def _share(value: float) -> str:
    return f"{value:.1%}"


def _size(count: int) -> str:
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def _figure(svg: Markup, label: str) -> Markup:
    """Gives a picture the words that a screen reader says."""
    return Markup(str(svg).replace("<svg ", f'<svg aria-label="{Markup.escape(label)}" ', 1))
