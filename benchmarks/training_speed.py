"""How fast training is, against what the machine's matrix products could do in the same minute.

    python benchmarks/training_speed.py --threads 2 --precision float32

Prints tokens per second of whole steps (reading the batch, forward, backward, clipping, AdamW) and
the share of the machine's matrix-product peak that they amount to. The share counts the products
of the model (6 operations per weight of a matrix and token, the tied head included, plus
attention over the whole square), as published figures do. Ids are random: only the speed counts.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

# Before torch is imported, as in `pangu train`.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import click
import numpy as np
import torch

from tokenizer import TokenizerFacts, write_index, write_shards
from training import TrainingSettings
from training.data import Corpus, Samples
from training.model import build_model
from training.optimizer import build_optimizer
from training.train import update

CPU = torch.device("cpu")
PEAK_SIZE = 1024


def matrix_peak(dtype: torch.dtype) -> float:
    """Operations per second of the fastest of a dozen square matrix products."""
    one, other = torch.randn(2, PEAK_SIZE, PEAK_SIZE, dtype=dtype)
    best = float("inf")
    for _ in range(12):
        started = time.perf_counter()
        one @ other
        best = min(best, time.perf_counter() - started)
    return 2 * PEAK_SIZE**3 / best


def operations_per_step(settings: TrainingSettings) -> int:
    """Operations of the matrix products of one step, forward and backward."""
    model, length = settings.model, settings.sequence_length
    tokens = settings.optimisation.batch * length
    weights = 12 * model.layers * model.hidden**2 + model.vocabulary * model.hidden
    attention = 2 * model.layers * model.hidden * length
    return 6 * tokens * (weights + attention)


def random_shards(folder: Path, settings: TrainingSettings) -> None:
    """Writes shards of random ids, in documents of 300."""
    vocabulary = settings.model.vocabulary
    facts = TokenizerFacts(sha256="0" * 64, vocabulary_size=vocabulary, separator=9, pad=6)
    ids = np.random.default_rng(0).integers(10, vocabulary, size=(400, 299))
    shards = write_shards(folder, "random", ids, facts)
    write_index(folder, facts, {"random": shards}, {"random": 1.0})


@click.command()
@click.option("--threads", default=torch.get_num_threads(), show_default=True)
@click.option("--precision", default="float32", show_default=True)
@click.option("--layers", default=6, show_default=True)
@click.option("--hidden", default=256, show_default=True)
@click.option("--batch", default=8, show_default=True)
@click.option("--steps", default=20, show_default=True)
def main(threads: int, precision: str, layers: int, hidden: int, batch: int, steps: int) -> None:
    """Measures the demo's model, or one of another shape, on the CPU."""
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        shape = {"layers": layers, "hidden": hidden, "heads": hidden // 32}
        settings = TrainingSettings.model_validate(
            {
                "model": {**shape, "sequence_length": 256, "vocabulary": 4000},
                "data": {"shards": folder, "tokenizer": folder},
                "optimisation": {"steps": steps, "batch": batch, "precision": precision},
            }
        )
        random_shards(Path(folder), settings)
        corpus = Corpus(Path(folder), settings.model.vocabulary)
        samples = Samples(corpus, settings.sequence_length, 0)
        model = build_model(settings.model, CPU)
        optimizer = build_optimizer(model, settings.optimisation)
        dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        peaks = [matrix_peak(dtype)]
        reading, whole = [], []
        for step in range(steps):
            started = time.perf_counter()
            read = samples.batch(step * batch, batch)
            reading.append(time.perf_counter() - started)
            update(model, optimizer, read, 1e-4, settings, CPU)
            whole.append(time.perf_counter() - started)
        peaks.append(matrix_peak(dtype))
    seconds = statistics.median(whole[2:])
    tokens = batch * settings.sequence_length
    share = operations_per_step(settings) / seconds / max(peaks)
    click.echo(
        f"{settings.model.parameter_count:,} parameters, {precision}, threads: {threads}\n"
        f"step {seconds * 1000:.0f} ms, of which reading "
        f"{statistics.median(reading) * 1000:.1f} ms\n"
        f"{tokens / seconds:,.0f} tokens/s\n"
        f"matrix peak {peaks[0] / 1e9:.0f} and {peaks[1] / 1e9:.0f} GFLOP/s before and after\n"
        f"{share:.0%} of the peak"
    )


if __name__ == "__main__":
    main()
