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
import warnings
import zipfile
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import IO, Any

import torch
import torch.distributed.checkpoint as distributed_checkpoint
from torch import Tensor
from torch.distributed.checkpoint import CheckpointException, FileSystemReader, FileSystemWriter
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
from torch.distributed.checkpoint.storage import WriteResult

from pangu_settings import UserError

INDEX_NAME = "tensors.json"


class _Writer(FileSystemWriter):
    """Writes the index as JSON."""

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
        Path(self.path, INDEX_NAME).write_text(text, encoding="utf-8")


class _Reader(FileSystemReader):
    """Finds tensors by the index that _Writer wrote, and checks them before they are read.

    Tensors are read with `weights_only`; each is a zip file, whose checksum torch ignores.
    """

    def __init__(self, folder: Path, index: Mapping[str, Any]) -> None:
        super().__init__(folder)
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


def save_tensors(tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Writes tensors into a new folder, flushed to the disk.

    Raises:
      UserError: the folder cannot be written.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="torch.distributed is disabled")
            distributed_checkpoint.save(dict(tensors), storage_writer=_Writer(folder), no_dist=True)
    except CheckpointException as failure:
        [(cause, _), *_] = failure.failures.values()
        raise UserError(f"{folder}: cannot be written: {cause}") from failure


def stored_shapes(folder: Path) -> dict[str, torch.Size]:
    """Returns the name and the shape of each tensor in a folder.

    Raises:
      UserError: the index of the folder is missing or damaged.
    """
    return {name: torch.Size(entry["shape"]) for name, entry in _read_index(folder).items()}


def load_tensors(tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Overwrites tensors with the values that are stored under their names.

    Raises:
      UserError: a file is missing or damaged, or holds no tensor of that name and shape.
    """
    stored = stored_shapes(folder)
    for name, tensor in tensors.items():
        if name not in stored:
            raise UserError(f"{folder}: holds no tensor '{name}'; it belongs to another model")
        if stored[name] != tensor.shape:
            raise UserError(
                f"{folder}: '{name}' is stored as {list(stored[name])}, expected "
                f"{list(tensor.shape)}; it belongs to another model"
            )
    reader = _Reader(folder, _read_index(folder))
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="torch.distributed is disabled")
            distributed_checkpoint.load(dict(tensors), storage_reader=reader, no_dist=True)
    except CheckpointException as failure:
        [(cause, _), *_] = failure.failures.values()
        raise UserError(f"{folder}: a tensor file is missing or damaged: {cause}") from failure


def _read_index(folder: Path) -> dict[str, Any]:
    try:
        index: dict[str, Any] = json.loads((folder / INDEX_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / INDEX_NAME}: cannot be read: {error}") from None
    return index
