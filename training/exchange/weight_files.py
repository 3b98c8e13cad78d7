"""Tensors in the files of other programs, by name, each read when it is asked for.

What a stranger's file says is data: pickles are read by torch's `weights_only` reader, numpy's
without pickles, MindSpore's and safetensors hold no code.

    MODEL.ckpt                                   MindSpore
    FOLDER/NAME.npy …,  FILE.npz                 numpy: MindSpore tensors, written out one by one
    FOLDER/latest_checkpointed_iteration.txt     Megatron-LM 1.1, split over any number of ranks
    FILE.pt, .pth, .bin                          torch; nested dictionaries become dotted names
    FILE.safetensors, FOLDER/*.safetensors       safetensors
"""

from __future__ import annotations

import argparse
import pickle
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from pangu_settings import UserError
from training.exchange.mindspore_file import MindSporeFile

MEGATRON_LATEST = "latest_checkpointed_iteration.txt"

# The dimension along which Megatron-LM 1.1 splits a parameter over its model-parallel ranks; what
# is not named here is the same on every rank (megatron/mpu/layers.py).
MEGATRON_SPLITS = {
    "word_embeddings.weight": 0,
    "query.weight": 0,
    "query.bias": 0,
    "key.weight": 0,
    "key.bias": 0,
    "value.weight": 0,
    "value.bias": 0,
    "dense.weight": 1,
    "dense_h_to_4h.weight": 0,
    "dense_h_to_4h.bias": 0,
    "dense_4h_to_h.weight": 1,
}


class LazyTensors(Mapping[str, Tensor]):
    """Tensors by name, each from a call that reads it."""

    def __init__(self, readers: Mapping[str, Callable[[], Tensor]]) -> None:
        self._readers = readers

    def __getitem__(self, name: str) -> Tensor:
        return self._readers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    def __len__(self) -> int:
        return len(self._readers)


def open_weights(path: Path) -> Mapping[str, Tensor]:
    """Returns the tensors of a file or a folder in one of the forms above.

    Raises:
      UserError: nothing is there, it is damaged, or it is of no known form.
    """
    if path.is_dir():
        return _open_folder(path)
    match path.suffix:
        case ".ckpt":
            return MindSporeFile(path)
        case ".npz":
            return _open_npz(path)
        case ".safetensors":
            return _open_safetensors([path])
        case ".pt" | ".pth" | ".bin":
            return _open_torch(path)
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    raise UserError(
        f"{path}: no known form of weights; known are .ckpt, .npz, .pt, .pth, .bin, .safetensors "
        "and folders of .npy, .safetensors or Megatron's"
    )


def _open_folder(folder: Path) -> Mapping[str, Tensor]:
    if (folder / MEGATRON_LATEST).exists():
        return _open_megatron(folder)
    if arrays := sorted(folder.glob("*.npy")):
        return LazyTensors({path.stem: _npy_reader(path) for path in arrays})
    if files := sorted(folder.glob("*.safetensors")):
        return _open_safetensors(files)
    if files := sorted(folder.glob("*.bin")):
        together: dict[str, Tensor] = {}
        for path in files:
            together |= _open_torch(path)
        return together
    if files := sorted(folder.glob("*.ckpt")):
        if len(files) == 1:
            return MindSporeFile(files[0])
        raise UserError(
            f"{folder}: {len(files)} .ckpt files are slices of one model that only its strategy "
            "file can join; merge them with MindSpore's merge_sliced_parameter, or take the "
            "single-file release"
        )
    raise UserError(
        f"{folder}: no weights here: neither .npy, .safetensors, .bin nor .ckpt files, nor "
        f"Megatron's {MEGATRON_LATEST}"
    )


def _open_megatron(folder: Path) -> Mapping[str, Tensor]:
    step = (folder / MEGATRON_LATEST).read_text(encoding="utf-8").strip()
    name = f"iter_{int(step):07d}" if step.isdigit() else step
    files = sorted(folder.glob(f"{name}/mp_rank_*/model_optim_rng.pt"))
    if not files:
        raise UserError(f"{folder / name}: no mp_rank_*/model_optim_rng.pt here")
    ranks = [_open_torch(path) for path in files]

    def joined(name: str) -> Callable[[], Tensor]:
        ending = ".".join(name.split(".")[-2:])
        return lambda: torch.cat([rank[name] for rank in ranks], MEGATRON_SPLITS[ending])

    def same(name: str) -> Callable[[], Tensor]:
        return lambda: ranks[0][name]

    endings = tuple(f".{ending}" for ending in MEGATRON_SPLITS)
    is_split = {name: len(ranks) > 1 and name.endswith(endings) for name in ranks[0]}
    return LazyTensors({name: (joined if is_split[name] else same)(name) for name in ranks[0]})


def _open_torch(path: Path) -> dict[str, Tensor]:
    try:
        # Megatron stores its command line as an argparse.Namespace, which is data only.
        with torch.serialization.safe_globals([argparse.Namespace]):
            try:
                content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            except RuntimeError:
                # Files of torch before 1.6 cannot be mapped into memory.
                content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except pickle.UnpicklingError as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"{path}: holds more than tensors and is not read, because that could run code: "
            f"{reason}"
        ) from None
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise UserError(f"{path}: damaged, or not torch's: {error}") from None
    return dict(_flatten(content, ""))


def _flatten(content: Any, prefix: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(content, Tensor):
        yield prefix, content
    elif isinstance(content, Mapping):
        for key, value in content.items():
            yield from _flatten(value, f"{prefix}.{key}" if prefix else str(key))


def _open_safetensors(paths: list[Path]) -> Mapping[str, Tensor]:
    def reader(file: Any, name: str) -> Callable[[], Tensor]:
        return lambda: file.get_tensor(name)

    readers: dict[str, Callable[[], Tensor]] = {}
    for path in paths:
        try:
            file = safe_open(path, framework="pt")
        except (OSError, SafetensorError) as error:
            raise UserError(f"{path}: damaged, or not safetensors: {error}") from None
        for name in file.keys():  # noqa: SIM118 - the file is no mapping
            readers[name] = reader(file, name)
    return LazyTensors(readers)


def _npy_reader(path: Path) -> Callable[[], Tensor]:
    def read() -> Tensor:
        try:
            return torch.from_numpy(np.load(path, allow_pickle=False))
        except (OSError, ValueError, EOFError, TypeError) as error:
            raise UserError(f"{path}: damaged, or not an array of numbers: {error}") from None

    return read


def _open_npz(path: Path) -> Mapping[str, Tensor]:
    try:
        archive = np.load(path, allow_pickle=False)
        names = archive.files
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: damaged, or not numpy's: {error}") from None

    def reader(name: str) -> Callable[[], Tensor]:
        return lambda: torch.from_numpy(archive[name])

    return LazyTensors({name: reader(name) for name in names})
