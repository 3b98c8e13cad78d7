"""The verb `pangu extract`: crawl files in, one file of documents out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pipeline.pieces.extract_files import ExtractedFiles


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("-o", "--output", "out", required=True, metavar="OUT", help="Where documents go.")
@click.option("--format", default="auto", help="Of FILE, where name and content do not tell it.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="PATH=VALUE",
    help="A setting of the recipe's extract block, such as main_text.method=trafilatura.",
)
def extract(files: tuple[str, ...], out: str, format: str, overrides: tuple[str, ...]) -> None:
    """Write the documents of WARC, WET, HTML, Parquet, JSONL or text FILEs to OUT.

    FILE may be a pattern in quotes, an address such as s3://…, or a folder. OUT is Parquet, JSONL
    or compressed JSONL by its name (.parquet, .jsonl, .jsonl.gz), or - for JSON lines on the
    standard output. It appears when everything is done; what cannot be read is listed in
    OUT's neighbour with .dead_letters in its name.

    \b
    Example:
      pangu extract crawl/*.warc.gz -o documents.parquet
      pangu extract page.html -o - | head
    """
    from pangu_settings import apply_overrides, validate
    from pipeline.commands.terminal import LiveLine, compile_kernels_first
    from pipeline.pieces.document_files import check_output
    from pipeline.pieces.extract_files import extract_files
    from pipeline.reading.extract_settings import ExtractSettings

    settings = validate(ExtractSettings, apply_overrides({}, overrides), "--set")
    check_output(out)
    compile_kernels_first()
    started = time.monotonic()
    live = LiveLine("records")
    output = extract_files(files, out, settings, format, live.show)
    live.clear()
    to_stdout = out == "-"
    for line in _summary(output, time.monotonic() - started):
        click.echo(line, err=to_stdout)
    if to_stdout:
        return
    if output.has_dead_letters:
        click.echo(f"  dead letters  {output.dead_letters}")
    click.echo(f"  documents     {out}")


def _summary(output: ExtractedFiles, seconds: float) -> list[str]:
    books = output.books
    size = books.came_in.bytes / 1e6
    lines = [
        f"{books.came_in.documents:,} records, {size:,.1f} MB in {seconds:.1f} s "
        f"({size / max(seconds, 1e-3):,.1f} MB/s): {books.kept.documents:,} documents with "
        f"{books.kept.characters:,} characters"
    ]
    for outcome, name in (("dropped", "dropped"), ("dead", "dead")):
        reasons = books.outcomes[outcome]
        if reasons:
            total = sum(count.documents for count in reasons.values())
            shown = ", ".join(f"{r} {count.documents:,}" for r, count in sorted(reasons.items()))
            lines.append(f"  {name:<8} {total:>8,}   {shown}")
    if output.encodings:
        shown = ", ".join(f"{name} {count:,}" for name, count in output.encodings.most_common())
        lines.append(f"  encodings           {shown}")
    return lines
