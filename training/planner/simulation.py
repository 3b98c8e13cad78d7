"""How much memory the ranks of a layout need, measured without their hardware.

A rank is run for real, on `training.parallel`'s own code, but with tensors that have shapes and
no values, in a process group that answers without sending anything (torch's fake tensors and fake
process group). Every storage is counted when it appears and when it dies, so the peak is exact for
these tensors; what a GPU's allocator and its communication library take comes on top.

Run is what fills a rank most, not the whole step: gradients of every stage on the rank exist, as
many micro-batches are in flight as the schedule ever has, one goes backward, and at last gradients
are reduced.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from training.config import TrainingSettings
from training.loss import summed_loss, vocabulary_parallel
from training.model import PanGu
from training.parallel import build_mesh, build_part
from training.planner.memory import in_flight, samples_per_micro_batch


@dataclass(frozen=True)
class SimulatedRank:
    """What one rank was seen to need, in bytes."""

    rank: int
    state: int
    """Weights and moments."""
    peak: int
    """Largest sum."""


def simulate(settings: TrainingSettings) -> list[SimulatedRank]:
    """Runs the first rank of every pipeline position, two at a time.

    Ranks that differ in their data or tensor-parallel position only need the same memory.

    Args:
      settings: of the run; no file that they name is opened.
    """
    layout = settings.layout
    ranks = [position * layout.ranks // layout.pp for position in range(layout.pp)]
    # Each rank in a process of its own: torch knows one process group, and forgets none of it.
    # Forked, so that torch is imported once.
    workers = min(len(ranks), os.cpu_count() or 1)
    with multiprocessing.get_context("fork").Pool(workers, maxtasksperchild=1) as pool:
        return pool.starmap(simulate_rank, [(settings, rank) for rank in ranks], chunksize=1)


def simulate_rank(settings: TrainingSettings, rank: int) -> SimulatedRank:
    """Runs one rank; the process must not have a process group of its own."""
    torch.set_num_threads(1)
    # Neither changes what a rank holds by much, and tensors without values know neither.
    layout = settings.layout.model_copy(update={"attention": "dense", "compile": False})
    settings = settings.model_copy(update={"layout": layout})
    with _fake_process_group(rank, layout.ranks):
        mesh = build_mesh(layout, torch.device("cpu"))
        position = mesh["pp"].get_local_rank()
        stages = layout.stage_layers(settings.model.layers)
        parts = [
            build_part(settings, stages[stage], mesh, torch.device("meta"))
            for stage in layout.stages_of(position)
        ]
        with _fake_tensors(), StorageCounter() as counter, vocabulary_parallel(layout.tp):
            return _run(settings, parts, rank, in_flight(layout, position), counter)


def _run(
    settings: TrainingSettings,
    parts: list[PanGu],
    rank: int,
    ahead: int,
    counter: StorageCounter,
) -> SimulatedRank:
    layout = settings.layout
    moments = []
    for part in parts:
        part.to_empty(device="cpu")
        for parameter in part.parameters():
            counter.add(parameter)
            moments += [torch.zeros_like(parameter), torch.zeros_like(parameter)]
    state = counter.bytes

    def forward(part: PanGu) -> tuple[Tensor, Tensor]:
        states, positions, documents, labels = _inputs(settings, part)
        result = part(states, positions, documents)
        return (summed_loss(result, labels) if part.is_last else result), states

    def backward(part: PanGu, result: Tensor, reduces: bool) -> None:
        if isinstance(part, FSDPModule):
            # With a pipeline, as its stages do; without, as the engine does.
            reduces = reduces or (layout.reshard_after_forward and layout.pp == 1)
            part.set_is_last_backward(reduces)
            part.set_requires_gradient_sync(reduces)
            part.set_reshard_after_backward(reduces)
        result.backward() if part.is_last else result.backward(torch.zeros_like(result))

    if layout.micro_batches > 1:
        for part in parts:
            result, _ = forward(part)
            backward(part, result, reduces=False)
            del result
        # The last stage never waits: each of its forward passes is followed by the backward pass.
        kinds = [part for part in parts if not part.is_last] or parts
        waiting = [forward(part) for part in itertools.islice(itertools.cycle(kinds), ahead - 1)]
        result, _ = forward(parts[-1])
        backward(parts[-1], result, reduces=False)
        del result, _
        waiting.clear()
    for part in reversed(parts):
        result, _ = forward(part)
        backward(part, result, reduces=True)
        del result, _
    return SimulatedRank(rank, state, counter.peak)


def _inputs(settings: TrainingSettings, part: PanGu) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    layout, length = settings.layout, settings.sequence_length
    ids = torch.zeros(samples_per_micro_batch(settings), length, dtype=torch.int64)
    states = ids
    if not part.is_first:
        own = length // layout.tp if layout.sequence_parallel else length
        is_bfloat16 = settings.optimisation.precision == "bfloat16"
        states = torch.zeros(
            len(ids),
            own,
            settings.model.hidden,
            dtype=torch.bfloat16 if is_bfloat16 else torch.float32,
            requires_grad=True,
        )
    return states, torch.zeros_like(ids), torch.zeros_like(ids), torch.zeros_like(ids)


class StorageCounter(TorchDispatchMode):
    """Counts the bytes of all storages that operations make, until they die.

    Changes torch for the rest of the process, which is there for one simulation only.

    FSDP empties the storage of gathered weights instead of letting it die, so changes of size are
    followed too. Tensors in which torch only works out the shapes of distributed results are not
    counted: they are as large as the whole model's, and no rank ever has them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0
        self.peak = 0
        self._sizes: weakref.WeakKeyDictionary[Any, list[int]] = weakref.WeakKeyDictionary()
        self._is_paused = False

    def add(self, tensor: Any) -> None:
        """Counts the storage of a tensor, once."""
        if not isinstance(tensor, Tensor) or self._is_paused:
            return
        storage = (tensor.to_local() if isinstance(tensor, DTensor) else tensor).untyped_storage()
        if storage not in self._sizes:
            size = [storage.nbytes()]
            self._sizes[storage] = size
            self._change(size[0])
            weakref.finalize(storage, self._forget, size)

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if any(issubclass(kind, DTensor) for kind in types):
            # Comes again as the operations on what this rank holds.
            return NotImplemented
        results = operation(*args, **(kwargs or {}))
        for tensor in tree_leaves(results):
            self.add(tensor)
        return results

    def __enter__(self) -> StorageCounter:
        resize = torch.UntypedStorage.resize_
        propagator = DTensor._op_dispatcher.sharding_propagator
        infer = propagator._propagate_tensor_meta_non_cached

        def counted_resize(storage: torch.UntypedStorage, size: int) -> torch.UntypedStorage:
            result = resize(storage, size)
            if (known := self._sizes.get(storage)) is not None:
                self._change(size - known[0])
                known[0] = size
            return result

        def uncounted(*args: Any, **kwargs: Any) -> Any:
            self._is_paused = True
            try:
                return infer(*args, **kwargs)
            finally:
                self._is_paused = False

        torch.UntypedStorage.resize_ = counted_resize  # type: ignore[method-assign, assignment]
        propagator._propagate_tensor_meta_non_cached = uncounted  # type: ignore[method-assign]
        super().__enter__()
        return self

    def _forget(self, size: list[int]) -> None:
        self._change(-size[0])

    def _change(self, bytes_: int) -> None:
        self.bytes += bytes_
        self.peak = max(self.peak, self.bytes)


@contextmanager
def _fake_process_group(rank: int, ranks: int) -> Iterator[None]:
    from torch.testing._internal.distributed.fake_pg import FakeStore

    dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=ranks)
    try:
        yield
    finally:
        dist.destroy_process_group()


def _fake_tensors() -> Any:
    from torch._subclasses.fake_tensor import FakeTensorMode

    return FakeTensorMode(allow_non_fake_inputs=True)
