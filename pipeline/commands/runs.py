"""The verbs of the data half: `pangu sample-crawl`, `plan`, `run`, `status`, `inspect`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pangu_settings import UserError

if TYPE_CHECKING:
    from pipeline.run import PlannedStage

RECIPE_ARGUMENT = click.argument("recipe", type=click.Path(path_type=Path))
OVERRIDES = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="PATH=VALUE",
    help="Replace a value of the recipe, such as rules.too_short.min=200. May be repeated.",
)


@click.command("sample-crawl")
@click.argument("directory", type=click.Path(path_type=Path))
def sample_crawl(directory: Path) -> None:
    """Fetch about 70 real Chinese pages from the package index, as a WARC in DIRECTORY.

    The pages are saved copies that a Python package ships for its tests; they belong to their
    publishers and are meant for trying things on. docs/sample-crawl.md tells what is fetched.

    \b
    Example:
      pangu sample-crawl demo/crawl
    """
    from pipeline.pieces.sample_crawl import fetch_sample_crawl

    path = fetch_sample_crawl(directory)
    click.echo(f"{path}: {path.stat().st_size:,} bytes")
    click.echo("Next: pangu run recipes/demo.yaml --out demo/run")


def _print_schema(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from pipeline.recipe_schema import recipe_schema

        click.echo(json.dumps(recipe_schema(), indent=2, ensure_ascii=False))
        context.exit()


@click.command()
@RECIPE_ARGUMENT
@click.option("--out", "run_path", metavar="RUN", help="Run directory to compare with.")
@click.option(
    "--schema",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_schema,
    help="Print the JSON Schema of recipes, for editors, and do nothing else.",
)
@OVERRIDES
def plan(recipe: Path, run_path: str | None, overrides: tuple[str, ...]) -> None:
    """Show which stages of RECIPE would run, and why.

    \b
    Example:
      pangu plan recipes/demo.yaml --out demo/run --set rules.too_short.min=200
    """
    from filters.decontamination_settings import explain as explain_decontamination
    from filters.duplicates import explain as explain_duplicates
    from filters.line_duplicates import explain as explain_lines
    from filters.rules import explain_rule
    from pipeline.recipe import load_recipe
    from pipeline.repetition import explain_table
    from pipeline.run import make_plan
    from pipeline.run_directory import RunDirectory

    loaded = load_recipe(recipe, overrides)
    planned = make_plan(loaded, RunDirectory(run_path or f"runs/{loaded.name}"))
    sources = ", ".join(
        f"{source.name} ({sum(part.source == source.name for part in planned.parts)} files)"
        for source in loaded.sources
    )
    click.echo(f"{loaded.name}: {sources} → {planned.run.path}")
    click.echo()
    for name, rule in loaded.rules.items():
        click.echo(f"  drop where {explain_rule(rule):<36} {name}")
    for line in explain_duplicates(loaded.deduplicate):
        click.echo(f"  {line}")
    for line in explain_lines(loaded.deduplicate_lines):
        click.echo(f"  {line}")
    for line in explain_decontamination(loaded.decontaminate):
        click.echo(f"  {line}")
    if loaded.shards.repeat_clusters:
        click.echo(f"  write again by cluster: {explain_table(loaded.shards.repeat_clusters)}")
    click.echo()
    for stage in planned.stages:
        click.echo(f"  {stage.stage.name:<17} {stage.state:<9} {stage.reason}")
    click.echo()
    if planned.finished:
        click.echo("Nothing to do.")
    else:
        click.echo(f"Next: pangu run {recipe} --out {planned.run.path}")


@click.command()
@RECIPE_ARGUMENT
@click.option("--out", "run_path", required=True, metavar="RUN", help="Run directory.")
@click.option("--workers", default=1, type=click.IntRange(1), help="Local processes.")
@click.option("--runner", default=None, help="Beam runner; by default stages run on this machine.")
@OVERRIDES
@click.argument("runner_options", nargs=-1, type=click.UNPROCESSED)
def run(
    recipe: Path,
    run_path: str,
    workers: int,
    runner: str | None,
    overrides: tuple[str, ...],
    runner_options: tuple[str, ...],
) -> None:
    """Turn RECIPE into a corpus, a tokenizer, shards and a report in RUN.

    Finished stages are reused, so the same command goes on after an interruption and does nothing
    when there is nothing to do. Options of a Beam runner follow after `--`.

    \b
    Example:
      pangu run recipes/demo.yaml --out demo/run --workers 2
    """
    from pipeline.commands.terminal import Interruption, compile_kernels_first
    from pipeline.execution import LOCAL_RUNNER, Execution
    from pipeline.recipe import load_recipe
    from pipeline.run import execute, make_plan
    from pipeline.run_directory import RunDirectory

    stray = [option for option in runner_options if not option.startswith("--")]
    if stray:
        raise click.UsageError(f"unexpected argument '{stray[0]}'; runner options follow after --")
    started = time.monotonic()
    planned = make_plan(load_recipe(recipe, overrides), RunDirectory(run_path))
    already_finished = planned.finished
    if not already_finished:
        compile_kernels_first()
    execution = Execution(runner or LOCAL_RUNNER, workers, runner_options)
    try:
        with Interruption() as interruption:
            manifests = execute(planned, execution, _Printer(interruption.check))
    except KeyboardInterrupt:
        raise UserError(
            "interrupted; finished parts are kept: the same command goes on from here"
        ) from None
    finally:
        execution.close()
    if already_finished:
        click.echo(f"Nothing to do: every stage of {run_path} is finished.")
    else:
        click.echo(f"Finished in {time.monotonic() - started:.0f} s.")
    _print_results(run_path, manifests)


@click.command()
@click.argument("run_path", metavar="RUN")
def status(run_path: str) -> None:
    """Show how far RUN is: each stage with its documents, time and speed.

    \b
    Example:
      pangu status demo/run
    """
    from pipeline.run_directory import CURRENT, RunDirectory

    directory = RunDirectory(run_path)
    manifests = {manifest["stage"]: manifest for manifest in directory.current_manifests()}
    for entry in directory.read_record(CURRENT)["stages"]:
        stage = entry["stage"]
        if stage in manifests:
            click.echo(f"  {stage:<17} finished  {_summary(manifests[stage])}")
        else:
            done = len(directory.finished_parts(stage))
            note = f"{done} input files done" if done else ""
            click.echo(f"  {stage:<17} open      {note}".rstrip())


@click.command()
@click.argument("run_path", metavar="RUN")
@click.argument("document", metavar="ID")
@click.option("--characters", default=500, type=click.IntRange(0), help="Text to show.")
@click.option("--compare", default="", metavar="ID", help="Document to compare the text with.")
def inspect(run_path: str, document: str, characters: int, compare: str) -> None:
    """Show the life of one document of RUN: ID is an id, the start of one, or a URL.

    Of a document that has duplicates, the members of its cluster are shown, and in what its text
    differs from that of the one that stays (of that one: from the text that it resembles least).

    \b
    Example:
      pangu inspect demo/run 3f2a91c0
    """
    from pipeline.inspection.document_life import describe
    from pipeline.run_directory import RunDirectory

    for line in describe(RunDirectory(run_path), document, characters, compare):
        click.echo(line)


class _Printer:
    """Prints a line when a stage ends, and on a terminal a live line while it runs."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check  # raises if the run is to end
        self._live = sys.stdout.isatty()
        self._started = 0.0

    def stage_starts(self, planned: PlannedStage) -> None:
        self._check()
        self._started = time.monotonic()
        if self._live:
            self._line(f"  {planned.stage.name:<17} {planned.reason}")

    def parts_done(self, stage: str, done: int, total: int) -> None:
        self._check()
        if not self._live:
            return
        seconds = time.monotonic() - self._started
        left = f", about {seconds / done * (total - done):.0f} s left" if 0 < done < total else ""
        self._line(f"  {stage:<17} {done} of {total} files, {seconds:.0f} s{left}")

    def stage_ends(self, stage: str, manifest: Mapping[str, Any]) -> None:
        self._check()
        if self._live:
            self._line("")
        click.echo(f"  {stage:<17} {_summary(manifest)}")

    def _line(self, text: str) -> None:
        click.echo(f"\r\x1b[K{text}", nl=False)


