"""Worlds of gloo processes on this machine, one for each size, that run what they are told.

Starting processes costs far more than a step of a tiny model, so tests share them: a fork server
imports torch once, and a world lives until the session ends or one of its processes fails.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import tempfile
import traceback
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
import torch.distributed as dist

Result = TypeVar("Result")


def serve(rank: int, size: int, store: str, calls: Connection) -> None:
    """Runs in each process: answers calls until the connection closes."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    warnings.simplefilter("ignore")
    logging.disable()
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=size)
    while True:
        try:
            function, arguments = calls.recv()
        except EOFError:
            # Threads of gloo may abort an interpreter that ends in the usual way.
            os._exit(0)
        try:
            calls.send((True, function(*arguments)))
        except BaseException:
            calls.send((False, traceback.format_exc()))


class World:
    """Processes 0 … size - 1 of one process group."""

    def __init__(self, size: int) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["training.engine", "torch.distributed.checkpoint"])
        self._folder = tempfile.TemporaryDirectory()
        store = str(Path(self._folder.name) / "store")
        self._calls = []
        self._processes = []
        for rank in range(size):
            here, there = context.Pipe()
            process = context.Process(target=serve, args=(rank, size, store, there), daemon=True)
            process.start()
            there.close()
            self._calls.append(here)
            self._processes.append(process)
        self.works = True

    def run(
        self,
        function: Callable[..., Result],
        *arguments: object,
        timeout: float = 120,
    ) -> list[Result]:
        """Returns what a function of a module returns in each process, in the order of ranks."""
        for calls in self._calls:
            calls.send((function, arguments))
        results: list[Any] = []
        errors = []
        for rank, calls in enumerate(self._calls):
            try:
                # After one has failed, the others may wait for it until the end of time.
                if not calls.poll(5 if errors else timeout):
                    errors.append(f"rank {rank} does not answer")
                    continue
                is_result, answer = calls.recv()
            except (EOFError, ConnectionError):
                errors.append(f"rank {rank} died")
                continue
            results.append(answer)
            if not is_result:
                errors.append(f"rank {rank}: {answer}")
        if errors:
            self.close()
            pytest.fail("\n".join(errors))
        return results

    def close(self) -> None:
        """Ends the processes."""
        self.works = False
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.join()
        self._folder.cleanup()


class Worlds:
    """One world of each size that is asked for."""

    def __init__(self) -> None:
        self._worlds: dict[int, World] = {}

    def of(self, size: int) -> World:
        """Returns a world of this size that works."""
        if size not in self._worlds or not self._worlds[size].works:
            self._worlds[size] = World(size)
        return self._worlds[size]

    def close(self) -> None:
        """Ends all processes."""
        for world in self._worlds.values():
            world.close()
