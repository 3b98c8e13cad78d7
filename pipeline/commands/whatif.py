"""The verb `pangu whatif`: what a rule of a finished run would remove at other limits."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from pangu_settings import UserError

if TYPE_CHECKING:
    from pipeline.inspection.limit_effects import Effect, Measured, Question, Sample

FOLDER = "whatif"
BINS = 16
BAR = 40
SOURCES_SHOWN = 5


@click.command()
@click.argument("run_path", metavar="RUN")
@click.argument("rule", metavar="RULE")
@click.option("--limit", "asked", multiple=True, help="Show texts on both sides of it. Repeatable.")
@click.option("--min", "below", is_flag=True, help="RULE is a signal; drop what is below a limit.")
@click.option("--max", "above", is_flag=True, help="RULE is a signal; drop what is above a limit.")
@click.option("--samples", "count", default=3, type=click.IntRange(0, 100), help="Texts a side.")
@click.option("--characters", default=160, type=click.IntRange(1), help="Characters of each text.")
def whatif(
    run_path: str,
    rule: str,
    asked: tuple[str, ...],
    below: bool,
    above: bool,
    count: int,
    characters: int,
) -> None:
    """Show what another limit of RULE would remove from RUN, without running anything again.

    RULE is a rule of the run's recipe, or any signal together with --min or --max. A picture and
    the whole curve are written to RUN/whatif.

    \b
    Example:
      pangu whatif demo/run too_short --limit 100 --limit 300
      pangu whatif demo/run digit_share --max --limit 0.3
    """
    from pipeline.inspection import limit_effects as answers
    from pipeline.recipe import recipe_of_run
    from pipeline.run_directory import RunDirectory

    if below and above:
        raise click.UsageError("give either --min or --max")
    run = RunDirectory(run_path)
    run.current_manifests()  # no run here is answered with how to start one
    side = "min" if below else "max" if above else None
    question = answers.ask(recipe_of_run(run.path), rule, side)
    measured = answers.measure_effects(run, question)
    if question.rule.one_of is not None:
        words = _words(measured, asked)
        _print_table(question, measured, answers.effects_of_words(question, measured), words)
        for word in words:
            found = answers.samples_of_word(run, measured, word, count)
            _print_samples(f"{question.rule.signal} is {word}", found, characters)
        return
    limits = _numbers(asked)
    shown = sorted({*answers.table_limits(question, measured), *limits})
    _print_table(question, measured, answers.effects(question, measured, shown), limits)
    _print_histogram(question, measured)
    _write_curve(run_path, question, measured, limits)
    present = [] if question.present is None else [question.present]
    for limit in limits or present:
        removed, left = answers.samples(run, question, measured, limit, count)
        place = f"next to {question.rule.signal} {limit:g}"
        _print_samples(f"removed, {place}", removed, characters)
        _print_samples(f"left, {place}", left, characters)


def _numbers(asked: Sequence[str]) -> list[float]:
    try:
        return [float(text) for text in asked]
    except ValueError:
        raise UserError(f"--limit {asked[0]}: this rule compares with a number") from None


def _words(measured: Measured, asked: Sequence[str]) -> list[str]:
    found = sorted(set(measured.values.tolist()))
    for word in asked:
        if word not in found:
            raise UserError(f"--limit {word}: no document has it; there are: {', '.join(found)}")
    return list(asked)


def _print_table(
    question: Question, measured: Measured, rows: Sequence[Effect], limits: Sequence[float | str]
) -> None:
    from filters.rules import explain_rule

    documents, characters = len(measured.values), int(measured.characters.sum())
    present = "" if question.present is None and question.rule.one_of is None else ", now"
    rule = explain_rule(question.rule) if present else _drops(question)
    click.echo(f"{question.name}: drops where {rule}{present}")
    click.echo(
        f"{documents:,} documents, {characters:,} characters, of {', '.join(question.sources)}"
    )
    sources = question.sources[:SOURCES_SHOWN] if len(question.sources) > 1 else ()
    heads = "".join(f"{name[:12]:>13}" for name in sources)
    first = "word" if question.rule.one_of is not None else "limit"
    click.echo(f"\n  {first:>10}{'documents':>13}{'characters':>13}{'only this':>13}{heads}")
    for row in rows:
        is_now = row.limit == question.present or (
            question.rule.one_of is not None and row.limit not in question.rule.one_of
        )
        mark = "*" if is_now else ">" if row.limit in limits else " "
        cells = [row.documents, row.characters, row.alone, *row.by_source[: len(sources)]]
        shown = row.limit if isinstance(row.limit, str) else f"{row.limit:g}"
        click.echo(f"{mark} {shown:>10}" + "".join(f"{_percent(cell):>13}" for cell in cells))
    note = "removed now" if question.rule.one_of is not None else "the limit now"
    click.echo(f"\n  *: {note}; only this: documents that no other rule drops")


def _percent(share: float) -> str:
    return f"{share:.2%}" if share < 0.1 else f"{share:.1%}"


def _print_histogram(question: Question, measured: Measured) -> None:
    """Bars of documents by value; the bin with the present limit is marked."""
    import numpy as np

    values = np.asarray(measured.values, np.float64)
    low, high = values[int(0.005 * len(values))], values[int(0.995 * (len(values) - 1))]
    different = np.unique(values[(values >= low) & (values <= high)])
    if len(different) <= BINS:
        edges = np.append(different, different[-1] + 1)
    elif low > 0 and high / low > 100:
        edges = np.geomspace(low, high, BINS + 1)
    else:
        edges = np.linspace(low, high, BINS + 1)
    places = np.clip(np.searchsorted(edges, values, "right") - 1, 0, len(edges) - 2)
    counts = np.bincount(places, minlength=len(edges) - 1)
    limit = question.present
    click.echo(f"\n  {question.rule.signal:>10}  documents")
    for index, count in enumerate(counts.tolist()):
        here = limit is not None and edges[index] <= limit < edges[index + 1]
        bar = "█" * round(BAR * count / counts.max())
        click.echo(f"{'*' if here else ' '} {edges[index]:>10.4g}  {count:>9,} {bar}".rstrip())


def _write_curve(
    run_path: str, question: Question, measured: Measured, limits: Sequence[float]
) -> None:
    from pipeline import storage
    from pipeline.inspection import limit_effects
    from pipeline.inspection.effects_figure import draw_effects

    curve = limit_effects.effects(question, measured, limit_effects.curve_limits(measured))
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["limit", "documents", "characters", "only_this_rule", *question.sources])
    for row in curve:
        shares = (row.documents, row.characters, row.alone, *row.by_source)
        writer.writerow([f"{row.limit:g}", *(f"{share:.6f}" for share in shares)])
    marked = [*limits] if question.present is None else [*limits, question.present]
    picture = draw_effects(curve, question.rule.signal, _drops(question), marked)
    click.echo()
    for name, content in (("svg", picture), ("csv", table.getvalue())):
        path = storage.join(run_path, FOLDER, f"{question.name}.{name}")
        storage.write_text(path, content)
        click.echo(f"  {path}")


def _drops(question: Question) -> str:
    return f"{question.rule.signal} {'<' if question.rule.min is not None else '>'} limit"


def _print_samples(head: str, found: Sequence[Sample], characters: int) -> None:
    from pipeline.commands.terminal import one_line

    click.echo(f"\n{head}:")
    for sample in found:
        click.echo(f"  {sample.value:>9}  {sample.id[:12]}  {one_line(sample.title, 60)}")
        click.echo(f"  {'':>9}  {one_line(sample.text, characters)}")
    if not found:
        click.echo("  none")
