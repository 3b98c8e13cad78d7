"""Tensors in files, through torch.distributed.checkpoint but without its pickled index.

That library splits tensors over files and puts them together again for any number of processes.
Its own index, however, is a pickle, and reading a stranger's pickle runs the stranger's code. The
two classes here keep the tensor files as they are and write the index as JSON, `tensors.json`:

    {"model.final_norm.bias": {"dtype": "float32", "shape": [256],
                               "parts": [{"start": [0], "shape": [256],
                                          "file": "__0_0.distcp", "offset": 0, "bytes": 2048}]}}
"""

from __future__ import annotations

import io
import json
import math
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import chain
from typing import IO, Any, Literal

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as distributed_checkpoint
from pydantic import NonNegativeInt, TypeAdapter
from torch import Tensor
from torch.distributed.checkpoint import CheckpointException
from torch.distributed.checkpoint._fsspec_filesystem import FsspecReader, FsspecWriter
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.metadata import (
    STORAGE_TYPES,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    StorageMeta,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import SavePlan, SavePlanner
from torch.distributed.checkpoint.storage import WriteResult
from torch.futures import Future as WriteFuture

from pangu_settings import Settings, UserError
from training.locations import Location, RemotePath, write_file

INDEX_NAME = "tensors.json"
_DTYPES = ("float64", "float32", "bfloat16", "float16", "int64", "int32", "uint8", "bool")

# One process is nothing to warn of. (For all threads, since a thread may save.)
warnings.filterwarnings("ignore", message="torch.distributed is (disabled|unavailable)")


class _Part(Settings):
    """A rectangular piece of a tensor."""

    start: list[NonNegativeInt]
    shape: list[NonNegativeInt]
    file: str
    offset: NonNegativeInt
    bytes: NonNegativeInt


class _Entry(Settings):
    """A tensor in the index."""

    dtype: Literal[*_DTYPES]  # type: ignore[valid-type]
    shape: list[NonNegativeInt]
    parts: list[_Part]


_INDEX = TypeAdapter(dict[str, _Entry])


def _nothing() -> None: ...


class _Writer(FsspecWriter):
    """Writes the index as JSON, and calls `before` and `after` on rank 0.

    The library calls the methods here in this order: all ranks plan what they write, rank 0 joins
    the plans, all write, and when all have written, rank 0 finishes. An error in any of them is
    an error on all ranks.
    """

    def __init__(
        self, folder: Location, before: Callable[[], None], after: Callable[[], None]
    ) -> None:
        # Only files on a local disk can be flushed one by one.
        super().__init__(str(folder), sync_files=not isinstance(folder, RemotePath))
        self._folder = folder
        self._before = before
        self._after = after

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        # The base class makes the folder on every rank. Where ranks do not share a disk, that
        # would leave each with a part of the checkpoint.
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        self._before()
        self.fs.mkdir(self.path)
        prepared: list[SavePlan] = super().prepare_global_plan(plans)
        return prepared

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> WriteFuture[list[WriteResult]]:
        try:
            return super().write_data(plan, planner)
        except RuntimeError as error:
            # When a write fails, torch.save complains about the place it is at in the file.
            cause: BaseException | None = error
            while cause is not None and not isinstance(cause, OSError):
                cause = cause.__context__
            raise cause or error from None

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        tensors: dict[str, Any] = {}
        for written in chain.from_iterable(results):
            name, start = written.index.fqn, written.index.offset
            facts = metadata.state_dict_metadata[name]
            if start is None or not isinstance(facts, TensorStorageMetadata):
                raise TypeError(f"'{name}' is not a tensor; only tensors are stored")
            entry = tensors.setdefault(
                name,
                {
                    "dtype": str(facts.properties.dtype).removeprefix("torch."),
                    "shape": list(facts.size),
                    "parts": [],
                },
            )
            [shape] = [list(chunk.sizes) for chunk in facts.chunks if chunk.offsets == start]
            entry["parts"].append(
                {
                    "start": list(start),
                    "shape": shape,
                    "file": written.storage_data.relative_path,
                    "offset": written.storage_data.offset,
                    "bytes": written.storage_data.length,
                }
            )
        text = json.dumps(tensors, indent=1, sort_keys=True) + "\n"
        write_file(self._folder / INDEX_NAME, text.encode())
        self._after()


class _Reader(FsspecReader):
    """Finds tensors by the index that _Writer wrote, and checks them before they are read.

    Tensors are read with `weights_only`; each is a zip file, whose checksum torch ignores.
    """

    def __init__(self, folder: Location, index: Mapping[str, Any]) -> None:
        super().__init__(str(folder))
        self._index = index

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        tensors: dict[str, STORAGE_TYPES] = {}
        places: dict[MetadataIndex, _StorageInfo] = {}
        for name, entry in self._index.items():
            chunks = []
            for number, part in enumerate(entry["parts"]):
                start = torch.Size(part["start"])
                chunks.append(ChunkStorageMetadata(start, torch.Size(part["shape"])))
                place = _StorageInfo(part["file"], part["offset"], part["bytes"])
                places[MetadataIndex(name, start, number)] = place
            properties = TensorProperties(dtype=getattr(torch, entry["dtype"]))
            tensors[name] = TensorStorageMetadata(properties, torch.Size(entry["shape"]), chunks)
        return Metadata(
            state_dict_metadata=tensors,
            storage_data=places,
            storage_meta=StorageMeta(load_id=self.load_id),
        )

    def _slice_file(self, file: IO[bytes], sinfo: _StorageInfo) -> IO[bytes]:
        # In memory, because the view that the base class returns cannot seek from its end.
        part = io.BytesIO(super()._slice_file(file, sinfo).read())
        with zipfile.ZipFile(part) as archive:
            if archive.testzip() is not None:
                raise ValueError(f"wrong checksum in {sinfo.relative_path}")
        part.seek(0)
        return part


class Saving:
    """Tensors on their way into a folder."""

    def __init__(self, folder: Location, future: Future[Metadata]) -> None:
        self._folder = folder
        self._future = future

    def wait(self) -> None:
        """Returns when everything is written.

        Raises:
          UserError: the folder cannot be written.
        """
        with _plain_errors(f"{self._folder}: cannot be written"):
            self._future.result()


def save_tensors(
    tensors: Mapping[str, Tensor],
    folder: Location,
    group: dist.ProcessGroup | None = None,
    before: Callable[[], None] = _nothing,
    after: Callable[[], None] = _nothing,
) -> None:
    """Writes tensors into a new folder, flushed to the disk.

    Args:
      tensors: of this rank. A DTensor is written by all ranks together; of tensors that several
        ranks have under one name, one is written.
      folder: new; the same on all ranks.
      group: of all ranks, each of which must call this; None for this process alone.
      before: called on rank 0 before the folder is made.
      after: called on rank 0 when all ranks have written all.

    Raises:
      UserError: a rank cannot write. All ranks raise it.
    """
    with _plain_errors(f"{folder}: cannot be written"):
        distributed_checkpoint.save(
            dict(tensors),
            storage_writer=_Writer(folder, before, after),
            process_group=group,
            no_dist=group is None,
        )


def start_saving(
    tensors: Mapping[str, Tensor],
    folder: Location,
    group: dist.ProcessGroup | None = None,
    before: Callable[[], None] = _nothing,
    after: Callable[[], None] = _nothing,
) -> Saving:
    """Does the work of `save_tensors` in a thread, on a copy of the tensors in host memory.

    Until `wait` has returned, the group must not be used for anything else. It must be able to
    reduce tensors in host memory.
    """
    future = distributed_checkpoint.async_save(
        dict(tensors),
        storage_writer=_Writer(folder, before, after),
        process_group=group,
        no_dist=group is None,
    )
    assert isinstance(future, Future)
    return Saving(folder, future)


def stored_shapes(folder: Location) -> dict[str, torch.Size]:
    """Returns the name and the shape of each tensor in a folder.

    Raises:
      UserError: the index of the folder is missing or damaged.
    """
    return {name: torch.Size(entry["shape"]) for name, entry in _read_index(folder).items()}


def load_tensors(tensors: Mapping[str, Tensor], folder: Location) -> None:
    """Overwrites tensors with the values that are stored under their names.

    Each rank reads what its tensors need, a piece of a DTensor wherever it was written, and waits
    for no other.

    Raises:
      UserError: a file is missing or damaged, or holds no tensor of that name and shape.
    """
    index = _read_index(folder)
    stored = {name: torch.Size(entry["shape"]) for name, entry in index.items()}
    for name, tensor in tensors.items():
        if name not in stored:
            raise UserError(f"{folder}: holds no tensor '{name}'; it belongs to another model")
        if stored[name] != tensor.shape:
            raise UserError(
                f"{folder}: '{name}' is stored as {list(stored[name])}, expected "
                f"{list(tensor.shape)}; it belongs to another model"
            )
        if sum(math.prod(part["shape"]) for part in index[name]["parts"]) != tensor.numel():
            # The library would leave what is missing as it was.
            raise UserError(f"{folder / INDEX_NAME}: '{name}' is not whole; the file is damaged")
    reader = _Reader(folder, index)
    with _plain_errors(f"{folder}: a tensor file is missing or damaged"):
        distributed_checkpoint.load(dict(tensors), storage_reader=reader, no_dist=True)


@contextmanager
def _plain_errors(what: str) -> Iterator[None]:
    """Turns the library's exception, a traceback of each rank, into the first of its causes."""
    try:
        yield
    except CheckpointException as failure:
        ranks = sorted(failure.failures)
        cause, _ = failure.failures[ranks[0]]
        where = "" if ranks == [0] else f"rank {', '.join(map(str, ranks))}: "
        raise UserError(f"{what}: {where}{cause or repr(cause)}") from failure


def _read_index(folder: Location) -> dict[str, Any]:
    try:
        index: dict[str, Any] = json.loads((folder / INDEX_NAME).read_text(encoding="utf-8"))
        _INDEX.validate_python(index)
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / INDEX_NAME}: cannot be read: {error}") from None
    return index
