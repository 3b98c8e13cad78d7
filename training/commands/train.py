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
        click.echo(f"stopped by {result.stopped_by.name} after step {result.step}, which is saved")
        click.echo(f"next: pangu train {config}   (the same command goes on from there)")
        sys.exit(128 + result.stopped_by)
    if result.records:
        losses = [record.loss for record in result.records]
        click.echo(draw_text(losses))
        click.echo(
            f"loss {losses[0]:.3f} at step {result.records[0].step}, {losses[-1]:.3f} at step "
            f"{result.step}; guessing evenly among {settings.model.vocabulary:,} pieces gives "
            f"{math.log(settings.model.vocabulary):.3f}"
        )
        click.echo(f"wrote {result.log} and {result.curve.name} beside it")
    click.echo(f"trained to step {result.step}; checkpoints are in {directory}")
    click.echo(f"next: pangu generate {directory} --prompt 今天")
