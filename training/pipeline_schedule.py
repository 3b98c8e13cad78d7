"""The pipeline: which stage computes which micro-batch when, by `torch.distributed.pipelining`.

Only hidden states travel between stages. Positions, documents and labels are read by every rank
for itself, since all ranks of a pipeline see the same samples.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.pipelining import PipelineStage
from torch.distributed.pipelining.schedules import get_schedule_class

from training.data import Batch
from training.layout import SINGLE_STAGE, Layout
from training.loss import summed_loss, token_losses, whole
from training.model import PanGu


class PipelineSchedule:
    """Forward and backward passes of the stages on this rank."""

    def __init__(
        self, parts: list[PanGu], layout: Layout, mesh: DeviceMesh, device: torch.device
    ) -> None:
        """Takes the stages of this rank in the order of `Layout.stages_of`."""
        group = mesh["pp"].get_group()
        numbers = layout.stages_of(mesh["pp"].get_local_rank())
        stages = [
            PipelineStage(part, number, layout.stages, device, group=group)
            for part, number in zip(parts, numbers, strict=True)
        ]
        self._has_first = parts[0].is_first
        self._has_last = parts[-1].is_last
        self._loss: Callable[[Tensor, Tensor], Tensor] = summed_loss
        self._schedule = get_schedule_class(layout.schedule)(
            stages[0] if layout.schedule in SINGLE_STAGE else stages,
            n_microbatches=layout.micro_batches,
            loss_fn=lambda logits, labels: self._loss(logits, labels),
            # The loss is divided by all labels of the batch, not by micro-batches.
            scale_grads=False,
        )

    def backward(self, batch: Batch, labels: Tensor, all_labels: Tensor) -> Tensor:
        """Adds the gradients of a batch to the parameters of this rank's stages.

        Args:
          batch: samples of this data-parallel rank.
          labels: int64 [samples, length], some of them `IGNORED`.
          all_labels: number of labels that are learned, over all data-parallel ranks.

        Returns:
          What these samples add to the loss; 0 on ranks that have not the last stage.
        """
        self._loss = lambda logits, some: summed_loss(logits, some) / all_labels
        losses: list[Tensor] = []
        self._schedule.step(*self._ids(batch), **self._options(batch, labels, losses))
        if not losses:
            return torch.zeros((), device=labels.device)
        return torch.stack([whole(loss.detach()) for loss in losses]).sum()

    @torch.no_grad()
    def token_losses(self, batch: Batch, labels: Tensor) -> Tensor:
        """Returns -ln p of each label, float32 [samples, length]; 0 without the last stage."""
        self._loss = token_losses
        losses: list[Tensor] = []
        self._schedule.eval(*self._ids(batch), **self._options(batch, labels, losses))
        return torch.cat(losses) if losses else torch.zeros(labels.shape, device=labels.device)

    def _ids(self, batch: Batch) -> list[Tensor]:
        return [batch.ids] if self._has_first else []

    def _options(self, batch: Batch, labels: Tensor, losses: list[Tensor]) -> dict[str, object]:
        return {
            "positions": batch.positions,
            "documents": batch.documents,
            "target": labels if self._has_last else None,
            "losses": losses if self._has_last else None,
            # Else the logits of all micro-batches would be kept.
            "return_outputs": False,
        }
