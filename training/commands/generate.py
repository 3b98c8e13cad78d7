"""`pangu generate`."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import click

from pangu_settings import UserError


@click.command()
@click.argument("model")
@click.option("--prompt", "prompts", multiple=True, help="Text to continue; more of them: a batch.")
@click.option(
    "--prompts", "file", type=click.Path(path_type=Path), help="File with a prompt on each line."
)
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
@click.option(
    "--repetition-penalty",
    default=1.0,
    show_default=True,
    help="Above 1, tokens that were there already are less likely.",
)
@click.option("--seed", default=0, show_default=True, help="The same seed, the same text.")
@click.option(
    "--batch", default=16, show_default=True, help="Prompts of a file that are read together."
)
def generate(
    model: str,
    prompts: tuple[str, ...],
    file: Path | None,
    tokens: int,
    temperature: float,
    top_k: int | None,
    top_p: float,
    repetition_penalty: float,
    seed: int,
    batch: int,
) -> None:
    """Continue a prompt with MODEL: a model folder, or a training run's directory of checkpoints.

    Of checkpoints the latest is taken; name one of its step folders to take another. A text ends
    where the model ends the document, at the latest after --tokens. Under torchrun every process
    holds a slice of the model (tensor parallel), for models that one device has no room for.

    \b
    Example:
      pangu generate runs/demo/checkpoints --prompt 今天
      pangu generate models/2.6B --prompt 今天 --temperature 0.8 --top-p 0.9 --seed 3
      pangu generate models/2.6B --prompts questions.txt --temperature 0 > answers.txt
      torchrun --nproc-per-node 8 -m pangu generate models/13B --prompt 今天
    """
    texts = [*prompts, *(_lines(file) if file else [])]
    if not texts:
        raise click.UsageError("give --prompt TEXT or --prompts FILE")

    from training.generate import Sampling, continue_text, continue_texts
    from training.layout import Layout
    from training.locations import location
    from training.processes import joined_processes
    from training.trained_model import open_model

    sampling = Sampling(temperature, top_k, top_p, repetition_penalty)
    layout = Layout(tp=int(os.environ.get("WORLD_SIZE", "1")))
    is_shown = os.environ.get("RANK", "0") == "0"
    with joined_processes(layout) as device:
        trained = open_model(location(model), device, layout)
        if len(texts) == 1:
            pieces = continue_text(
                trained.model, trained.tokenizer, texts[0], tokens, sampling, seed
            )
            for piece in itertools.chain([texts[0]], pieces, ["\n"]):
                if is_shown:
                    # As soon as it is there: to a terminal and to a pipe alike.
                    click.echo(piece, nl=False)
            return
        for first in range(0, len(texts), batch):
            part = texts[first : first + batch]
            answers = continue_texts(
                trained.model, trained.tokenizer, part, tokens, sampling, seed + first
            )
            for prompt, answer in zip(part, answers, strict=True):
                if is_shown:
                    click.echo(prompt + answer)


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    return [line for line in lines if line.strip()]
