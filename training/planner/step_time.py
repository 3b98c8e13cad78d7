"""How long one step takes in a layout on given devices and links, estimated part by part.

Times are sums of amounts over rates: floating-point operations over what a device achieves of its
peak, bytes over the bandwidth of the link they cross. They serve to compare layouts; what a machine
really does is told by the training log.
"""

from __future__ import annotations

from dataclasses import dataclass

from pangu_settings import UserError
from training.config import TrainingSettings
from training.layout import Layout
from training.planner.memory import (
    GRADIENT,
    MASTER_AND_MOMENTS,
    parameters_of_stages,
    samples_per_micro_batch,
)

GIB = 2**30


@dataclass(frozen=True)
class Device:
    """One accelerator, by its data sheet."""

    memory: float
    """Bytes."""
    peak: float
    """Floating-point operations per second of bfloat16 or float16 products, dense."""
    bandwidth: float
    """Bytes per second to and from its memory."""
    links: str
    """Links of a usual machine with it, as `parse_links` reads them; `*` is all devices."""


DEVICES = {
    "a100": Device(80 * GIB, 312e12, 2.0e12, "8@300,*@25"),
    "h100": Device(80 * GIB, 989e12, 3.35e12, "8@450,*@50"),
    "h200": Device(140 * GIB, 989e12, 4.8e12, "8@450,*@50"),
    # PanGu-α's machine (§4): its memory is in the paper, the rest on the data sheet.
    "ascend910": Device(32 * GIB, 256e12, 1.2e12, "8@30,*@12.5"),
}


@dataclass(frozen=True)
class Link:
    """The fastest connection within a group of devices."""

    devices: int
    bandwidth: float
    """Bytes per second, for each device and direction."""


@dataclass(frozen=True)
class Cluster:
    """Devices of one kind and what joins them, the closest first."""

    devices: int
    device: Device
    links: tuple[Link, ...]
    efficiency: float = 0.55
    """Share of the peak that products of matrices achieve."""
    usable: float = 0.92
    """Share of the memory for tensors; the rest is the allocator's and the network library's."""

    def bandwidth(self, span: int) -> float:
        """Returns the bandwidth among devices that lie within `span` neighbours."""
        return next(link.bandwidth for link in self.links if link.devices >= span)


def parse_links(text: str, devices: int) -> tuple[Link, ...]:
    """Returns links from `8@450,64@100,*@50`: 8 devices at 450 GB/s, 64 at 100, all at 50.

    Raises:
      UserError: it is not of that form, or the links do not grow to all devices.
    """
    form = "write devices@GB/s, closest first, such as 8@450,*@50 (* is all devices)"
    links: list[Link] = []
    for part in text.split(","):
        count, at, rate = part.strip().partition("@")
        try:
            link = Link(devices if count == "*" else int(count), float(rate) * 1e9)
        except ValueError:
            raise UserError(f"links: '{part}' cannot be read; {form}") from None
        if not at or link.devices < 1 or link.bandwidth <= 0:
            raise UserError(f"links: '{part}' cannot be read; {form}")
        if links and (link.devices <= links[-1].devices) and count != "*":
            raise UserError(f"links: '{text}' must name ever more devices; {form}")
        links.append(link)
    if links[-1].devices < devices:
        raise UserError(
            f"links: the last one joins {links[-1].devices} devices, there are {devices}; {form}"
        )
    return tuple(links)


@dataclass(frozen=True)
class StepTime:
    """Seconds of one step on the rank that takes longest, by what they are spent on."""

    products: float
    """Forward and backward passes of the model."""
    recomputation: float
    tensor: float
    """Exchanges among ranks that share matrices; the passes wait for them."""
    pipeline: float
    """Hidden states from stage to stage."""
    bubble: float
    """Waiting while the pipeline fills and drains."""
    data: float
    """Gathering weights and reducing gradients, as far as no computation hides it."""
    optimizer: float

    @property
    def total(self) -> float:
        return sum(vars(self).values())


def operations_per_token(settings: TrainingSettings) -> float:
    """Returns the floating-point operations that training needs for one token (PaLM, App. B).

    6 for each number of a matrix, the head included and embeddings not, and attention over the
    whole sequence although half of it is masked. Recomputation does not count.
    """
    model, length = settings.model, settings.sequence_length
    matrices = 12 * model.layers * model.hidden**2 + model.vocabulary * model.hidden
    return 6 * matrices + 12 * model.layers * model.hidden * length


@dataclass(frozen=True)
class Exchange:
    """What a rank exchanges with the others of a group in one step."""

    amount: float
    """Bytes that it sends."""
    span: int
    """Number of neighbouring devices that the group lies within."""

    def seconds(self, cluster: Cluster) -> float:
        """Returns how long that takes if nothing else uses the link."""
        return self.amount / cluster.bandwidth(self.span)


