"""`pangu train`."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import click


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Replace a value of CONFIG."
)
@click.option("--steps", type=int, help="Short for --set optimisation.steps=N.")
def train(config: Path, overrides: tuple[str, ...], steps: int | None) -> None:
    """Train a PanGu-α model from CONFIG, or go on where its latest checkpoint stands.

    \b
    Example:
      pangu train runs/demo/pretrain.yaml
      pangu train runs/demo/pretrain.yaml --steps 50 --set optimisation.precision=bfloat16

    Ctrl-C or SIGTERM ends the step in progress and saves it. The same command goes on from there.

    Several processes, one for each device, train one model together in the layout of CONFIG:

    \b
      torchrun --nproc-per-node=2 -m pangu train CONFIG --set layout.dp_shard=2
    """
    from training.config import load_settings

    if steps is not None:
        overrides = (*overrides, f"optimisation.steps={steps}")
    settings = load_settings(config, overrides)

    from training.loss_curve import draw_text
    from training.train import train as train_model

    result = train_model(settings)
    directory = settings.checkpoint.directory
    if result.stopped_by is not None and result.step < settings.optimisation.steps:
        if result.rank == 0:
            name = result.stopped_by.name
            click.echo(f"stopped by {name} after step {result.step}, which is saved")
            click.echo(f"next: pangu train {config}   (the same command goes on from there)")
        sys.exit(128 + result.stopped_by)
    if result.rank > 0:
        # Rank 0 speaks for all.
        return
    if any(not record.is_skipped for record in result.records):
        made = [record for record in result.records if not record.is_skipped]
        losses = [record.loss for record in made]
        click.echo(draw_text(losses))
        click.echo(
            f"loss {losses[0]:.3f} at step {made[0].step}, {losses[-1]:.3f} at step "
            f"{made[-1].step}; guessing evenly among {settings.model.vocabulary:,} pieces gives "
            f"{math.log(settings.model.vocabulary):.3f}"
        )
        click.echo(f"wrote {result.log} and {result.curve.name} beside it")
    click.echo(f"trained to step {result.step}; checkpoints are in {directory}")
    click.echo(f"next: pangu generate {directory} --prompt 今天")
