"""`pangu classifier`: train a fastText classifier on files, and see how well one does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from filters.classifier_settings import FastTextSettings, Features, TrainedFeatures
from pangu_settings import UserError, validate

if TYPE_CHECKING:
    from filters.classifier_evaluation import Confusion
    from filters.classifier_training import Example

_DEFAULTS = FastTextSettings()
_EXCERPT = 60

POSITIVES = click.option(
    "--positives",
    required=True,
    multiple=True,
    metavar="FILE",
    help="Documents that should score high. May be repeated, and hold * and **.",
)
NEGATIVES = click.option(
    "--negatives",
    required=True,
    multiple=True,
    metavar="FILE",
    help="Documents that should score low. May be repeated, and hold * and **.",
)
DOCUMENTS = click.option(
    "--documents",
    type=click.IntRange(1),
    default=200_000,
    show_default=True,
    help="Most of each kind to read into memory, chosen by hash.",
)
EXAMPLES = click.option(
    "--examples",
    type=click.IntRange(0),
    default=3,
    show_default=True,
    help="Worst errors of each kind to show.",
)


@click.group()
def classifier() -> None:
    """Train a fastText classifier on files, and see how well one does.

    Files are .txt with blank lines between documents, .jsonl (also .gz) with a `text`, or .parquet.
    The score is the probability of the positives: a spam classifier has spam as its positives.

    \b
    Example:
      pangu classifier train --positives spam.jsonl.gz --negatives news.jsonl.gz -o spam.bin
      pangu classifier test spam.bin --positives more-spam.txt --negatives 'books/*.txt'
    """


@classifier.command()
@POSITIVES
@NEGATIVES
@click.option("-o", "--out", required=True, metavar="MODEL", help="File to write, such as spam.bin")
@click.option(
    "--features",
    type=click.Choice(get_args(TrainedFeatures)),
    default=_DEFAULTS.features,
    show_default=True,
    help="words: those of jieba, without its hidden Markov model.",
)
@click.option("--ngrams", type=int, default=None, help="Longest n-gram; 3 characters or 2 words.")
@click.option("--dimension", type=int, default=_DEFAULTS.dimension, show_default=True)
@click.option("--buckets", type=int, default=_DEFAULTS.buckets, show_default=True)
@click.option("--epochs", type=int, default=_DEFAULTS.epochs, show_default=True)
@click.option("--learning-rate", type=float, default=_DEFAULTS.learning_rate, show_default=True)
@click.option("--minimum-count", type=int, default=_DEFAULTS.minimum_count, show_default=True)
@click.option("--seed", type=int, default=_DEFAULTS.seed, show_default=True)
@click.option(
    "--held-out",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.1,
    show_default=True,
    help="Share of the documents to measure on instead, chosen by hash.",
)
@DOCUMENTS
def train(
    positives: tuple[str, ...],
    negatives: tuple[str, ...],
    out: str,
    held_out: float,
    documents: int,
    **options: Any,
) -> None:
    """Train a model that tells documents like the positives from others.

    The same files give the same model, byte for byte. Beside it a .json says what it learned, from
    what, and how it does on documents that were held out.

    \b
    Example:
      pangu classifier train --positives spam.jsonl.gz --negatives news.jsonl.gz -o spam.bin
    """
    from filters.classifier_training import train_classifier
    from pipeline.classifier_files import FACTS_SUFFIX, write_classifier

    settings = validate(FastTextSettings, options, "pangu classifier train")
    sources = {"positives": _find(positives), "negatives": _find(negatives)}
    examples = _read(sources["positives"], sources["negatives"], documents)
    trained = train_classifier(examples, settings, held_out)
    write_classifier(out, trained, {"sources": {k: _facts(v) for k, v in sources.items()}})
    facts = trained.facts
    click.echo(
        f"Wrote {out} and {out}{FACTS_SUFFIX}: {facts['words']:,} {settings.features} learned from "
        f"{facts['documents']['trained']['positive']:,} positive and "
        f"{facts['documents']['trained']['negative']:,} negative documents."
    )
    if facts["held_out"] is None:
        click.echo("No document was held out, so nothing was measured.")
    else:
        from filters.classifier_evaluation import Confusion

        found = [Confusion.from_json(entry) for entry in facts["held_out"]["thresholds"]]
        click.echo("On documents that were held out:")
        _print_figures(found)
    click.echo(f"Next, in a recipe: classifiers: {{NAME: {{model: {out}}}}}")
    click.echo("  and a rule: rules: {NAME: {signal: NAME_score, max: 0.5}}")


@classifier.command()
@click.argument("model")
@POSITIVES
@NEGATIVES
@click.option(
    "--features", type=click.Choice(get_args(Features)), help="What the model was trained on."
)
@click.option("--label", help="Label whose probability is the score.")
@DOCUMENTS
@EXAMPLES
def test(
    model: str,
    positives: tuple[str, ...],
    negatives: tuple[str, ...],
    features: Features | None,
    label: str | None,
    documents: int,
    examples: int,
) -> None:
    """Show precision, recall and worst errors of MODEL, any fastText classifier.

    \b
    Example:
      pangu classifier test spam.bin --positives more-spam.txt --negatives 'books/*.txt'
      pangu classifier test lid.176.bin --label __label__zh --positives zh.txt --negatives en.txt
    """
    from filters.classifier_evaluation import confusions
    from filters.classifier_training import score_examples
    from pipeline.classifier_files import find_classifier

    loaded = find_classifier(model, features, label).load()
    read = _read(_find(positives), _find(negatives), documents)
    scores, positive = score_examples(loaded, read)
    _print_figures(confusions(scores, positive))
    for kind, title in ((True, "Positives that score lowest"), (False, "Negatives, highest")):
        rated = [
            (float(score), example.text)
            for score, example in zip(scores, read, strict=True)
            if example.positive == kind
        ]
        rated.sort(key=lambda pair: pair[0], reverse=not kind)
        if rated[:examples]:
            click.echo(f"{title}:")
        for score, text in rated[:examples]:
            click.echo(f"  {score:.4f}  {' '.join(text[: 2 * _EXCERPT].split())[:_EXCERPT]}")


def _find(patterns: Sequence[str]) -> list[str]:
    from pipeline import storage

    found: dict[str, None] = {}
    for pattern in patterns:
        matches = storage.glob(pattern)
        if not matches:
            raise UserError(f"{pattern}: names no file")
        found |= dict.fromkeys(matches)
    return list(found)


def _read(positives: Sequence[str], negatives: Sequence[str], most: int) -> list[Example]:
    from filters.classifier_training import sample_examples
    from tokenizer.text_files import read_texts

    def texts(paths: Sequence[str]) -> Iterator[str]:
        return read_texts([Path(path) for path in paths])

    return [
        *sample_examples(texts(positives), True, most),
        *sample_examples(texts(negatives), False, most),
    ]


def _facts(paths: Sequence[str]) -> list[dict[str, Any]]:
    from pipeline import storage

    return [storage.facts_of(path, path).to_json() for path in paths]


def _print_figures(found: Sequence[Confusion]) -> None:
    from filters.classifier_evaluation import best_by_f1

    best = best_by_f1(found)
    click.echo("  threshold  precision  recall      F1")
    for confusion in found:
        mark = "  best F1" if confusion is best else ""
        click.echo(
            f"  {confusion.threshold:>9}  {confusion.precision:>9.4f}  {confusion.recall:>6.4f}  "
            f"{confusion.f1:>6.4f}{mark}"
        )
    click.echo(f"  at {best.threshold:<8}  called positive  called negative")
    click.echo(f"  positive     {best.true_positives:>15,}  {best.false_negatives:>15,}")
    click.echo(f"  negative     {best.false_positives:>15,}  {best.true_negatives:>15,}")
