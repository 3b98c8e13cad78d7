"""How a model is laid out over devices and how one step is executed; never what it computes.

    ranks = pp · dp_replicate · dp_shard · tp

is PanGu-α §4.1 in the terms of the field: pipeline stages (`pp`), data parallel copies
(`dp_replicate`), copies that share the optimizer's state and more among them (`dp_shard`,
"optimizer parallel"), slices of every matrix (`tp`, "op-level model parallel"), and
rematerialisation. Ranks are numbered with `tp` fastest and `pp` slowest, so that tensor slices
are neighbours inside a server.

This module needs no torch, so a layout can be chosen and checked where nothing is trained.
"""

from __future__ import annotations

import itertools
from typing import Literal

from pydantic import PositiveInt, model_validator

from pangu_settings import Settings

ScheduleName = Literal[
    "1F1B",
    "GPipe",
    "Interleaved1F1B",
    "InterleavedZeroBubble",
    "ZBVZeroBubble",
    "DualPipeV",
]

# Schedules with one stage on each pipeline rank; the others have several.
SINGLE_STAGE = ("1F1B", "GPipe")
# Stages run down the ranks and back up again, so that the first rank has the first and the last.
V_SHAPED = ("ZBVZeroBubble", "DualPipeV")
# The gradients of states and of weights are computed apart, to fill the pipeline's bubbles.
SPLITS_BACKWARD = ("InterleavedZeroBubble", "ZBVZeroBubble", "DualPipeV")
# These start a backward pass before all forward passes are through, and fill the pipe to do so.
_FILLS_THE_PIPE = ("1F1B", "ZBVZeroBubble", "DualPipeV")
_ROUNDS = ("Interleaved1F1B", "InterleavedZeroBubble")


