"""A checkpoint of a training run → a model folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from training.checkpoint import TOKENIZER, find_checkpoint, read_manifest
from training.config import ModelSettings
from training.exchange.model_folder import parameter_shapes, write_model
from training.exchange.weight_files import LazyTensors
from training.locations import Location
from training.tensor_files import load_tensors


def export_checkpoint(checkpoints: Location, folder: Path, dtype: str | None = None) -> Location:
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
    weights = checkpoint_weights(checkpoint, settings)
    tokenizer = (checkpoint / TOKENIZER).read_bytes()
    write_model(folder, settings, weights, tokenizer, dtype)
    return checkpoint


def checkpoint_weights(checkpoint: Location, settings: ModelSettings) -> Mapping[str, Tensor]:
    """Returns the weights in a checkpoint by name, whole, each read when it is asked for.

    Raises:
      UserError: when one is asked for that is damaged or not there.
    """

    def reader(name: str, shape: torch.Size) -> Callable[[], Tensor]:
        def read() -> Tensor:
            tensor = torch.empty(shape)
            load_tensors({f"model.{name}": tensor}, checkpoint)
            return tensor

        return read

    shapes = parameter_shapes(settings)
    return LazyTensors({name: reader(name, shape) for name, shape in shapes.items()})
