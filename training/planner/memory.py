"""How much memory each rank of a layout needs, estimated before anything runs.

The factors are those of this trainer's own code: what autograd keeps of a block, what FSDP gathers,
what a loss over the vocabulary takes. `training.planner.simulation` measures the same on fake
tensors, and a test holds both within 10 % of each other. Allocator and communication buffers of a
GPU come on top (see `Cluster.reserve`). Nothing here needs torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from training.config import TrainingSettings
from training.layout import Layout

MASTER_AND_MOMENTS = 12
"""Bytes of a parameter's float32 weight and AdamW's two float32 moments."""
GRADIENT = 4
"""Bytes of a gradient: summed in float32 in every precision."""


@dataclass(frozen=True)
class Memory:
    """What one rank needs at its fullest, in bytes."""

    state: float
    """Weights and moments."""
    gathered: float
    """Weights gathered from the ranks that share them, in the type of matrix products."""
    gradients: float
    activations: float
    """What the micro-batches in flight keep for their backward passes."""
    working: float
    """What the block or the head in progress takes besides."""

    @property
    def total(self) -> float:
        return self.state + self.gathered + self.gradients + self.activations + self.working


def in_flight(layout: Layout, position: int) -> int:
    """Returns the most micro-batches, one in each of a rank's stages counted, that wait at once.

    1F1B: a rank runs ahead by the ranks after it. Interleaved 1F1B (Narayanan et al. 2021, §2.2):
    by twice as many, and by a round of all ranks for every further stage of its own.

    Args:
      layout: degrees and schedule.
      position: pipeline rank.
    """
    if layout.pp == 1:
        return 1
    everything = layout.micro_batches * layout.interleave
    after = layout.pp - 1 - position
    if layout.schedule == "1F1B":
        return min(everything, after + 1)
    if layout.schedule == "Interleaved1F1B":
        return min(everything, 2 * after + (layout.interleave - 1) * layout.pp + 1)
    # GPipe has all; the others stay below it.
    return everything


def samples_per_micro_batch(settings: TrainingSettings) -> int:
    """Returns the samples of one forward pass."""
    layout = settings.layout
    return settings.optimisation.batch // (layout.data_parallel * layout.micro_batches)


def parameters_of_stages(settings: TrainingSettings, position: int) -> int:
    """Returns the parameters of the stages on a pipeline rank, before they are sliced or shared."""
    model, layout = settings.model, settings.layout
    stages = layout.stage_layers(model.layers)
    own = layout.stages_of(position)
    count = sum(len(stages[stage]) for stage in own) * block_parameters(settings)
    tables = (model.vocabulary + model.sequence_length) * model.hidden
    count += tables * (0 in own)
    # The last stage has a copy of the word embedding; with one stage it is the same one.
    if layout.stages - 1 in own:
        count += model.sequence_length * model.hidden if layout.stages == 1 else tables
    return count


def block_parameters(settings: TrainingSettings) -> int:
    """Returns the parameters of one layer."""
    hidden = settings.model.hidden
    return 12 * hidden * hidden + 13 * hidden


def estimate_memory(settings: TrainingSettings, position: int) -> Memory:
    """Returns what a rank at this pipeline position needs.

    Args:
      settings: of the run.
      position: pipeline rank; ranks that differ in their other positions need the same.
    """
    layout = settings.layout
    width = 2 if settings.optimisation.precision == "bfloat16" else 4
    is_sharded = layout.data_parallel > 1
    own = parameters_of_stages(settings, position) / layout.tp
    block = block_parameters(settings) / layout.tp
    shared = own / layout.dp_shard
    accumulates = layout.micro_batches > 1

    gathered = 0.0
    if is_sharded:
        # ZeRO-3 holds the block in use and the one fetched ahead, and the tables.
        layers = own // block
        held = own - max(layers - 2, 0) * block if layout.reshard_after_forward else own
        gathered = width * held
    # Sharded gradients are reduced block by block, unless they are summed over micro-batches.
    sums_whole = not is_sharded or (
        accumulates and not (layout.reshard_after_forward and layout.pp == 1)
    )
    gradients = GRADIENT * (own if sums_whole else shared + block)
    per_block = kept_by_block(settings, layout.rematerialise)
    backward = width * block
    if layout.rematerialise != "off":
        backward += kept_by_block(settings, "off")
    working = [backward]
    if not is_sharded and width == 2:
        # autocast narrows the weights anew for every micro-batch; autograd keeps them, or, where
        # it does not, they live until the forward pass is through.
        if layout.rematerialise == "off":
            per_block += width * block
        else:
            working.append(width * own)
    own_stages = layout.stages_of(position)
    if 0 in own_stages and layout.tp > 1:
        # The gradient of a table whose rows are shared comes as the whole table on each rank.
        table = settings.model.vocabulary * settings.model.hidden
        gradients += GRADIENT * table * (1 - 1 / layout.tp)
        working.append(width * table)
    if layout.stages - 1 in own_stages:
        working.append(head_memory(settings))
    stages = layout.stage_layers(settings.model.layers)
    layers = max(len(stages[stage]) for stage in own_stages)
    activations = in_flight(layout, position) * layers * per_block
    state = MASTER_AND_MOMENTS * shared
    if accumulates:
        return Memory(state, gathered, gradients, activations, max(working))
    # With one micro-batch, activations die as gradients come: they are never both whole.
    if activations + max(working) > gradients + backward:
        return Memory(state, gathered, 0.0, activations, max(working))
    return Memory(state, gathered, gradients, 0.0, backward)


def kept_by_block(settings: TrainingSettings, rematerialise: str) -> float:
    """Returns the bytes that one block keeps of one micro-batch for its backward pass.

    In units of samples × length × hidden numbers: the states that go into the block (1); all but
    that for a block that is not computed again: query, key, value and what attention saw (4), both
    sides of the GELU (8), the normalised states (2, whole on each tensor-parallel rank, since the
    matrices need them whole) and the residual between (1). `operation` keeps what matrix products
    and attention gave (10), of which the two sums over ranks are whole on each of them.
    """
    layout, model = settings.layout, settings.model
    width = 2 if settings.optimisation.precision == "bfloat16" else 4
    samples, length = samples_per_micro_batch(settings), settings.sequence_length
    unit = width * samples * length * model.hidden
    log_sums = 4 * samples * length * model.heads / layout.tp
    # Without sequence parallelism, states outside the matrices are whole on each rank.
    outside = layout.tp if layout.sequence_parallel else 1
    match rematerialise:
        case "block":
            return unit / outside
        case "operation":
            sums = 2 * unit if layout.tp > 1 else 0.0
            return unit * (8 / layout.tp + 3 / outside) + sums + log_sums
        case _:
            # The kernel's own form of the document mask: a number for each pair of positions.
            mask = width * samples * length * length * (layout.attention == "dense")
            return unit * (12 / layout.tp + 2 / outside + 2) + mask + log_sums


def head_memory(settings: TrainingSettings) -> float:
    """Returns the bytes of logits and loss: probabilities, their gradient and the one before it.

    Ranks that share the vocabulary need one more copy, and the hidden states whole.
    """
    layout = settings.layout
    samples, length = samples_per_micro_batch(settings), settings.sequence_length
    logits = 4 * samples * length * settings.model.vocabulary / layout.tp
    hidden = 2 * samples * length * settings.model.hidden
    return 3 * logits + hidden if layout.tp == 1 else 4 * logits + 2 * hidden