class Layout(Settings):
    """Degrees of the five kinds of parallelism, and how each rank works through a step."""

    pp: PositiveInt = 1
    """Pipeline ranks: the layers are cut into consecutive stages."""
    dp_replicate: PositiveInt = 1
    """Copies of the sharded state; gradients are summed over them once a step."""
    dp_shard: PositiveInt = 1
    """Ranks that share one copy of weights, gradients and moments, each with other samples."""
    tp: PositiveInt = 1
    """Ranks that share every matrix; they see the same samples."""
    schedule: ScheduleName = "1F1B"
    """Order of forward and backward passes in the pipeline; without effect where pp is 1."""
    interleave: PositiveInt = 1
    """Stages on each pipeline rank: 1 for 1F1B and GPipe, 2 or more for the others."""
    micro_batches: PositiveInt = 1
    """Forward and backward passes of a step: parts that a data-parallel rank's samples are cut
    into."""
    sequence_parallel: bool = True
    """Whether tp ranks share the sequence too where they do not share the matrices (LayerNorms,
    residuals); it costs no communication."""
    reshard_after_forward: bool = False
    """Whether gathered weights are dropped after a forward pass and gathered again for the
    backward pass (ZeRO-3): less memory, more communication."""
    rematerialise: Literal["off", "block", "operation"] = "off"
    """What is computed again in the backward pass: nothing; all but the inputs of blocks; all
    but products of matrices and attention."""
    compile: bool = False
    """Whether each block is compiled by torch.compile."""
    attention: Literal["dense", "flex"] = "dense"
    """Kernel of attention: any device, with a mask of length × length; or blocks of documents
    on a GPU."""

    @property
    def ranks(self) -> int:
        """Number of processes, one for each device."""
        return self.pp * self.dp_replicate * self.dp_shard * self.tp

    @property
    def data_parallel(self) -> int:
        """Number of ranks that see different samples."""
        return self.dp_replicate * self.dp_shard

    @property
    def stages(self) -> int:
        """Number of pipeline stages."""
        return self.pp * self.interleave

    def stages_of(self, pipeline_rank: int) -> list[int]:
        """Returns the numbers of the stages on one pipeline rank, in ascending order."""
        if self.schedule in V_SHAPED and self.pp > 1:
            return [pipeline_rank, self.stages - 1 - pipeline_rank]
        return list(range(pipeline_rank, self.stages, self.pp))

    def stage_layers(self, layers: int) -> list[range]:
        """Returns the layer numbers of each stage; the query layer is the last of them.

        Stages differ by one layer at most. Where they differ, those in the middle have more,
        because the first stage also has the embeddings and the last also the head.

        Raises:
          ValueError: there are fewer layers than stages.
        """
        if layers < self.stages:
            raise ValueError(
                f"{layers} layers cannot be cut into {self.stages} pipeline stages "
                f"(layout.pp {self.pp} × layout.interleave {self.interleave}); lower one of them"
            )
        base, more = divmod(layers, self.stages)
        inside_first = [*range(1, self.stages - 1), 0, self.stages - 1]
        larger = set(inside_first[:more])
        bounds = [0]
        for stage in range(self.stages):
            bounds.append(bounds[-1] + base + (stage in larger))
        return [range(*ends) for ends in itertools.pairwise(bounds)]

    @model_validator(mode="after")
    def _schedule_fits(self) -> Layout:
        if self.pp == 1:
            if self.interleave > 1:
                raise ValueError(f"interleave ({self.interleave}) has no meaning where pp is 1")
            return self
        name, count = self.schedule, self.micro_batches
        if name in SINGLE_STAGE and self.interleave != 1:
            raise ValueError(f"schedule {name} needs interleave: 1, not {self.interleave}")
        if name in V_SHAPED and self.interleave != 2:
            raise ValueError(f"schedule {name} needs interleave: 2, not {self.interleave}")
        if name not in SINGLE_STAGE and self.interleave < 2:
            raise ValueError(f"schedule {name} needs interleave: 2 or more")
        if name in _FILLS_THE_PIPE and count < self.stages:
            raise ValueError(
                f"micro_batches ({count}) must be at least the number of pipeline stages "
                f"({self.stages}) for schedule {name}"
            )
        if name in _ROUNDS and count % max(1, count // self.pp):
            raise ValueError(
                f"micro_batches ({count}) must be a multiple of pp ({self.pp}) for schedule {name}"
            )
        # Both are refused because of torch 2.13: weights that were dropped before the second
        # half of a backward pass give wrong gradients without a word, or the ranks wait forever.
        if name in SPLITS_BACKWARD and self.reshard_after_forward:
            raise ValueError(
                f"schedule {name} splits the backward pass, which reshard_after_forward breaks; "
                "set it to false, or take 1F1B, GPipe or Interleaved1F1B"
            )
        if name in SPLITS_BACKWARD and self.rematerialise == "operation":
            raise ValueError(
                f"schedule {name} splits the backward pass, which rematerialise: operation cannot "
                "do twice; take block, or 1F1B, GPipe or Interleaved1F1B"
            )
        return self

    def check(self, *, layers: int, heads: int, sequence_length: int, batch: int) -> None:
        """Checks that a model and a batch can be laid out like this.

        Args:
          layers: transformer layers, the query layer included.
          heads: attention heads.
          sequence_length: input ids of a sample.
          batch: samples of one update, over all ranks.

        Raises:
          ValueError: names the two numbers that do not fit.
        """
        self.stage_layers(layers)
        if heads % self.tp:
            raise ValueError(f"model.heads ({heads}) must be a multiple of layout.tp ({self.tp})")
        if self.sequence_parallel and sequence_length % self.tp:
            raise ValueError(
                f"the sequence length ({sequence_length}) must be a multiple of layout.tp "
                f"({self.tp}) for layout.sequence_parallel"
            )
        parts = self.data_parallel * self.micro_batches
        if batch % parts:
            raise ValueError(
                f"optimisation.batch ({batch}) must be a multiple of dp_replicate × dp_shard × "
                f"micro_batches of the layout ({parts})"
            )
