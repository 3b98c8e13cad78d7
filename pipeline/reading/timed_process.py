"""Calls into libraries that a hostile page may hold up, in a process that can be killed.

A thread cannot be stopped while it is inside a library's C code, so a limit on seconds needs a
process. It is started when it is first needed and kept; a call costs the transfer of its arguments.
A library that crashes takes only this process down.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

_STARTED = "started"
_SECONDS_BETWEEN_LOOKS = 1.0


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
        self._process: subprocess.Popen[bytes] | None = None
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
            code = self._process.wait() if self._process else None
            self.close()
            raise ProcessDiedError(f"its process ended with code {code}") from None
        if error is not None:
            raise error
        return result

    def close(self) -> None:
        """Ends the process, whatever it is doing."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _start(self) -> Connection:
        # Not with multiprocessing, which would run the main module of whoever uses this again.
        self._connection, theirs = Pipe()
        names = (self._function.__module__, self._function.__qualname__)
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(theirs.fileno()), *names],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            # Ctrl-C is for the process that asks.
            start_new_session=True,
        )
        theirs.close()
        # Its imports are no part of the first call's time.
        self._connection.recv()
        return self._connection


def _serve(connection: Connection, function: Callable[..., Any]) -> None:
    """Answers calls until the other end is closed."""
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


def _follow_parent(parent: int) -> None:
    """Ends this process when its parent has ended, also in the middle of a call."""
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os._exit(1)


if __name__ == "__main__":
    descriptor, module, name = sys.argv[1:]
    threading.Thread(target=_follow_parent, args=(os.getppid(),), daemon=True).start()
    _serve(Connection(int(descriptor)), getattr(importlib.import_module(module), name))
