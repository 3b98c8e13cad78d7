"""Calls into libraries that a hostile page may hold up, in a process that can be killed.

A thread cannot be stopped while it is inside a library's C code, so a limit on seconds needs a
process. It is started when it is first needed and kept; a call costs the transfer of its arguments.
A library that crashes takes only this process down.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

_STARTED = "started"


class TooSlowError(Exception):
    """A call took longer than it may."""


class ProcessDiedError(Exception):
    """The process ended in the middle of a call: the library crashed or ran out of memory."""


class TimedProcess:
    """Calls a function in a process of its own.

    Args:
      function: defined at the top of a module; takes, returns and raises what can be pickled.
      seconds: most that one call may take, in wall-clock time.
    """

    def __init__(self, function: Callable[..., Any], seconds: float) -> None:
        self._function = function
        self._seconds = seconds
        self._process: Any = None
        self._connection: Connection | None = None

    def call(self, *arguments: object) -> Any:
        """The function's result.

        Raises:
          TooSlowError: no result within the time; the process was killed.
          ProcessDiedError: the process died.
          Exception: what the function raised.
        """
        try:
            connection = self._connection or self._start()
            connection.send(arguments)
            if not connection.poll(self._seconds):
                self.close()
                raise TooSlowError(f"not finished after {self._seconds:g} seconds")
            result, error = connection.recv()
        except (EOFError, OSError):
            self._process.join()
            code = self._process.exitcode
            self.close()
            raise ProcessDiedError(f"its process ended with code {code}") from None
        if error is not None:
            raise error
        return result

    def close(self) -> None:
        """Ends the process, whatever it is doing."""
        if self._connection is not None:
            self._connection.close()
            self._process.kill()
            self._process.join()
            self._connection = None

    def _start(self) -> Connection:
        # Spawned, not forked: Beam and Arrow keep threads, which a fork would cut off.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._function), daemon=True)
        self._process.start()
        theirs.close()
        # Its imports are no part of the first call's time.
        self._connection.recv()
        return self._connection


def _serve(connection: Connection, function: Callable[..., Any]) -> None:
    """Answers calls until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()
    connection.send(_STARTED)
    while True:
        try:
            arguments = connection.recv()
        except EOFError:
            return
        result, raised = None, None
        try:
            result = function(*arguments)
        except Exception as error:
            raised = error
        connection.send((result, raised))


def _follow_parent() -> None:
    """Ends this process when its parent ends, also in the middle of a call."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
