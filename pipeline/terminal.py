"""What the commands share on a terminal: texts of a crawl, and what is done before long work."""

from __future__ import annotations

import re

import click

# Control characters, among them those that would move the cursor or change colours, and marks that
# turn the direction of writing.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")


def one_line(text: str, most: int) -> str:
    """The start of a text on one line, without anything that a terminal would obey.

    Args:
      text: anything that was found in a crawl.
      most: characters to show; "…" says that there are more.
    """
    shown = _CONTROL.sub(" ", text[: most + 1])
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def compile_kernels_first() -> None:
    """Compiles the text kernels if this machine has not yet, and says so."""
    from filters.compile_kernels import compile_kernels

    compile_kernels(lambda line: click.echo(line, err=True))
