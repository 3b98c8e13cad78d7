"""The training half of the command line: `pangu train` and `pangu generate`."""

from __future__ import annotations

import importlib.util
import math
import os
import sys
from pathlib import Path

import click

# torch takes seconds to import: the modules that need it are imported inside the commands, so
# that `--help` answers at once. Whether it is installed is known without importing it, and
# `pangu` answers this error with the name of the extra to install.
if importlib.util.find_spec("torch") is None:
    raise ModuleNotFoundError("No module named 'torch'", name="torch")

# Threads that wait for each other in a loop, torch's default, make a step several times slower
# as soon as anything else wants a core. This is read when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


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


@click.command()
@click.argument("checkpoints", type=click.Path(path_type=Path))
@click.option("--prompt", required=True, help="Text to continue.")
@click.option("--tokens", default=100, show_default=True, help="Most tokens to add.")
@click.option(
    "--temperature", default=1.0, show_default=True, help="0 always takes the likeliest token."
)
@click.option("--top-k", type=int, help="Draw among the K likeliest tokens only.")
@click.option(
    "--top-p",
    default=1.0,
    show_default=True,
    help="Draw among the likeliest tokens that reach this probability together.",
)
@click.option("--seed", default=0, show_default=True, help="The same seed, the same text.")
def generate(
    checkpoints: Path,
    prompt: str,
    tokens: int,
    temperature: float,
    top_k: int | None,
    top_p: float,
    seed: int,
) -> None:
    """Continue a prompt with the model in CHECKPOINTS, a training run's directory of checkpoints.

    The latest checkpoint is taken; name one of its step folders to take another. The text ends
    where the model ends the document, at the latest after --tokens.

    \b
    Example:
      pangu generate runs/demo/checkpoints --prompt 今天
      pangu generate runs/demo/checkpoints --prompt 今天 --temperature 0.8 --top-p 0.9 --seed 3
    """
    from training.generate import Sampling, continue_text

    sampling = Sampling(temperature, top_k, top_p)
    click.echo(prompt + continue_text(checkpoints, prompt, tokens, sampling, seed))
