"""A checkpoint of a training run → a model folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from training.checkpoint import TOKENIZER, find_checkpoint, read_manifest
from training.model_folder import parameter_shapes, write_model
from training.tensor_files import load_tensors
from training.weight_files import LazyTensors


def export_checkpoint(checkpoints: Path, folder: Path, dtype: str | None = None) -> Path:
    """Writes the weights of a checkpoint, saved under any layout, as a model folder.

    Args:
      checkpoints: a checkpoint, or a directory of checkpoints, which means the latest.
      folder: the new model folder.
      dtype: float32, bfloat16 or float16; as stored where not given.

    Returns:
      The checkpoint.

    Raises:
      UserError: there is no checkpoint, it is damaged, or the folder exists.
    """
    checkpoint = find_checkpoint(checkpoints)
    settings = read_manifest(checkpoint).settings.model

    def reader(name: str, shape: torch.Size) -> Callable[[], Tensor]:
        def read() -> Tensor:
            tensor = torch.empty(shape)
            load_tensors({f"model.{name}": tensor}, checkpoint)
            return tensor

        return read

    shapes = parameter_shapes(settings)
    tensors = LazyTensors({name: reader(name, shape) for name, shape in shapes.items()})
    tokenizer = (checkpoint / TOKENIZER).read_bytes()
    write_model(folder, settings, tensors, tokenizer, dtype)
    return checkpoint