def exchanges(settings: TrainingSettings, inner: str = "dp") -> dict[str, Exchange]:
    """Returns what the ranks of a layout exchange, by what it is.

    Args:
      settings: of the run.
      inner: see `estimate_time`.
    """
    model, layout = settings.model, settings.layout
    width = 2 if settings.optimisation.precision == "bfloat16" else 4
    passes = layout.micro_batches
    states = width * samples_per_micro_batch(settings) * settings.sequence_length * model.hidden
    blocks = -(-model.layers // layout.pp)
    # Each of the two sums of a block is gathered before and scattered after it, in the forward
    # pass, the backward pass and, where a block is computed again, once more.
    sums = 4 * blocks * (3 if layout.rematerialise == "block" else 2)
    sent = states / (layout.tp if layout.sequence_parallel else 1)
    parameters = max(parameters_of_stages(settings, p) for p in range(layout.pp)) / layout.tp
    sharers, copies = layout.dp_shard, layout.dp_replicate
    # ZeRO-3 gathers weights in every pass, forward and backward, and reduces in every one.
    rereads = layout.reshard_after_forward and layout.pp == 1
    gathered = width * parameters * (sharers - 1) / sharers
    reduced = GRADIENT * parameters * (sharers - 1) / sharers
    # An all-reduce of each rank's share sends it twice.
    copied = 2 * GRADIENT * parameters / sharers * (copies - 1) / copies
    amounts = {
        "tp states": (passes * sums * states * (layout.tp - 1) / layout.tp, "tp"),
        "pp states": (2 * passes * layout.interleave * sent * (layout.pp > 1), "pp"),
        "dp weights": (gathered * (2 * passes if rereads else 1), "dp_shard"),
        "dp gradients": (reduced * (passes if rereads else 1), "dp_shard"),
        "dp gradients of copies": (copied * (passes if rereads else 1), "dp_replicate"),
    }
    spans = _spans(layout, inner)
    return {what: Exchange(amount, spans[group]) for what, (amount, group) in amounts.items()}


def estimate_time(settings: TrainingSettings, cluster: Cluster, inner: str = "dp") -> StepTime:
    """Returns how long one step takes.

    Args:
      settings: of the run.
      cluster: where it runs.
      inner: which ranks are neighbours after those that share matrices: "dp", those with other
        samples, or "pp", the stages of one pipeline.
    """
    model, layout, length = settings.model, settings.layout, settings.sequence_length
    samples, count = samples_per_micro_batch(settings), layout.micro_batches
    stages = layout.stage_layers(model.layers)
    rate = cluster.device.peak * cluster.efficiency

    # The rank with the most to compute: the last one has the head besides its layers.
    forward_of_block = samples * length * (24 * model.hidden**2 + 4 * length * model.hidden)
    head = samples * length * 2 * model.hidden * model.vocabulary
    forward = recomputation = 0.0
    again = {"off": 0.0, "operation": 0.05, "block": 1.0}[layout.rematerialise]
    for position in range(layout.pp):
        own = layout.stages_of(position)
        blocks = sum(len(stages[stage]) for stage in own) * forward_of_block
        load = blocks + head * (layout.stages - 1 in own)
        if load / layout.tp / rate > forward:
            forward = load / layout.tp / rate
            recomputation = again * blocks / layout.tp / rate

    seconds = {
        what: exchange.seconds(cluster) for what, exchange in exchanges(settings, inner).items()
    }
    tensor, pipeline = seconds["tp states"], seconds["pp states"]
    micro_batch = 3 * forward + recomputation + (tensor + pipeline) / count
    moved = (2 * MASTER_AND_MOMENTS + GRADIENT) / layout.dp_shard
    moved *= max(parameters_of_stages(settings, p) for p in range(layout.pp)) / layout.tp

    # Weights come while the first forward pass runs, gradients go while the last backward pass
    # does; with ZeRO-3 in every pass.
    gather = seconds["dp weights"]
    reduce = seconds["dp gradients"] + seconds["dp gradients of copies"]
    backward = 2 * forward + recomputation
    if layout.reshard_after_forward and layout.pp == 1:
        forward_waits = max(0.0, gather / 2 - count * forward)
        data = forward_waits + max(0.0, gather / 2 + reduce - count * backward)
    else:
        data = max(0.0, gather - forward) + max(0.0, reduce - backward)
    return StepTime(
        products=count * 3 * forward,
        recomputation=count * recomputation,
        tensor=tensor,
        pipeline=pipeline,
        bubble=(layout.pp - 1) / layout.interleave * micro_batch,
        data=data,
        optimizer=moved / cluster.device.bandwidth,
    )


def _spans(layout: Layout, inner: str) -> dict[str, int]:
    """Returns within how many neighbours the ranks of each group lie."""
    order = ["tp", "dp_shard", "dp_replicate", "pp"]
    if inner == "pp":
        order = ["tp", "pp", "dp_shard", "dp_replicate"]
    spans, span = {}, 1
    for name in order:
        span *= getattr(layout, name)
        spans[name] = span
    return spans
