"""Whether a model learns more than counting does: perplexities of the same ids, never trained on.

    python benchmarks/training_learning.py demo/run/pretrain.yaml --every 100

Trains the model of a configuration in this process (nothing is saved) and compares it, on the end
of each source, which training leaves alone, with two models that are counted from the ids before:

- a unigram model with one added to every count;
- a trigram model with interpolated Kneser-Ney smoothing, one discount for each length of context,
  estimated as n1 / (n1 + 2 n2) (Chen and Goodman 1999, "An empirical study of smoothing techniques
  for language modeling", equations 24 and 26).

All three give a probability to each label of the same samples. The counted models see the two ids
before, across documents; the neural one sees its sample, but not beyond the document.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import click
import numpy as np
import torch

from tokenizer import Tokenizer
from training import load_settings
from training.data import Batch, Corpus, Samples, ValidationSamples
from training.engine import Engine
from training.optimizer import learning_rate

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Counts:
    """How often each n-gram was counted, n-grams being numbers in the base of the vocabulary."""

    grams: np.ndarray
    """[distinct n-grams] int64, ascending."""
    counts: np.ndarray
    """[distinct n-grams] int64."""
    contexts: np.ndarray
    """[distinct contexts] int64, ascending: n-grams without their last id."""
    totals: np.ndarray
    """[distinct contexts] int64, counts of all n-grams that begin with the context."""
    followers: np.ndarray
    """[distinct contexts] int64, how many different ids follow the context."""

    @classmethod
    def of(cls, grams: np.ndarray, vocabulary: int) -> Counts:
        """Counts n-grams, [occurrences] int64."""
        distinct, counts = np.unique(grams, return_counts=True)
        contexts, first, followers = np.unique(
            distinct // vocabulary, return_index=True, return_counts=True
        )
        return cls(distinct, counts, contexts, np.add.reduceat(counts, first), followers)

    def probabilities(self, grams: np.ndarray, vocabulary: int, shorter: np.ndarray) -> np.ndarray:
        """Returns p(last id | ids before it), float64 [n-grams].

        Args:
          grams: [n-grams] int64.
          vocabulary: number of ids.
          shorter: float64 [n-grams], the same with one id less before it.
        """
        once, twice = (int((self.counts == times).sum()) for times in (1, 2))
        discount = once / max(once + 2 * twice, 1)
        counts = _look_up(self.grams, self.counts, grams)
        totals = _look_up(self.contexts, self.totals, grams // vocabulary)
        followers = _look_up(self.contexts, self.followers, grams // vocabulary)
        kept = np.maximum(counts - discount, 0) + discount * followers * shorter
        return np.where(totals > 0, kept / np.maximum(totals, 1), shorter)


def _look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Returns the values of wanted keys, 0 where a key is missing."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], 0)


class UnigramModel:
    """How often each id was seen, plus one."""

    def __init__(self, text: np.ndarray, vocabulary: int) -> None:
        counts = np.bincount(text, minlength=vocabulary) + 1.0
        self._probabilities = counts / counts.sum()

    def losses(self, chunks: np.ndarray) -> np.ndarray:
        """Returns -ln p of each id but the first of each chunk, float64."""
        return -np.log(self._probabilities[chunks[:, 1:]])


class TrigramModel:
    """Interpolated Kneser-Ney: shorter n-grams count in how many places they are, not how often."""

    def __init__(self, text: np.ndarray, vocabulary: int) -> None:
        self._vocabulary = vocabulary
        one = text.astype(np.int64)
        self._three = Counts.of(
            (one[:-2] * vocabulary + one[1:-1]) * vocabulary + one[2:], vocabulary
        )
        # Each distinct n-gram is one place for the one that is an id shorter.
        self._two = Counts.of(self._three.grams % vocabulary**2, vocabulary)
        pairs = np.unique(one[:-1] * vocabulary + one[1:])
        self._one = Counts.of(pairs % vocabulary, vocabulary)

    def losses(self, chunks: np.ndarray) -> np.ndarray:
        """Returns -ln p of each id but the first of each chunk, float64."""
        vocabulary = self._vocabulary
        ids = chunks.astype(np.int64)
        even = np.full(ids[:, 1:].shape, 1 / vocabulary)
        one = self._one.probabilities(ids[:, 1:], vocabulary, even)
        two = self._two.probabilities(ids[:, :-1] * vocabulary + ids[:, 1:], vocabulary, one)
        # The second id of a chunk has only one before it.
        threes = (ids[:, :-2] * vocabulary + ids[:, 1:-1]) * vocabulary + ids[:, 2:]
        two[:, 1:] = self._three.probabilities(threes, vocabulary, two[:, 1:])
        return -np.log(two)


def training_text(corpus: Corpus, held_out: dict[str, int], chunk: int) -> np.ndarray:
    """Returns all ids that training may see, the sources one after the other."""
    parts = []
    for name, text in corpus.texts.items():
        parts.append(text.read(0, len(text) - chunk * held_out.get(name, 0)))
    return np.concatenate(parts)


def validation_batches(validation: ValidationSamples) -> list[Batch]:
    """Returns all held-out samples of all sources."""
    return [
        validation.batch(source, first, min(8, count - first))
        for source, count in validation.counts.items()
        for first in range(0, count, 8)
    ]


def model_loss(engine: Engine, batches: list[Batch]) -> float:
    """Returns the mean -ln p of all labels."""
    results = [engine.evaluate(batch) for batch in batches]
    return sum(total for total, _ in results) / sum(labels for _, labels in results)


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--set", "overrides", multiple=True, metavar="PATH=VALUE", help="As in `pangu train`."
)
@click.option("--held-out", default=64, show_default=True, help="Most samples of each source.")
@click.option("--every", default=100, show_default=True, help="Steps between two comparisons.")
@click.option("--threads", default=1, show_default=True)
def main(config: Path, overrides: tuple[str, ...], held_out: int, every: int, threads: int) -> None:
    """Compares the model of CONFIG with models that are counted from the same ids."""
    torch.set_num_threads(threads)
    settings = load_settings(config, overrides)
    vocabulary, length = settings.model.vocabulary, settings.sequence_length
    corpus = Corpus(settings.data.shards, vocabulary)
    validation = ValidationSamples(corpus, length, held_out)
    samples = Samples(corpus, length, settings.data.seed, validation.held_out)
    batches = validation_batches(validation)
    if not batches:
        raise click.ClickException("every source is smaller than ten samples; nothing is held out")
    text = training_text(corpus, validation.held_out, length + 1)
    labels = sum(batch.labels.numel() for batch in batches)
    chunks = np.concatenate([torch.cat((b.ids, b.labels[:, -1:]), dim=1).numpy() for b in batches])
    bytes_per_label = Tokenizer(settings.data.tokenizer).byte_lengths[chunks[:, 1:]].mean()
    click.echo(f"{len(text):,} ids to learn from, {labels:,} labels held out")

    def tell(name: str, loss: float) -> None:
        click.echo(
            f"{name:<24} {loss:.3f} nats per id, perplexity {math.exp(loss):,.0f}, "
            f"{loss / math.log(2) / bytes_per_label:.3f} bits per byte"
        )

    tell("unigram", float(UnigramModel(text, vocabulary).losses(chunks).mean()))
    tell("trigram (Kneser-Ney)", float(TrigramModel(text, vocabulary).losses(chunks).mean()))
    torch.manual_seed(settings.model.seed)
    engine = Engine(settings, CPU)
    optimisation = settings.optimisation
    started = time.process_time()
    best = math.inf
    for step in range(1, optimisation.steps + 1):
        engine.gradients(samples.batch((step - 1) * optimisation.batch, optimisation.batch))
        engine.update(learning_rate(step, optimisation))
        if step % every == 0 or step == optimisation.steps:
            loss = model_loss(engine, batches)
            best = min(best, loss)
            tell(f"model after {step:,} steps", loss)
    tell("model at its best", best)
    click.echo(f"{time.process_time() - started:.0f} s of CPU time")


if __name__ == "__main__":
    main()
