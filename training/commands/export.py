"""`pangu export`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("checkpoints")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="New folder.")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
    help="How to store the weights.",
)
def export(checkpoints: str, out: Path, dtype: str) -> None:
    """Write the model in CHECKPOINTS as safetensors, for this and other programs.

    CHECKPOINTS is a folder or a URL. The latest checkpoint is taken; name one of its step folders
    to take another. OUT also holds what Hugging Face transformers needs to load the model
    (AutoModelForCausalLM.from_pretrained(OUT, trust_remote_code=True)).

    \b
    Example:
      pangu export runs/demo/checkpoints -o models/demo
      pangu export runs/demo/checkpoints/step-00000200 -o models/demo-200 --dtype bfloat16
    """
    from training.exchange.export import export_checkpoint
    from training.locations import location

    checkpoint = export_checkpoint(location(checkpoints), out, dtype)
    click.echo(f"wrote {out} from {checkpoint}, read back and compared")
    click.echo(f"next: pangu generate {out} --prompt 今天")