def _summary(manifest: Mapping[str, Any]) -> str:
    seconds = f"{manifest['resources']['wall_seconds']:.1f} s"
    if not manifest["books"]:
        return seconds
    totals = dict.fromkeys(("in", "kept", "dropped", "merged", "dead"), 0)
    size = 0
    for books in manifest["books"].values():
        size += books["in"]["bytes"]
        for column in ("in", "kept"):
            totals[column] += books[column]["documents"]
        for column in ("dropped", "merged", "dead"):
            totals[column] += sum(count["documents"] for count in books[column].values())
    rate = size / 1e6 / max(manifest["resources"]["wall_seconds"], 1e-3)
    ended = ", ".join(
        f"{count:,} {column}"
        for column, count in totals.items()
        if column not in ("in", "kept") and count
    )
    shown = f"{totals['in']:>9,} in {totals['kept']:>9,} kept {seconds:>9} {rate:8.1f} MB/s"
    return f"{shown}   {ended}".rstrip()


def _print_results(run_path: str, manifests: list[dict[str, Any]]) -> None:
    facts = {manifest["stage"]: manifest["facts"] for manifest in manifests}
    shards = facts["shards"]
    click.echo(f"  corpus      {run_path}/corpus/        {shards['documents']:,} documents")
    click.echo(f"  tokenizer   {run_path}/tokenizer/")
    click.echo(f"  shards      {run_path}/shards/        {shards['tokens']:,} tokens")
    click.echo(f"  report      {run_path}/report/index.html")
    click.echo(f"Next: pangu train {run_path}/pretrain.yaml")
