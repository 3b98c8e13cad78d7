"""A trained model from where it lies, ready to be asked: a checkpoint or a model folder.

Any layout of one stage will do; every rank reads the whole of a tensor and keeps its piece.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

from pangu_settings import UserError
from tokenizer import Tokenizer
from training.checkpoint import find_checkpoint, read_manifest
from training.config import DataSettings, ModelSettings, OptimisationSettings, TrainingSettings
from training.exchange.export import checkpoint_weights
from training.exchange.model_folder import TOKENIZER, checked, is_model_folder, read_settings
from training.exchange.weight_files import open_weights
from training.layout import Layout
from training.locations import Location
from training.model import PanGu
from training.parallel import build_mesh, build_part


@dataclass(frozen=True)
class TrainedModel:
    """A model and the vocabulary that it was trained with."""

    model: PanGu
    tokenizer: Tokenizer


def open_model(path: Location, device: torch.device, layout: Layout | None = None) -> TrainedModel:
    """Returns the model that lies at a place, and its vocabulary.

    Args:
      path, device, layout: as for `load_model`.

    Raises:
      UserError: nothing is there, it is damaged, or it has no vocabulary.
    """
    is_folder = isinstance(path, Path) and is_model_folder(path)
    vocabulary = (path if is_folder else find_checkpoint(path)) / TOKENIZER
    if not vocabulary.exists():
        raise UserError(
            f"{vocabulary}: the vocabulary is missing; copy the tokenizer.model that the model "
            "was trained with to this place"
        )
    return TrainedModel(load_model(path, device, layout), Tokenizer(vocabulary))


def load_model(path: Location, device: torch.device, layout: Layout | None = None) -> PanGu:
    """Returns the model that lies at a place, in float32, without dropout.

    Args:
      path: a model folder, a checkpoint, or a directory of checkpoints, which means the latest.
        Checkpoints may lie at a URL.
      device: of this process.
      layout: of one stage; one process where not given.

    Raises:
      UserError: nothing is there, it is damaged, or it cannot be laid out like this.
    """
    if isinstance(path, Path) and is_model_folder(path):
        settings, weights = read_settings(path), open_weights(path)
    else:
        checkpoint = find_checkpoint(path)
        settings = read_manifest(checkpoint).settings.model
        weights = checkpoint_weights(checkpoint, settings)
    return lay_out(settings, weights, device, layout or Layout(), path)


def lay_out(
    settings: ModelSettings,
    weights: Mapping[str, Tensor],
    device: torch.device,
    layout: Layout,
    origin: Location,
) -> PanGu:
    """Returns a model with these weights, laid out over the processes that there are.

    Raises:
      UserError: a weight is missing or has another shape, the layout has several stages, or it
        does not fit the model.
    """
    if layout.pp > 1:
        raise UserError(
            f"layout.pp is {layout.pp}: a model that is asked id by id would leave all stages but "
            "one waiting; use tp and dp_shard"
        )
    try:
        run = TrainingSettings(
            model=settings.model_copy(update={"dropout": 0.0}),
            data=DataSettings(shards=Path(origin), tokenizer=Path(origin)),
            optimisation=OptimisationSettings(steps=1, batch=layout.data_parallel),
            # Ids come one by one, and one id cannot be shared along the sequence.
            layout=layout.model_copy(update={"sequence_parallel": False, "micro_batches": 1}),
        )
    except ValueError as error:
        raise UserError(f"{origin}: the model cannot be laid out like this: {error}") from None
    mesh = build_mesh(layout, device) if dist.is_initialized() else None
    model = build_part(run, range(settings.layers), mesh, torch.device("meta"))
    model.to_empty(device=device)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            values = checked(weights, name, parameter.shape, origin)
            values = values.to(device=device, dtype=parameter.dtype)
            if isinstance(parameter, DTensor):
                mesh_of, placements = parameter.device_mesh, parameter.placements
                # Each rank has read the values; none needs to send them.
                values = distribute_tensor(values, mesh_of, placements, src_data_rank=None)
            parameter.copy_(values)
    return model.eval()
