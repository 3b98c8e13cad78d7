"""The pipeline: which stage computes which micro-batch when.

Training follows a schedule of `torch.distributed.pipelining`. Only hidden states travel between
stages: positions, documents and labels are read by every rank for itself, since all ranks of a
pipeline see the same samples.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.pipelining import PipelineStage
from torch.distributed.pipelining.schedules import get_schedule_class

from training.config import TrainingSettings
from training.data import Batch
from training.layout import SINGLE_STAGE
from training.loss import summed_loss, token_losses, whole
from training.model import PanGu


class PipelineSchedule:
    """Forward and backward passes of the stages on this rank."""

    def __init__(
        self,
        parts: list[PanGu],
        settings: TrainingSettings,
        mesh: DeviceMesh,
        device: torch.device,
    ) -> None:
        """Takes the stages of this rank in the order of `Layout.stages_of`."""
        layout = settings.layout
        self._settings = settings
        self._group = mesh["pp"].get_group()
        self._stages = dict(zip(layout.stages_of(mesh["pp"].get_local_rank()), parts, strict=True))
        # Global number of the rank that has each stage.
        self._owners = {
            stage: dist.get_global_rank(self._group, rank)
            for rank in range(layout.pp)
            for stage in layout.stages_of(rank)
        }
        self._all_labels = torch.ones((), device=device)
        stages = [
            PipelineStage(part, stage, layout.stages, device, group=self._group)
            for stage, part in self._stages.items()
        ]
        self._schedule = get_schedule_class(layout.schedule)(
            stages[0] if layout.schedule in SINGLE_STAGE else stages,
            n_microbatches=layout.micro_batches,
            loss_fn=lambda logits, labels: summed_loss(logits, labels) / self._all_labels,
            # The loss is divided by all labels of the batch, not by micro-batches.
            scale_grads=False,
        )

    def backward(self, batch: Batch, labels: Tensor, all_labels: Tensor) -> Tensor:
        """Adds the gradients of a batch to the parameters of this rank's stages.

        Args:
          batch: samples of this data-parallel rank, as many and as long in every step.
          labels: int64 [samples, length], some of them `IGNORED`.
          all_labels: number of labels that are learned, over all data-parallel ranks.

        Returns:
          What these samples add to the loss; 0 on ranks that have not the last stage.
        """
        self._all_labels = all_labels
        has_first = any(part.is_first for part in self._stages.values())
        has_last = any(part.is_last for part in self._stages.values())
        losses: list[Tensor] = []
        self._schedule.step(
            *([batch.ids] if has_first else []),
            positions=batch.positions,
            documents=batch.documents,
            target=labels if has_last else None,
            losses=losses if has_last else None,
            # Else the logits of all micro-batches would be kept.
            return_outputs=False,
        )
        if not losses:
            return torch.zeros((), device=labels.device)
        return torch.stack([whole(loss.detach()) for loss in losses]).sum()

    @torch.no_grad()
    def token_losses(self, batch: Batch, labels: Tensor) -> Tensor:
        """Runs forward passes only, for batches of any size; must be called on all ranks.

        The schedules of torch do not: those shaped like a V need a backward pass, and all
        of them keep to the shape that they saw first.

        Returns:
          -ln p of each label, float32 [samples, length]; zeros on ranks without the last stage.
        """
        losses = []
        sends = []
        size = -(-len(labels) // self._settings.layout.micro_batches)
        for first in range(0, len(labels), size):
            micro = batch.part(first, size, labels.device)
            states = micro.ids
            for stage, part in self._stages.items():
                if not part.is_first and stage - 1 not in self._stages:
                    states = self._received_states(micro, self._owners[stage - 1])
                states = part(states, micro.positions, micro.documents)
                if part.is_last:
                    losses.append(token_losses(states, labels[first : first + size]))
                elif stage + 1 not in self._stages:
                    states = states.contiguous()
                    sends.append((states, dist.isend(states, self._owners[stage + 1], self._group)))
        for _, work in sends:
            if work is not None:
                work.wait()
        return torch.cat(losses) if losses else torch.zeros(labels.shape, device=labels.device)

    def _received_states(self, micro: Batch, sender: int) -> Tensor:
        layout = self._settings.layout
        samples, length = micro.ids.shape
        if layout.sequence_parallel:
            length //= layout.tp
        is_bfloat16 = self._settings.optimisation.precision == "bfloat16"
        states = torch.empty(
            (samples, length, self._settings.model.hidden),
            dtype=torch.bfloat16 if is_bfloat16 else torch.float32,
            device=micro.ids.device,
        )
        dist.recv(states, sender, self._group)
        return states
