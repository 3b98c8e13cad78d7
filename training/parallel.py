"""Lays a model out over devices, from outside: the model's own code stays as it is.

A part of the model goes through these steps, in this order, of which each needs those before it:

    its layers, without memory → slices of matrices (tp) → rematerialisation → compilation →
    number type → shards (dp) → memory → initial weights

Every rank draws every parameter it has a piece of in full, from a generator seeded by the
parameter's name, and keeps its piece: all layouts start from the same weights, bit for bit,
without communication.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_module, distribute_tensor
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    ParallelStyle,
    PrepareModuleInput,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
)

from training.attention import flex_document_mask
from training.config import TrainingSettings
from training.layout import Layout
from training.model import PanGu, initial_values

MESH_DIMENSIONS = ("pp", "dp_replicate", "dp_shard", "tp")

# What `rematerialise: operation` keeps: products of matrices, attention under the names of its
# several kernels, and what a tensor-parallel rank has received from the others.
_KEPT_OPERATIONS = ("aten.mm", "aten.addmm", "attention", "reduce_scatter", "all_reduce")


def build_mesh(layout: Layout, device: torch.device) -> DeviceMesh:
    """Returns the mesh of all processes; neighbours on it are neighbours in `tp` first."""
    shape = (layout.pp, layout.dp_replicate, layout.dp_shard, layout.tp)
    return init_device_mesh(device.type, shape, mesh_dim_names=MESH_DIMENSIONS)


def build_part(
    settings: TrainingSettings, layers: range, mesh: DeviceMesh | None, device: torch.device
) -> PanGu:
    """Returns a part of the model, laid out, with its initial weights in float32.

    Args:
      settings: of the run.
      layers: numbers of the layers of this part.
      mesh: of all processes; None where there is only this one.
      device: of this process. With "meta" the part is laid out on the mesh, without memory and
        without weights.
    """
    layout = settings.layout
    with torch.device("meta"):
        part = PanGu(settings.model, layers)
    if layout.attention == "flex":
        part.document_mask = flex_document_mask
    if mesh is not None and layout.tp > 1:
        slice_matrices(part, mesh["tp"], layout.sequence_parallel)
    # torch 2.13 does not compile the two shared inputs of the query layer, except for a block that
    # is sharded as well.
    leaves_query_layer = layout.tp > 1 and layout.data_parallel == 1
    for name, block in part.layers.items():
        rematerialise(block, layout.rematerialise, settings.model.dropout > 0)
        is_query_layer = name == str(settings.model.layers - 1)
        if layout.compile and not (is_query_layer and leaves_query_layer):
            block.compile(fullgraph=True)
    is_bfloat16 = settings.optimisation.precision == "bfloat16"
    if is_bfloat16:
        computes_on = device.type if mesh is None else mesh.device_type
        part.forward = torch.autocast(computes_on, torch.bfloat16)(part.forward)  # type: ignore[method-assign]
    if mesh is not None and layout.data_parallel > 1:
        shard(part, mesh, layout, is_bfloat16)
    if device.type != "meta":
        part.to_empty(device=device)
        initialise(part)
    return part


def slice_matrices(part: PanGu, mesh: DeviceMesh, sequence_parallel: bool) -> None:
    """Shares the matrices and tables of a part among tensor-parallel ranks (PanGu-α Fig. 6-7).

    The first matrix of attention and of the feed-forward layer is cut by columns, the second by
    rows, tables by rows. Every parameter ends up on the same mesh, LayerNorms as copies.

    Args:
      part: without memory.
      mesh: one dimension, the tensor-parallel ranks.
      sequence_parallel: whether states are shared along the sequence between those matrices.
    """
    outside = Shard(1) if sequence_parallel else Replicate()
    inside = Replicate()
    norm = SequenceParallel(use_local_output=True) if sequence_parallel else _CopiedNorm()
    for name, block in part.layers.items():
        is_query_layer = name == str(part.settings.layers - 1)
        attention_input = PrepareModuleInput(
            input_layouts=(outside, None, None),
            desired_input_layouts=(inside, None, None),
            input_kwarg_layouts={"asking": outside} if is_query_layer else None,
            desired_input_kwarg_layouts={"asking": inside} if is_query_layer else None,
        )
        plan: dict[str, ParallelStyle] = {
            "attention_norm": norm,
            "attention": attention_input,
            "attention.query": ColwiseParallel(),
            "attention.key": ColwiseParallel(),
            "attention.value": ColwiseParallel(),
            "attention.output": RowwiseParallel(output_layouts=outside),
            "feed_forward_norm": norm,
            "feed_forward": PrepareModuleInput(input_layouts=outside, desired_input_layouts=inside),
            "feed_forward.expand": ColwiseParallel(),
            "feed_forward.contract": RowwiseParallel(output_layouts=outside),
        }
        parallelize_module(block, mesh, plan)
    table = RowwiseParallel(input_layouts=Replicate(), output_layouts=outside)
    around: dict[str, ParallelStyle] = {
        "word_embedding": table,
        "position_embedding": table,
        "query_embedding": table,
        "final_norm": norm,
        "head": PrepareModuleInput(
            input_layouts=(outside, None), desired_input_layouts=(inside, None)
        ),
    }
    present = dict(part.named_children())
    parallelize_module(part, mesh, {name: around[name] for name in around if name in present})


class _CopiedNorm(ParallelStyle):
    """A LayerNorm that every rank computes in full: its weights are on the mesh all the same."""

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        def spread(_: nn.Module, inputs: tuple[Tensor, ...], mesh: DeviceMesh) -> Any:
            return DTensor.from_local(inputs[0], mesh, [Replicate()], run_check=False)

        def collect(_: nn.Module, output: DTensor, mesh: DeviceMesh) -> Any:
            return output.to_local()

        return distribute_module(module, device_mesh, None, spread, collect)


def rematerialise(block: nn.Module, what: str, draws_random_numbers: bool) -> None:
    """Makes a block forget values of its forward pass and compute them again when needed.

    Args:
      block: its forward function is replaced; names of parameters stay.
      what: "off", "block" or "operation", as in `Layout.rematerialise`.
      draws_random_numbers: whether the second pass has to draw the same ones (dropout).
    """
    if what == "off":
        return
    recomputing: dict[str, Any] = {
        "use_reentrant": False,
        "preserve_rng_state": draws_random_numbers,
    }
    if what == "operation":
        contexts = partial(create_selective_checkpoint_contexts, _keep_or_recompute)
        recomputing["context_fn"] = contexts
    once = block.forward

    # A function of this file and not a partial object: only such a one can be compiled.
    def forward(*args: Any, **kwargs: Any) -> Tensor:
        return checkpoint(once, *args, **recomputing, **kwargs)

    block.forward = forward


def _keep_or_recompute(
    context: object, operation: object, *args: object, **kwargs: object
) -> CheckpointPolicy:
    name = str(operation)
    if any(kept in name for kept in _KEPT_OPERATIONS):
        return CheckpointPolicy.MUST_SAVE
    return CheckpointPolicy.PREFER_RECOMPUTE


def shard(part: PanGu, mesh: DeviceMesh, layout: Layout, is_bfloat16: bool) -> None:
    """Shares weights, gradients and moments of a part among data-parallel ranks, block by block.

    Gradients are summed, not averaged: the loss is divided by the labels of all ranks already.
    """
    sharers = mesh["dp_replicate", "dp_shard"] if layout.dp_replicate > 1 else mesh["dp_shard"]
    policy = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16 if is_bfloat16 else None, reduce_dtype=torch.float32
    )
    for block in part.layers.values():
        fully_shard(
            block,
            mesh=sharers,
            mp_policy=policy,
            reshard_after_forward=layout.reshard_after_forward,
        )
    # The tables: the head needs them again as soon as the forward pass is through.
    fully_shard(part, mesh=sharers, mp_policy=policy, reshard_after_forward=False)
    for module in part.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)
            # gloo has no other way to sum, and with a factor of 1 there is no other meaning.
            module.set_force_sum_reduction_for_comms(True)


@torch.no_grad()
def initialise(part: PanGu) -> None:
    """Fills a part with its initial weights, the same ones in every layout."""
    for name, parameter in part.named_parameters():
        values = initial_values(name, parameter.shape, part.settings)
        if isinstance(parameter, DTensor):
            values = distribute_tensor(
                values.to(parameter.device),
                parameter.device_mesh,
                parameter.placements,
                # Each rank has drawn the values; none needs to send them.
                src_data_rank=None,
            )
        parameter.copy_(values)
