"""The verb `pangu dedup`: files of documents in, the same rows with what stands for each out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from pangu_settings import UserError

if TYPE_CHECKING:
    from filters.duplicate_settings import Deduplicate
    from pipeline.pieces.dedup_output import Written


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("-o", "--output", "out", required=True, metavar="OUT", help="Where rows go.")
@click.option("--only-survivors", is_flag=True, help="Leave out what was merged.")
@click.option("--similarity", type=float, help="As --set near.similarity=…; 0.8 by default.")
@click.option("--memory", help="As --set memory=…; 1GB by default.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="PATH=VALUE",
    help="A setting of the recipe's deduplicate block, such as near.bands=20.",
)
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Processes.")
@click.option("--text-field", default="text", show_default=True)
@click.option("--id-field", default="id", show_default=True, help="'' numbers the rows.")
@click.option("--quality-field", default="quality", show_default=True, help="The higher stays.")
@click.option("--url-field", default="url", show_default=True, help="Of rows with a date.")
@click.option("--captured-field", default="captured_at", show_default=True, help="A date.")
def dedup(
    files: tuple[str, ...],
    out: str,
    only_survivors: bool,
    similarity: float | None,
    memory: str | None,
    overrides: tuple[str, ...],
    workers: int,
    text_field: str,
    id_field: str,
    quality_field: str,
    url_field: str,
    captured_field: str,
) -> None:
    """Say of every document in Parquet or JSONL FILEs which one stands for it.

    OUT has the same rows in the same order with `cluster`, `cluster_size`, `survivor`,
    `survivor_id`, `merged_by` (exact, url, near) and `similarity`. It is Parquet, JSONL or
    compressed JSONL by its name (.parquet, .jsonl, .jsonl.gz), or - for JSON lines on the standard
    output. Of duplicates the one with the best quality stays, then the longest, then the smallest
    id; rows without an id are called FILE:ROW. Rows without a text are listed in OUT's neighbour
    with .dead_letters in its name.

    \b
    Example:
      pangu dedup documents.parquet -o deduplicated.parquet
      pangu dedup 'news/*.jsonl.gz' --similarity 0.9 --only-survivors -o news.parquet
    """
    from filters.duplicates import explain
    from pipeline.commands.terminal import LiveLine, compile_kernels_first
    from pipeline.pieces.dedup_columns import Fields
    from pipeline.pieces.dedup_files import dedup_files
    from pipeline.pieces.document_files import check_output, find_files

    settings = _settings(overrides, similarity, memory)
    check_output(out)
    paths = find_files(files)
    fields = Fields(text_field, id_field, url_field, captured_field, quality_field)
    compile_kernels_first()
    for line in explain(settings):
        click.echo(line, err=True)
    started = time.monotonic()
    live = LiveLine("documents")
    try:
        written = dedup_files(paths, out, settings, fields, workers, only_survivors, live.show)
    finally:
        live.clear()
    for line in _summary(written, time.monotonic() - started):
        click.echo(line, err=out == "-")
    if out != "-":
        click.echo(f"  {out}")


def _settings(
    overrides: tuple[str, ...], similarity: float | None, memory: str | None
) -> Deduplicate:
    from filters.duplicate_settings import Deduplicate
    from pangu_settings import apply_overrides, validate

    given = list(overrides)
    given += [] if similarity is None else [f"near.similarity={similarity}"]
    given += [] if memory is None else [f"memory={memory}"]
    settings = validate(Deduplicate, apply_overrides({}, given), "--set")
    if settings.against or settings.index:
        raise UserError("--set against, index: they are about runs; put them into a recipe")
    return settings


def _summary(written: Written, seconds: float) -> list[str]:
    size = written.text_bytes / 1e6
    lines = [
        f"{written.documents:,} documents, {size:,.1f} MB of text in {seconds:.1f} s "
        f"({size / max(seconds, 1e-3):,.1f} MB/s)"
    ]
    counts = {"stay": written.survivors}
    counts |= {f"merged, {kind}": count for kind, count in sorted(written.merged.items())}
    for name, count in counts.items():
        lines.append(f"  {name:<14} {count:>10,}  {count / max(1, written.documents):6.1%}")
    for size, name in written.largest:
        lines.append(f"  cluster of     {size:>10,}  like {_shown(name)}")
    if written.dead:
        lines.append(f"  left out: {written.dead:,} rows, the first: {written.first_dead}")
    if written.dead_letters:
        lines.append(f"  all of them: {written.dead_letters}")
    if written.replaced:
        lines.append(f"  replaced fields: {', '.join(sorted(written.replaced))}")
    return lines


def _shown(name: str) -> str:
    from pipeline.commands.terminal import one_line

    return one_line(name, 60)
