"""The engine: a model, its optimizer, and one step of both, the same numbers in every layout.

    engine = Engine(settings, device)
    loss, norm = engine.gradients(batch)       of all ranks' samples; nothing is changed yet
    engine.update(rate)                        clips and steps; or engine.discard()

The loss is Σ -ln p / number of labels over the whole batch of all ranks, however it is cut, and
the norm is that of the whole gradient. `training.parallel` lays the model out, and
`training.pipeline_schedule` runs the stages; what is left for this module is to add up.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule

from pangu_settings import UserError
from training.config import TrainingSettings
from training.data import Batch
from training.gradients import (
    check_gradients,
    clip,
    exchange_and_add,
    local_part,
    place_as_parameters,
    squared_norm,
)
from training.loss import learned_labels, summed_loss, token_losses, vocabulary_parallel, whole
from training.optimizer import build_optimizer
from training.parallel import build_mesh, build_part
from training.pipeline_schedule import PipelineSchedule
from training.processes import check_processes

TABLE = "word_embedding.weight"


class Engine:
    """This rank's part of a model in training.

    Attributes:
      parts: the model, or the pipeline stages on this rank.
      parameters: those of this rank by their names in the whole model, each once.
      optimizer: over all parameters of this rank.
      mesh: of all processes; None where there is one.
      data_rank: which of the `data_ranks` shares of each batch this rank learns from. Ranks with
        the same number must be given the same samples.
      data_ranks: number of shares.
    """

    def __init__(self, settings: TrainingSettings, device: torch.device) -> None:
        """Builds the model with its initial weights.

        Args:
          settings: of the run.
          device: of this process. With several ranks, `torch.distributed` must be initialised.

        Raises:
          UserError: there are not as many processes as the layout has ranks, or a kernel of the
            layout does not run on this device.
        """
        self.settings = settings
        self.device = device
        self.layout = layout = settings.layout
        check_processes(layout, dist.get_world_size() if dist.is_initialized() else 1)
        if layout.attention == "flex" and device.type != "cuda":
            raise UserError("layout.attention: flex trains on a GPU only; set it to dense")
        self.mesh = build_mesh(layout, device) if layout.ranks > 1 else None
        self._rank = dict.fromkeys(("pp", "dp_replicate", "dp_shard", "tp"), 0)
        if self.mesh is not None:
            self._rank = {name: self.mesh[name].get_local_rank() for name in self._rank}
        self.data_rank = self._rank["dp_replicate"] * layout.dp_shard + self._rank["dp_shard"]
        self.data_ranks = layout.data_parallel

        stages = layout.stage_layers(settings.model.layers)
        own = layout.stages_of(self._rank["pp"])
        self.parts = [build_part(settings, stages[n], self.mesh, device) for n in own]
        self.parameters: dict[str, nn.Parameter] = {}
        for part in reversed(self.parts):
            self.parameters.update(part.named_parameters())
        self.optimizer = build_optimizer(nn.ModuleList(self.parts), settings.optimisation)
        self._pipeline = None
        if self.mesh is not None and layout.pp > 1:
            self._pipeline = PipelineSchedule(self.parts, settings, self.mesh, device)
        self._all_parameters = [p for part in self.parts for p in part.parameters()]
        first, last = self.parts[0], self.parts[-1]
        # The word embedding of the first and of the last stage, where they are here.
        self._first_table = first.get_parameter(TABLE) if first.is_first else None
        self._last_table = last.get_parameter(TABLE) if last.is_last else None
        # Dropout draws other numbers on each rank.
        torch.manual_seed(settings.model.seed + (dist.get_rank() if self.mesh else 0))
        self._norm = torch.zeros((), device=device)
        self._is_checked = False

    def gradients(self, batch: Batch) -> tuple[float, float]:
        """Runs the forward and backward passes of one step.

        Args:
          batch: this data rank's share of the samples of the step, on any device.

        Returns:
          Loss in nats per label and norm of the gradient before clipping, over all ranks and the
          same on each. Whether they are finite is for the caller to see.

        Raises:
          UserError: in the first step, if a parameter has no gradient.
        """
        batch, labels = self._on_device(batch)
        all_labels = self._sum_over_data_ranks((batch.weights > 0).sum()).clamp(min=1).float()
        with vocabulary_parallel(self.layout.tp):
            if self._pipeline is not None:
                loss = self._pipeline.backward(batch, labels, all_labels)
            else:
                loss = self._backward(batch, labels, all_labels)
        if not self._is_checked:
            check_gradients(self.parameters, self.layout.schedule)
            self._is_checked = True
        place_as_parameters(self._all_parameters)
        self._add_gradients_of_the_table()
        # Tensor-parallel ranks have the same loss, copies of a shard the same norm.
        sums = torch.stack(
            (
                loss.double() / self.layout.tp,
                squared_norm(self._counted_parameters()),
            )
        )
        if self.mesh is not None:
            dist.all_reduce(sums)
        self._norm = sums[1].sqrt()
        # One transfer from the device for both; it also waits until the work is done.
        loss_value, squared = sums.tolist()
        return loss_value, squared**0.5

    def update(self, rate: float) -> None:
        """Clips the gradient, makes a step of the optimizer and forgets the gradient."""
        clip(self._all_parameters, self.settings.optimisation.clip, self._norm)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.discard()

    def discard(self) -> None:
        """Forgets the gradient."""
        self.optimizer.zero_grad(set_to_none=True)

    def evaluate(self, batch: Batch) -> tuple[float, int]:
        """Returns Σ -ln p in nats and the number of labels, over all ranks.

        Args:
          batch: this data rank's share of the samples; every rank must call this as often as the
            others. Its size is as free as in `token_losses`.
        """
        losses = self.token_losses(batch)
        sums = torch.stack((losses.double().sum(), (batch.weights > 0).sum().to(losses.device)))
        total, labels = self._sum_over_data_ranks(sums).tolist()
        return total, int(labels)

    @torch.no_grad()
    def token_losses(self, batch: Batch) -> Tensor:
        """Returns -ln p of each label, float32 [samples, length], on every rank of a share.

        Labels without weight have 0. Dropout is off.

        Args:
          batch: this data rank's share of the samples, of any number and length, the same for all
            ranks of a share; with `layout.sequence_parallel` the length is a multiple of tp.
        """
        batch, labels = self._on_device(batch)
        with self._evaluating(), vocabulary_parallel(self.layout.tp):
            if self._pipeline is None:
                logits = self.parts[0](batch.ids, batch.positions, batch.documents)
                return token_losses(logits, labels)
            losses = self._pipeline.token_losses(batch, labels)
        assert self.mesh is not None
        # Only the last stage knows them, the others have zeros.
        dist.all_reduce(losses, group=self.mesh["pp"].get_group())
        return losses

    def state(self) -> dict[str, Tensor]:
        """Returns every tensor that training goes on from; changing them changes training.

        `model.<parameter>`, and for each `optimizer.<parameter>.` the moments `exp_avg` and
        `exp_avg_sq` and the number of updates `step`, which are created where the optimizer has
        not made a step yet. Names are the same in every layout. After changing them, call
        `restored`.
        """
        tensors: dict[str, Tensor] = {}
        for name, parameter in self.parameters.items():
            tensors[f"model.{name}"] = parameter.detach()
            for kind, tensor in self._moments(parameter).items():
                tensors[f"optimizer.{name}.{kind}"] = tensor
        return tensors

    @torch.no_grad()
    def restored(self) -> None:
        """Must be called after the tensors of `state` were overwritten."""
        first, last = self._first_table, self._last_table
        if first is None or last is None or first is last:
            return
        # Both stages on one rank: `state` has one of the tables.
        local_part(last).copy_(local_part(first))
        of_last = self._moments(last)
        for kind, tensor in self._moments(first).items():
            local_part(of_last[kind]).copy_(local_part(tensor))

    def _moments(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        state = self.optimizer.state[parameter]
        if not state:
            state["step"] = torch.zeros((), device=self.device)
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        return state

    def _backward(self, batch: Batch, labels: Tensor, all_labels: Tensor) -> Tensor:
        """Adds the gradients of a batch without a pipeline; returns its share of the loss."""
        [part] = self.parts
        size = len(labels) // self.layout.micro_batches
        loss = torch.zeros((), device=self.device)
        for first in range(0, len(labels), size):
            is_last = first + size >= len(labels)
            if isinstance(part, FSDPModule):
                # Sharded weights (ZeRO-3) have no room for a whole gradient: it is reduced at
                # once. Otherwise it is added up on each rank and reduced once a step.
                reduces = is_last or self.layout.reshard_after_forward
                part.set_is_last_backward(is_last)
                part.set_requires_gradient_sync(reduces)
                part.set_reshard_after_backward(reduces)
            micro = batch.part(first, size, self.device)
            logits = part(micro.ids, micro.positions, micro.documents)
            micro_loss = summed_loss(logits, labels[first : first + size]) / all_labels
            del logits
            micro_loss.backward()
            loss += whole(micro_loss.detach())
        return loss

    def _add_gradients_of_the_table(self) -> None:
        """Gives both copies of the word embedding the sum of their gradients."""
        first, last = self._first_table, self._last_table
        if self.mesh is None or first is last:
            return
        if first is not None and last is not None:
            assert first.grad is not None
            assert last.grad is not None
            local_part(first.grad).add_(local_part(last.grad))
            local_part(last.grad).copy_(local_part(first.grad))
            return
        group = self.mesh["pp"].get_group()
        other_end = self.layout.pp - 1 if first is not None else 0
        table = first if first is not None else last
        assert table is not None
        assert table.grad is not None
        exchange_and_add(table.grad, dist.get_global_rank(group, other_end), group)

    def _counted_parameters(self) -> Iterator[nn.Parameter]:
        """Yields the parameters of this rank, without the last stage's copy of the table."""
        first, last = self._first_table, self._last_table
        for parameter in self._all_parameters:
            if parameter is not last or last is first:
                yield parameter

    def _on_device(self, batch: Batch) -> tuple[Batch, Tensor]:
        batch = batch.part(0, len(batch.ids), self.device)
        return batch, learned_labels(batch)

    def _sum_over_data_ranks(self, sums: Tensor) -> Tensor:
        for name in ("dp_replicate", "dp_shard"):
            if self.mesh is not None and self.mesh[name].size() > 1:
                sums = sums.clone()
                dist.all_reduce(sums, group=self.mesh[name].get_group())
        return sums

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        for part in self.parts:
            part.eval()
        try:
            yield
        finally:
            for part in self.parts:
                part.train()
                for module in part.modules():
                    # Without a backward pass gathered weights would stay, and hide new ones.
                    if isinstance(module, FSDPModule):
                        module.reshard()
