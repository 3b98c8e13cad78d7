"""`pangu parallel`."""

from __future__ import annotations

import dataclasses
import math
import sys
from pathlib import Path

import click

from pangu_settings import UserError
from training.config import PRESETS, ModelSettings, TrainingSettings, load_settings
from training.planner.memory import estimate_memory
from training.planner.plans import Plan, make_plans, settings_of
from training.planner.report import details, layout_block, ranking, verification, write_layout
from training.planner.step_time import DEVICES, GIB, Cluster, parse_links

LEAST_BATCH = 512
TOLERANCE = 0.1
"""How far an estimate may be from what was simulated before it is called wrong."""


@click.command()
@click.argument("model")
@click.option("--devices", type=click.IntRange(min=1), required=True, help="Devices to use.")
@click.option(
    "--device",
    type=click.Choice(list(DEVICES)),
    default="h100",
    show_default=True,
    help="Their kind: memory, peak and links of a usual machine.",
)
@click.option("--memory", type=float, help="GiB of each device, instead of its kind's.")
@click.option("--peak", type=float, help="TFLOP/s of each device, instead of its kind's.")
@click.option(
    "--links",
    metavar="N@GB/S,…",
    help="How many neighbours are joined at what bandwidth, closest first: 8@450,*@50.",
)
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    help=f"Samples of a step; CONFIG's, or at least {LEAST_BATCH} and one per device.",
)
@click.option("--rows", type=int, default=9, show_default=True, help="Layouts to show.")
@click.option("--verify", is_flag=True, help="Run the chosen layout's ranks without hardware.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Training configuration to write into."
)
def parallel(
    model: str,
    devices: int,
    device: str,
    memory: float | None,
    peak: float | None,
    links: str | None,
    batch: int | None,
    rows: int,
    verify: bool,
    out: Path | None,
) -> None:
    """Choose how MODEL is laid out over devices, and show why the others lose.

    MODEL is 350M, 2.6B, 13B, 200B or a training configuration. Every layout of pipeline, data and
    tensor-parallel ranks is costed: operations, exchanges over each kind of link, the pipeline's
    bubble, the memory of the fullest rank. `dp` is written copies×shards where the weights are
    not shared among all; `pp` is written ranks×stages where each rank has several.

    \b
    Example:
      pangu parallel 2.6B --devices 8
      pangu parallel 200B --devices 2048 --device ascend910 --batch 256 --verify
      pangu parallel runs/demo/pretrain.yaml --devices 2 -o runs/demo/pretrain.yaml
    """
    settings = _settings(model, devices, batch)
    kind = DEVICES[device]
    kind = dataclasses.replace(
        kind,
        memory=kind.memory if memory is None else memory * GIB,
        peak=kind.peak if peak is None else peak * 1e12,
        links=links or kind.links,
    )
    cluster = Cluster(devices, kind, parse_links(kind.links, devices))
    plans = make_plans(settings, cluster)
    best = plans[0]
    shape = settings.model
    click.echo(
        f"{shape.parameter_count:,} parameters, {settings.optimisation.batch} samples of "
        f"{settings.sequence_length} tokens a step, {settings.optimisation.precision}, on "
        f"{devices} × {device}: {kind.memory / GIB:.0f} GiB ({cluster.usable:.0%} usable), "
        f"{kind.peak / 1e12:.0f} TFLOP/s ({cluster.efficiency:.0%} reached), links {kind.links}"
    )
    click.echo()
    click.echo(ranking(plans, cluster, rows))
    click.echo()
    if not best.fits:
        click.echo("no layout fits; more devices, devices with more memory or a smaller batch may")
        sys.exit(1)
    click.echo(layout_block(best.layout), nl=False)
    click.echo(details(best, cluster))
    if verify and not _verified(best, cluster):
        sys.exit(1)
    if out is not None:
        write_layout(out, best)
        click.echo(f"wrote the layout into {out}")
        click.echo(f"next: torchrun --nproc-per-node={min(devices, 8)} -m pangu train {out}")


def _settings(model: str, devices: int, batch: int | None) -> TrainingSettings:
    if model.upper() not in PRESETS:
        if not Path(model).exists():
            raise UserError(
                f"{model}: neither a preset ({', '.join(PRESETS)}) nor a training configuration"
            )
        return load_settings(model, [] if batch is None else [f"optimisation.batch={batch}"])
    shape = ModelSettings.model_validate({"preset": model.upper()})
    return settings_of(shape, batch or devices * math.ceil(LEAST_BATCH / devices))


def _verified(plan: Plan, cluster: Cluster) -> bool:
    """Prints estimated beside simulated memory; returns whether all is as it was estimated."""
    # torch takes seconds to import.
    from training.planner.simulation import simulate

    usable = cluster.device.memory * cluster.usable
    rows = [
        (position, estimate_memory(plan.settings, position), float(seen.peak))
        for position, seen in enumerate(simulate(plan.settings))
    ]
    click.echo()
    click.echo(verification(rows, usable))
    wrong = [row for row in rows if abs(row[1].total / row[2] - 1) > TOLERANCE or row[2] > usable]
    if wrong:
        click.echo(
            f"{len(wrong)} pipeline ranks need other memory than estimated, or more than there is; "
            "take a layout further down with room to spare, and report this"
        )
    return not wrong
