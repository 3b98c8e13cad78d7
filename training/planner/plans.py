"""Chooses a layout: enumerates them all, costs each, ranks those that fit (PanGu-α §4.1).

As in the paper the choice knows the machine: slices of matrices stay inside a server, and stages
and copies are laid over the farther links in the order that costs less. What is enumerated is what
the trainer passes its parity tests in.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from pangu_settings import UserError
from training.config import DataSettings, ModelSettings, OptimisationSettings, TrainingSettings
from training.layout import Layout
from training.planner.memory import Memory, estimate_memory
from training.planner.step_time import Cluster, StepTime, estimate_time, operations_per_token

SAMPLES = (1, 2, 4, 8, 16, 32)
"""Samples of a micro-batch that are tried."""
INTERLEAVES = (1, 2, 4)
VOCABULARY_ALIGNMENT = 8
"""Rows of the table on each rank are a multiple of this: products of matrices want it so."""

# What each part of a step's time is called where it is the reason why a layout loses.
REASONS = {
    "products": "an uneven cut: the fullest stage computes longer",
    "recomputation": "computes blocks again",
    "tensor": "exchanges among tp ranks",
    "pipeline": "sends more between stages",
    "bubble": "waits for the pipeline to fill",
    "data": "waits for gradients and weights",
    "optimizer": "each rank updates more weights",
}


@dataclass(frozen=True)
class Plan:
    """A layout and what it is expected to cost."""

    settings: TrainingSettings
    inner: str
    """Which ranks are neighbours after those of a tensor slice: "dp" or "pp"."""
    memory: Memory
    """Of the fullest rank."""
    position: int
    """Its place in the pipeline."""
    time: StepTime
    fits: bool

    @property
    def layout(self) -> Layout:
        return self.settings.layout

    @property
    def tokens_per_second(self) -> float:
        """Of each device."""
        tokens = self.settings.optimisation.batch * self.settings.sequence_length
        return tokens / self.time.total / self.layout.ranks

    def utilisation(self, cluster: Cluster) -> float:
        """Returns the share of the devices' peak that the model's operations make up (MFU)."""
        rate = self.tokens_per_second * operations_per_token(self.settings)
        return rate / cluster.device.peak


def settings_of(model: ModelSettings, batch: int) -> TrainingSettings:
    """Returns settings to plan a model with that has no configuration yet."""
    return TrainingSettings(
        model=model,
        data=DataSettings(shards="shards", tokenizer="tokenizer.model"),
        optimisation=OptimisationSettings(steps=1, batch=batch, precision="bfloat16"),
    )


def make_plans(settings: TrainingSettings, cluster: Cluster) -> list[Plan]:
    """Returns the best plan for each (pp, data parallel, tp), fitting and fast ones first.

    Args:
      settings: of the run; of its layout, only `compile` and `attention` count.
      cluster: where it is to run.

    Raises:
      UserError: no layout is possible with these numbers at all.
    """
    best: dict[tuple[int, int, int], Plan] = {}
    for layout in layouts(settings, cluster):
        laid_out = settings.model_copy(update={"layout": layout})
        for inner in ("dp", "pp") if _placement_matters(layout, cluster) else ("dp",):
            plan = _cost(laid_out, cluster, inner)
            degrees = (layout.pp, layout.data_parallel, layout.tp)
            if degrees not in best or _preference(plan) < _preference(best[degrees]):
                best[degrees] = plan
    if not best:
        raise UserError(
            f"no layout of {cluster.devices} devices divides {settings.model.layers} layers, "
            f"{settings.model.heads} heads and a batch of {settings.optimisation.batch} samples; "
            "choose a batch that is a multiple of the number of devices, or other devices"
        )
    return sorted(best.values(), key=_preference)


def layouts(settings: TrainingSettings, cluster: Cluster) -> Iterator[Layout]:
    """Yields every layout that uses all devices and that the model and the batch allow."""
    model, batch = settings.model, settings.optimisation.batch
    server = cluster.links[0].devices
    for tp in _divisors(cluster.devices):
        if tp > server or model.heads % tp or settings.sequence_length % tp:
            continue
        if tp > 1 and model.vocabulary % (tp * VOCABULARY_ALIGNMENT):
            continue
        for pp in _divisors(cluster.devices // tp):
            data_ranks = cluster.devices // tp // pp
            if pp > model.layers or batch % data_ranks:
                continue
            for samples, interleave, rematerialise in itertools.product(
                SAMPLES, INTERLEAVES if pp > 1 else (1,), ("off", "operation", "block")
            ):
                micro_batches, rest = divmod(batch // data_ranks, samples)
                if rest or pp * interleave > model.layers or micro_batches < pp:
                    continue
                if interleave > 1 and micro_batches % pp:
                    continue
                for dp_shard in _divisors(data_ranks):
                    # Gathering weights for every pass pays only without a pipeline.
                    for reshards in (False, True) if pp == 1 and dp_shard > 1 else (False,):
                        yield Layout(
                            pp=pp,
                            dp_replicate=data_ranks // dp_shard,
                            dp_shard=dp_shard,
                            tp=tp,
                            schedule="1F1B" if interleave == 1 else "Interleaved1F1B",
                            interleave=interleave,
                            micro_batches=micro_batches,
                            reshard_after_forward=reshards,
                            rematerialise=rematerialise,
                            # What does not depend on the machine stays as it was set.
                            compile=settings.layout.compile,
                            attention=settings.layout.attention,
                        )


def why_it_loses(plan: Plan, best: Plan, cluster: Cluster) -> str:
    """Returns in a few words why a plan is not the one that is chosen."""
    if not plan.fits:
        parts = vars(plan.memory)
        largest = max(parts, key=lambda name: parts[name])
        usable = cluster.device.memory * cluster.usable
        return (
            f"needs {plan.memory.total / 2**30:.0f} GiB of {usable / 2**30:.0f}, "
            f"{parts[largest] / 2**30:.0f} of them {largest}"
        )
    theirs, ours = vars(plan.time), vars(best.time)
    reason = max(theirs, key=lambda name: theirs[name] - ours[name])
    more = (theirs[reason] - ours[reason]) / best.time.total
    return f"{REASONS[reason]} (+{100 * more:.0f} %)"


def _cost(settings: TrainingSettings, cluster: Cluster, inner: str) -> Plan:
    layout = settings.layout
    # Ranks in the middle need no more than the second one, which runs furthest ahead of them.
    positions = sorted({0, min(1, layout.pp - 1), layout.pp - 1})
    memories = {position: estimate_memory(settings, position) for position in positions}
    position = max(positions, key=lambda position: memories[position].total)
    memory = memories[position]
    return Plan(
        settings=settings,
        inner=inner,
        memory=memory,
        position=position,
        time=estimate_time(settings, cluster, inner),
        fits=memory.total <= cluster.device.memory * cluster.usable,
    )


def _preference(plan: Plan) -> tuple[object, ...]:
    """Orders plans: fitting before others, then by time, or by memory where none fits.

    Ties, which a fraction of a percent counts as, go to the simpler layout: fewer ranks that must
    wait for each other, fewer stages, nothing computed or gathered again, larger micro-batches.
    """
    layout = plan.layout
    cost = plan.time.total if plan.fits else plan.memory.total
    again = (layout.rematerialise != "off", layout.reshard_after_forward)
    simple = (layout.tp, layout.pp, layout.interleave, *again, layout.micro_batches)
    return (not plan.fits, float(f"{cost:.3g}"), *simple, plan.memory.total, plan.inner)


def _placement_matters(layout: Layout, cluster: Cluster) -> bool:
    return layout.pp > 1 and layout.data_parallel > 1 and len(cluster.links) > 2


def _divisors(number: int) -> list[int]:
    return [n for n in range(1, number + 1) if number % n == 0]
