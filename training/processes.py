"""The processes of one training run: one for each device, started by torchrun or Slurm."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist

from pangu_settings import UserError
from training.layout import Layout

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
