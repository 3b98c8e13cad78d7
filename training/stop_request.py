"""Signals that ask training to end: the step in progress is finished and saved first."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any


class StopRequest:
    """Remembers SIGTERM or SIGINT.

    A second Ctrl-C ends the process at once. A second SIGTERM does not: launchers and job systems
    both pass it on, so that it may well come twice.
    """

    def __init__(self) -> None:
        self.number = 0
        """The signal that came, 0 before."""
        self._earlier: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._earlier[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._earlier.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        if number == signal.SIGINT:
            signal.signal(number, self._earlier[number])
