"""What the commands share on a terminal: texts of a crawl, and what is done before long work."""

from __future__ import annotations

import re
import signal
import sys
import threading
import time

import click

SECONDS_BETWEEN_LINES = 0.5

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


class LiveLine:
    """A line on the terminal that says how far a command is, and nothing where there is none.

    Args:
      what: is counted, such as "records".
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._is_terminal = sys.stderr.isatty()
        self._started = self._shown = time.monotonic()

    def show(self, count: int, share: float) -> None:
        """Shows how many there are so far, and the share of the work that is done."""
        now = time.monotonic()
        if not self._is_terminal or now - self._shown < SECONDS_BETWEEN_LINES:
            return
        self._shown = now
        seconds = now - self._started
        left = f", about {seconds / share * (1 - share):.0f} s left" if share > 0 else ""
        text = f"{share:4.0%}  {count:,} {self._what}, {count / seconds:,.0f} a second{left}"
        click.echo(f"\r\x1b[K{text}", nl=False, err=True)

    def clear(self) -> None:
        """Takes the line away."""
        if self._is_terminal:
            click.echo("\r\x1b[K", nl=False, err=True)


class Interruption:
    """Ctrl-C that cannot get lost: Python drops an exception that reaches it in some callbacks.

    While it is entered, an interrupt raises KeyboardInterrupt as usual, and `check` raises it again
    if nothing has ended the work in the meantime.
    """

    def __init__(self) -> None:
        self._happened = False
        self._is_main = threading.current_thread() is threading.main_thread()

    def check(self) -> None:
        """Raises KeyboardInterrupt if there was an interrupt."""
        if self._happened:
            raise KeyboardInterrupt

    def __enter__(self) -> Interruption:
        if self._is_main:
            self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_main:
            signal.signal(signal.SIGINT, self._before)

    def _interrupt(self, *_: object) -> None:
        self._happened = True
        raise KeyboardInterrupt
