"""`pangu tokenizer`: train a vocabulary; encode and decode with it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, get_args

import click

from pangu_settings import UserError, validate
from tokenizer.sample import sample_texts
from tokenizer.segmentation import Segmenter
from tokenizer.text_files import read_texts
from tokenizer.tokenizer import Tokenizer
from tokenizer.vocabulary import VocabularySettings, train_vocabulary

_SEGMENTER = click.Choice(get_args(Segmenter))
_DEFAULTS = VocabularySettings()


@click.group()
def tokenizer() -> None:
    """Train a vocabulary; encode and decode with it.

    \b
    Example:
      pangu tokenizer train news.jsonl.gz books.txt -o vocabulary
      pangu tokenizer encode vocabulary 今天是一个好天气
      pangu tokenizer encode vocabulary < article.txt | pangu tokenizer decode vocabulary
    """


@tokenizer.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder to fill.")
@click.option("--vocabulary-size", type=int, default=_DEFAULTS.vocabulary_size, show_default=True)
@click.option(
    "--algorithm",
    type=click.Choice(["bpe", "unigram"]),
    default=_DEFAULTS.algorithm,
    show_default=True,
    help="bpe as the paper says, unigram as the released vocabulary is.",
)
@click.option(
    "--segmenter",
    type=_SEGMENTER,
    default=_DEFAULTS.segmenter,
    show_default=True,
    help="jieba: pieces never cross a word, as in the released vocabulary.",
)
@click.option(
    "--normalization",
    type=click.Choice(["identity", "nmt_nfkc"]),
    default=_DEFAULTS.normalization,
    show_default=True,
    help="nmt_nfkc, as released, turns ， into , and ① into 1.",
)
@click.option(
    "--byte-fallback/--no-byte-fallback",
    default=_DEFAULTS.byte_fallback,
    show_default=True,
    help="Spell rare characters in bytes instead of <unk>.",
)
@click.option(
    "--character-coverage", type=float, default=_DEFAULTS.character_coverage, show_default=True
)
@click.option(
    "--sample-bytes",
    type=int,
    default=_DEFAULTS.sample_bytes,
    show_default=True,
    help="Train on so much of the text, chosen by hash.",
)
def train(files: tuple[Path, ...], out: Path, **options: Any) -> None:
    """Train a vocabulary on FILES: .txt, .jsonl (also .gz) with a `text`, or .parquet.

    \b
    Example:
      pangu tokenizer train 新闻.jsonl.gz 小说.txt -o vocabulary --vocabulary-size 8000
      pangu tokenizer train RUN/corpus/*.parquet -o vocabulary
    As the released vocabulary was made:
      pangu tokenizer train RUN/corpus/*.parquet -o vocabulary --algorithm unigram \\
          --segmenter jieba --normalization nmt_nfkc --no-byte-fallback
    """
    settings = validate(VocabularySettings, options, "pangu tokenizer train")
    texts = sample_texts(read_texts(files), settings.sample_bytes)
    facts = train_vocabulary(texts, settings, out).facts
    click.echo(
        f"Wrote {out}/tokenizer.model: {facts.vocabulary_size:,} pieces learned from "
        f"{facts.sample.bytes / 1e6:,.1f} MB of text, {facts.characters_per_token:.2f} characters "
        f"per token."
    )
    click.echo(f"Next: pangu tokenizer encode {out} 今天是一个好天气")


@tokenizer.command()
@click.argument("vocabulary", type=click.Path(path_type=Path))
@click.argument("text", required=False)
@click.option("--pieces", is_flag=True, help="Print pieces instead of ids.")
@click.option("--segmenter", type=_SEGMENTER, help="Override what the vocabulary was trained with.")
def encode(vocabulary: Path, text: str | None, pieces: bool, segmenter: Segmenter | None) -> None:
    """Print the ids of TEXT, or of standard input.

    VOCABULARY is a SentencePiece model with PanGu-α's special pieces, or a folder with a
    tokenizer.model; the released vocab.model is one.

    \b
    Example:
      pangu tokenizer encode vocabulary 今天是一个好天气
      pangu tokenizer encode --pieces vocabulary < article.txt
    """
    loaded = Tokenizer(vocabulary, segmenter)
    ids = loaded.encode(_standard_input() if text is None else text)
    click.echo(" ".join(loaded.pieces(ids) if pieces else map(str, ids)))


@tokenizer.command()
@click.argument("vocabulary", type=click.Path(path_type=Path))
@click.argument("ids", nargs=-1)
def decode(vocabulary: Path, ids: tuple[str, ...]) -> None:
    """Print the text of IDS, or of the ids on standard input.

    \b
    Example:
      pangu tokenizer decode vocabulary 465 16 46 70 2786
      pangu tokenizer encode vocabulary 今天是一个好天气 | pangu tokenizer decode vocabulary
    """
    numbers = ids or _standard_input().split()
    for number in numbers:
        if not number.isascii() or not number.isdigit():
            raise UserError(f"'{number}' is not an id; ids are whole numbers from 0")
    try:
        text = Tokenizer(vocabulary).decode(map(int, numbers))
    except ValueError as error:
        raise UserError(f"{vocabulary}: {error}") from None
    click.echo(text)


def _standard_input() -> str:
    """All of standard input, less the newline that ends its last line."""
    try:
        return sys.stdin.buffer.read().decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"standard input is not UTF-8 text: {error}") from None
