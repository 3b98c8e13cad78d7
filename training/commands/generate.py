"""`pangu generate`."""

from __future__ import annotations

from pathlib import Path

import click


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
