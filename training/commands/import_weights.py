"""`pangu import`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("import")
@click.argument("weights", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="New folder.")
@click.option(
    "--tokenizer", type=click.Path(path_type=Path), help="Vocabulary (.model) to put beside them."
)
@click.option("--heads", type=int, help="Attention heads, for a size that was never released.")
@click.option("--vocabulary", type=int, help="Pieces; further rows of the embedding are padding.")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    help="How to store the weights; as they are, where not given.",
)
def import_(
    weights: Path,
    out: Path,
    tokenizer: Path | None,
    heads: int | None,
    vocabulary: int | None,
    dtype: str | None,
) -> None:
    """Turn PanGu-α weights of other programs into a model folder.

    \b
    WEIGHTS is one of
      MODEL.ckpt                 MindSpore, the released form, in a single file
      a folder of NAME.npy       the same tensors written out one by one; or an .npz file
      a folder with iter_*       Megatron-LM 1.1, split over any number of ranks
      .bin, .safetensors         the port to Hugging Face transformers; or a folder of these

    \b
    Example:
      pangu import PanguAlpha_2.6B_fp16.ckpt --tokenizer vocab.model -o models/2.6B
      pangu generate models/2.6B --prompt 今天
    """
    from training.exchange.import_weights import import_weights

    program, settings = import_weights(weights, out, tokenizer, heads, vocabulary, dtype)
    click.echo(
        f"{program} weights: {settings.parameter_count:,} parameters, {settings.layers} layers, "
        f"hidden {settings.hidden}, {settings.heads} heads, {settings.vocabulary:,} pieces"
    )
    click.echo(f"wrote {out}, read back and compared")
    if tokenizer is None:
        click.echo(f"next: copy the vocabulary to {out / 'tokenizer.model'}")
    click.echo(f"next: pangu generate {out} --prompt 今天")
