"""How fast a training step is beside a plain GPT loop and transformers' GPT-2 of the same shape.

    python benchmarks/training.py
    python benchmarks/training.py --rounds 12 --hidden 512 --precision bfloat16

One thread, process CPU time, the contenders in turn in every round, the fastest round of each: what
else the machine does hardly shows. All of them make the same step (forward, loss, backward, clip by
the global norm, fused AdamW) on the same random ids.

- engine: `training.engine`, what `pangu train` runs, on documents of some 100 ids
- loop: the same model in the shortest loop there is; engine / loop is what the engine costs
- plain GPT: one matrix for query, key and value, causal attention, no documents, no query layer
- transformers: GPT2LMHeadModel, where transformers is installed
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

# Before torch is imported, as in `pangu train`.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import click
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training import ModelSettings, TrainingSettings
from training.data import Batch, make_batch
from training.engine import Engine
from training.model import build_model
from training.throughput import operations_per_token

CPU = torch.device("cpu")
SEPARATOR, PAD = 9, 6
PEAK_SIZE = 1024


class PlainBlock(nn.Module):
    """A pre-LayerNorm block with one matrix for query, key and value."""

    def __init__(self, shape: ModelSettings) -> None:
        super().__init__()
        hidden = shape.hidden
        self.heads = shape.heads
        self.first_norm, self.second_norm = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.attention = nn.Linear(hidden, 3 * hidden)
        self.output = nn.Linear(hidden, hidden)
        self.expand = nn.Linear(hidden, 4 * hidden)
        self.contract = nn.Linear(4 * hidden, hidden)

    def forward(self, hidden: Tensor) -> Tensor:
        parts = self.attention(self.first_norm(hidden)).chunk(3, 2)
        split = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts)
        seen = F.scaled_dot_product_attention(*split, is_causal=True)
        hidden = hidden + self.output(seen.transpose(1, 2).flatten(2))
        inner = F.gelu(self.expand(self.second_norm(hidden)), approximate="tanh")
        return hidden + self.contract(inner)


class PlainGPT(nn.Module):
    """As many such blocks as PanGu-α has layers, with tied embeddings."""

    def __init__(self, shape: ModelSettings) -> None:
        super().__init__()
        self.words = nn.Embedding(shape.vocabulary, shape.hidden)
        self.places = nn.Embedding(shape.sequence_length, shape.hidden)
        self.blocks = nn.ModuleList(PlainBlock(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.hidden)

    def forward(self, ids: Tensor) -> Tensor:
        hidden = self.words(ids) + self.places(torch.arange(ids.shape[1]))
        for block in self.blocks:
            hidden = block(hidden)
        return F.linear(self.norm(hidden), self.words.weight)


def plain_step(
    model: nn.Module, logits_of: Callable[[Batch], Tensor], batch: Batch, is_bfloat16: bool
) -> Callable[[], None]:
    """Returns the shortest step there is for a model."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=is_bfloat16):
            logits = logits_of(batch)
        F.cross_entropy(logits.flatten(0, 1).float(), batch.labels.flatten()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def contenders(settings: TrainingSettings, batch: Batch) -> dict[str, Callable[[], None]]:
    """Returns what makes one step of each."""
    shape = settings.model
    is_bfloat16 = settings.optimisation.precision == "bfloat16"
    engine = Engine(settings, CPU)

    def engine_step() -> None:
        engine.gradients(batch)
        engine.update(1e-4)

    pangu = build_model(shape, CPU)
    plain = PlainGPT(shape)
    steps = {
        "engine": engine_step,
        "loop": plain_step(
            pangu, lambda b: pangu(b.ids, b.positions, b.documents), batch, is_bfloat16
        ),
        "plain GPT": plain_step(plain, lambda b: plain(b.ids), batch, is_bfloat16),
    }
    try:
        from transformers import GPT2Config, GPT2LMHeadModel
    except ImportError:
        return steps
    gpt2 = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=shape.vocabulary,
            n_positions=shape.sequence_length,
            n_embd=shape.hidden,
            n_layer=shape.layers,
            n_head=shape.heads,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=SEPARATOR,
            eos_token_id=SEPARATOR,
        )
    )
    gpt2.train()
    steps["transformers"] = plain_step(
        gpt2, lambda b: gpt2(b.ids, use_cache=False).logits, batch, is_bfloat16
    )
    return steps


def matrix_peak(precision: str) -> float:
    """Returns the operations per CPU second of the fastest of a dozen square matrix products."""
    one, other = torch.randn(2, PEAK_SIZE, PEAK_SIZE).to(getattr(torch, precision))
    best = float("inf")
    for _ in range(12):
        started = time.process_time()
        one @ other
        best = min(best, time.process_time() - started)
    return 2 * PEAK_SIZE**3 / best


@click.command()
@click.option("--layers", default=4, show_default=True)
@click.option("--hidden", default=256, show_default=True)
@click.option("--length", default=256, show_default=True, help="Ids of a sample.")
@click.option("--batch", default=4, show_default=True)
@click.option("--vocabulary", default=8192, show_default=True)
@click.option("--precision", default="float32", show_default=True)
@click.option("--rounds", default=8, show_default=True)
def main(
    layers: int,
    hidden: int,
    length: int,
    batch: int,
    vocabulary: int,
    precision: str,
    rounds: int,
) -> None:
    """Measures steps of a small model on the CPU."""
    torch.set_num_threads(1)
    shape = {"layers": layers, "hidden": hidden, "heads": hidden // 32}
    settings = TrainingSettings.model_validate(
        {
            "model": {**shape, "sequence_length": length, "vocabulary": vocabulary},
            "data": {"shards": "unused", "tokenizer": "unused"},
            "optimisation": {"steps": rounds, "batch": batch, "precision": precision},
        }
    )
    numbers = np.random.default_rng(0)
    ids = numbers.integers(10, vocabulary, size=(batch, length + 1))
    ids[numbers.random(ids.shape) < 0.01] = SEPARATOR
    steps = contenders(settings, make_batch(ids, SEPARATOR, PAD))
    best = dict.fromkeys(steps, float("inf"))
    peak = 0.0
    # The first two rounds fill caches and create the moments.
    for number in range(rounds + 2):
        peak = max(peak, matrix_peak(precision))
        names = [*steps]
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            step = steps[name]
            started = time.process_time()
            step()
            if number >= 2:
                best[name] = min(best[name], time.process_time() - started)
    click.echo(
        f"{settings.model.parameter_count:,} parameters, {batch} samples of {length} ids, "
        f"{precision}, one thread, fastest of {rounds} rounds"
    )
    operations = operations_per_token(settings) * batch * length
    for name, seconds in best.items():
        click.echo(
            f"{name:13s} {seconds * 1000:7.1f} ms  {batch * length / seconds:8,.0f} tokens/s  "
            f"{operations / seconds / peak:4.0%} of the matrix peak  "
            f"engine is {seconds / best['engine']:.3f} times as fast"
        )


if __name__ == "__main__":
    main()
