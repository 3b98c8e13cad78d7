"""The verb `pangu filter`: what a preset or recipe makes of one page, or of files of documents."""

from __future__ import annotations

import io
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from pangu_settings import UserError

if TYPE_CHECKING:
    from pipeline.pieces.filter_files import Filtered
    from pipeline.reading.record import Record
    from pipeline.recipe import Recipe

STANDARD_INPUT = "-"
HEAD_BYTES = 4096
FIELDS_SHOWN = 6


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--preset", "--filters", "preset", default="pangu_alpha", show_default=True)
@click.option(
    "--recipe", "recipe_path", type=click.Path(path_type=Path), help="Instead of a preset."
)
@click.option("--set", "overrides", multiple=True, metavar="PATH=VALUE", help="As in pangu run.")
@click.option("-o", "--output", "out", metavar="OUT", help="Write documents with their verdicts.")
@click.option("--only-kept", is_flag=True, help="With -o: leave out what a rule drops.")
@click.option("--no-clean", is_flag=True, help="Judge texts as they are.")
@click.option("--text-field", default="text", show_default=True, help="JSONL, Parquet.")
@click.option("--title-field", default="title", show_default=True, help="JSONL, Parquet.")
@click.option(
    "--row", default=1, type=click.IntRange(1), help="Without -o: which document of FILE."
)
@click.option("--all-lines", is_flag=True, help="Without -o: show every line that is kept.")
@click.option("--characters", default=100, type=click.IntRange(8), help="Of each line shown.")
def filter(
    files: tuple[str, ...],
    preset: str,
    recipe_path: Path | None,
    overrides: tuple[str, ...],
    out: str | None,
    only_kept: bool,
    no_clean: bool,
    text_field: str,
    title_field: str,
    row: int,
    all_lines: bool,
    characters: int,
) -> None:
    """Show what becomes of a page or text, step by step; or filter files of documents.

    Without -o, FILE is one page or text (- for the standard input), or a file of which --row is
    shown: which lines go and why, every signal, every rule, the verdict. With -o, FILEs are Parquet
    or JSONL documents, and OUT gets the same rows with the cleaned text, every signal, `verdict`,
    `rule`, `value` and `limit`. OUT is Parquet, JSONL or compressed JSONL by its name.

    \b
    Example:
      pangu filter page.html
      pangu filter documents.jsonl --row 3 --preset c4_zh --set rules.too_few_lines.min=3
      pangu filter documents.parquet --preset map_cc -o filtered.parquet
    """
    from pipeline.commands.terminal import LiveLine, compile_kernels_first
    from pipeline.pieces.document_files import check_output, find_files
    from pipeline.pieces.filter_documents import DocumentFilter
    from pipeline.pieces.filter_explanation import explain
    from pipeline.pieces.filter_files import Fields, filter_files

    if out is None and len(files) > 1:
        raise click.UsageError("one FILE is shown; give -o OUT to filter several")
    recipe = _recipe(preset, recipe_path, overrides)
    fields = Fields(text_field, title_field)
    if out is None:
        record = _record(files[0], row, fields.text, fields.title, recipe)
        compile_kernels_first()
        documents = DocumentFilter(recipe, clean=not no_clean)
        for line in explain(record, documents, characters, all_lines):
            click.echo(line)
        return
    check_output(out)
    paths = find_files(files)
    compile_kernels_first()
    documents = DocumentFilter(recipe, clean=not no_clean)
    started = time.monotonic()
    live = LiveLine("documents")
    done = filter_files(paths, out, documents, fields, only_kept, live.show)
    live.clear()
    for line in _summary(done, recipe, time.monotonic() - started):
        click.echo(line, err=out == "-")
    if out != "-":
        click.echo(f"  {out}")


def _recipe(preset: str, path: Path | None, overrides: tuple[str, ...]) -> Recipe:
    from pipeline.recipe import load_recipe, recipe_of_preset

    return load_recipe(path, overrides) if path else recipe_of_preset(preset, overrides)


def _record(name: str, row: int, text_field: str, title_field: str, recipe: Recipe) -> Record:
    """One page or text of a file, counted from 1."""
    from pipeline.reading.html_page import looks_like_html
    from pipeline.reading.input_files import detect_format, read_records
    from pipeline.reading.record import Damage, TextFields

    fields = TextFields(text=text_field, title=title_field, documents="file")
    with _opened(name, recipe.extract.max_record_bytes) as file:
        head = file.read(HEAD_BYTES)
        file.seek(0)
        if looks_like_html(head):
            format = "html"
        elif name == STANDARD_INPUT:
            format = "text"
        else:
            format = detect_format(name, head)
        number = 0
        for number, item in enumerate(read_records(file, name, format, recipe.extract, fields), 1):
            if number == row:
                if isinstance(item, Damage):
                    raise UserError(f"{name}: document {row}: {item.error}: {item.detail}")
                return item
    raise UserError(f"{name}: has {number} documents, so no document {row}")


def _opened(name: str, most: int) -> AbstractContextManager[BinaryIO]:
    from pipeline import storage

    if name == STANDARD_INPUT:
        # One byte more than is allowed, so that reading notices.
        return nullcontext(io.BytesIO(sys.stdin.buffer.read(most + 1)))
    return storage.open_read(name)


def _summary(done: Filtered, recipe: Recipe, seconds: float) -> list[str]:
    total, size = done.outcomes.total(), done.text_bytes / 1e6
    lines = [
        f"{total:,} documents, {size:,.1f} MB of text in {seconds:.1f} s "
        f"({size / max(seconds, 1e-3):,.1f} MB/s)"
    ]
    for name in ("kept", *recipe.rules):
        count = done.outcomes[name]
        if count or name == "kept":
            share = count / max(1, total)
            lines.append(f"  {name:<28} {count:>10,}  {share:6.1%}")
    if done.bad_lines:
        lines.append(f"  left out: {done.bad_lines:,} lines, the first: {done.first_bad_line}")
    if done.replaced:
        names = sorted(done.replaced)
        more = f" and {len(names) - FIELDS_SHOWN} more" if len(names) > FIELDS_SHOWN else ""
        lines.append(f"  replaced fields: {', '.join(names[:FIELDS_SHOWN])}{more}")
    return lines
