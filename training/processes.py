"""The processes of one training run: one for each device, started by torchrun or Slurm."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from pangu_settings import UserError
from training.layout import Layout

Answer = TypeVar("Answer")

# A rank that waits longer than this for another one ends with an error.
TIMEOUT = timedelta(minutes=30)


@contextmanager
def joined_processes(layout: Layout) -> Iterator[torch.device]:
    """Joins the processes of a run for as long as the context lasts; yields this one's device.

    torchrun says in the environment who is there (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR). A
    process that was started alone joins nobody.

    Raises:
      UserError: there are more or fewer processes than the layout needs.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    check_processes(layout, processes)
    has_gpu = torch.cuda.is_available()
    device = torch.device("cpu")
    if has_gpu:
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    if processes == 1:
        yield device
        return
    if has_gpu:
        # Tensors on the host, as asynchronous checkpoints have them, travel over gloo.
        dist.init_process_group("cuda:nccl,cpu:gloo", timeout=TIMEOUT, device_id=device)
    else:
        dist.init_process_group("gloo", timeout=TIMEOUT)
    try:
        yield device
        # All leave together: a rank that goes first breaks the connections of those at work.
        dist.barrier()
    finally:
        dist.destroy_process_group()


def check_processes(layout: Layout, processes: int) -> None:
    """Makes sure that there is one process for each rank of a layout.

    Raises:
      UserError: names both numbers and the way out.
    """
    if processes == layout.ranks:
        return
    degrees = f"{layout.pp} × {layout.dp_replicate} × {layout.dp_shard} × {layout.tp}"
    raise UserError(
        f"the layout needs {layout.ranks} processes (pp × dp_replicate × dp_shard × tp = "
        f"{degrees}), and there are {processes}; start it with "
        f"torchrun --nproc-per-node={layout.ranks} -m pangu train CONFIG, or set the degrees "
        f"under layout so that their product is {processes}"
    )


def this_rank() -> int:
    """Returns the number of this process in its run; rank 0 speaks for all."""
    return dist.get_rank() if dist.is_initialized() else 0


def all_or_none(act: Callable[[], Answer]) -> Answer:
    """Returns what an act returns on this rank; what it raises on one rank is raised on all.

    Raises:
      UserError: that of the lowest rank that has one.
    """
    if not dist.is_initialized():
        return act()
    answer: Answer | None = None
    failure: str | None = None
    try:
        answer = act()
    except UserError as error:
        failure = str(error)
    failures: list[str | None] = [None] * dist.get_world_size()
    dist.all_gather_object(failures, failure)
    for found in failures:
        if found is not None:
            raise UserError(found)
    return answer  # type: ignore[return-value]


def sum_over_ranks(values: Sequence[float], device: torch.device) -> list[float]:
    """Returns the sums of numbers that each rank has some of."""
    return _reduce(values, dist.ReduceOp.SUM, device)


def largest_of_ranks(values: Sequence[float], device: torch.device) -> list[float]:
    """Returns the largest of the numbers that ranks have, one by one."""
    return _reduce(values, dist.ReduceOp.MAX, device)


def _reduce(values: Sequence[float], operation: Any, device: torch.device) -> list[float]:
    if not dist.is_initialized():
        return [*values]
    reduced = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(reduced, operation)
    result: list[float] = reduced.tolist()
    return result
