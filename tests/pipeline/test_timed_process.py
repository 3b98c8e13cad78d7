"""Calls that may hang or crash, in a process that can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.reading.timed_process import ProcessDiedError, TimedProcess, TooSlowError


def behave(how: str, value: object = None) -> object:
    if how == "sleep":
        time.sleep(60)
    if how == "spin":
        while True:
            pass
    if how == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "raise":
        raise ValueError(f"about {value}")
    return os.getpid() if how == "pid" else value


@pytest.fixture(scope="module")
def process() -> Iterator[TimedProcess]:
    process = TimedProcess(behave, seconds=1)
    yield process
    process.close()


def test_results_come_back_from_one_process_that_is_kept(process: TimedProcess) -> None:
    page = b"\xe4\xb8\xad" * 500_000
    assert process.call("echo", page) == page
    first, second = process.call("pid"), process.call("pid")
    assert first == second != os.getpid()


@pytest.mark.parametrize("how", ["sleep", "spin"])
def test_a_call_that_takes_too_long_is_ended(process: TimedProcess, how: str) -> None:
    process.call("pid")
    start = time.monotonic()
    with pytest.raises(TooSlowError, match="1 seconds"):
        process.call(how)
    assert time.monotonic() - start < 5
    assert process.call("echo", "next") == "next"


def test_a_crash_is_an_error_and_the_next_call_works(process: TimedProcess) -> None:
    with pytest.raises(ProcessDiedError, match="ended with code -11"):
        process.call("crash")
    assert process.call("echo", "next") == "next"


def test_what_the_function_raises_is_raised(process: TimedProcess) -> None:
    with pytest.raises(ValueError, match="about 渡口"):
        process.call("raise", "渡口")
    assert process.call("echo", "next") == "next"


def test_the_process_ends_with_the_one_that_asks(tmp_path: Path) -> None:
    # A script without a guard for its main part, killed in the middle of a call.
    script = tmp_path / "asks.py"
    script.write_text(
        "from pipeline.reading.timed_process import TimedProcess\n"
        "from test_timed_process import behave\n"
        "process = TimedProcess(behave, 60)\n"
        "print(process.call('pid'), flush=True)\n"
        "process.call('spin')\n"
    )
    path = os.pathsep.join(filter(None, sys.path))
    asking = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}
    )
    assert asking.stdout
    served_by = int(asking.stdout.readline())
    asking.kill()
    asking.wait()
    deadline = time.monotonic() + 10
    while _is_running(served_by) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _is_running(served_by)


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"
