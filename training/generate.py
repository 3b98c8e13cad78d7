"""Continuing a prompt: the ids one after the other, each drawn from what the model expects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pangu_settings import UserError
from tokenizer import Tokenizer
from training.attention import KeyValueCache
from training.checkpoint import TOKENIZER, find_checkpoint, load_weights, read_manifest
from training.model import PanGu, build_model


@dataclass(frozen=True)
class Sampling:
    """How an id is drawn from the model's logits.

    The order is temperature, then the `top_k` likeliest ids, then the fewest likeliest ids that
    together reach probability `top_p`.
    """

    temperature: float = 1.0
    """Logits are divided by it; 0 always takes the likeliest id."""
    top_k: int | None = None
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise UserError(f"temperature is {self.temperature}; it must be 0 or more")
        if self.top_k is not None and self.top_k < 1:
            raise UserError(f"top-k is {self.top_k}; it must be 1 or more")
        if not 0 < self.top_p <= 1:
            raise UserError(f"top-p is {self.top_p}; it must be above 0 and at most 1")

    def probabilities(self, logits: Tensor) -> Tensor:
        """Returns the probability of each id: [vocabulary] float32, from logits of that shape."""
        if self.temperature == 0:
            return torch.zeros_like(logits).index_fill_(0, logits.argmax(), 1.0)
        ranked, order = (logits.float() / self.temperature).sort(descending=True, stable=True)
        if self.top_k is not None:
            ranked[self.top_k :] = -torch.inf
        likely = ranked.softmax(dim=0)
        # The likeliest id always stays: nothing comes before it.
        likely[likely.cumsum(dim=0) - likely >= self.top_p] = 0.0
        return torch.zeros_like(likely).scatter_(0, order, likely / likely.sum())


@torch.inference_mode()
def continue_ids(
    model: PanGu, prompt: list[int], limit: int, stop: int, sampling: Sampling, seed: int
) -> Iterator[int]:
    """Yields the ids that follow a prompt, one as soon as it is drawn.

    Ends before `stop` would be yielded, after `limit` ids, or when the model has no more
    positions.

    Args:
      model: its dropout must be off (`model.eval()`).
      prompt: at least one id, at most as many as the model has positions.
      limit: largest number of ids.
      stop: id that ends a document.
      sampling: how ids are drawn.
      seed: the same seed draws the same ids.

    Raises:
      UserError: the prompt is empty or does not fit the model.
    """
    positions = model.settings.sequence_length
    if not prompt:
        raise UserError("the prompt is empty; write at least one character")
    if len(prompt) > positions:
        raise UserError(
            f"the prompt has {len(prompt)} tokens, the model has {positions} positions; "
            "use a shorter prompt"
        )
    device = model.word_embedding.weight.device
    generator = torch.Generator().manual_seed(seed)
    cache = KeyValueCache(positions)
    new = prompt
    read = 0
    # The last id that is drawn need not be read.
    for _ in range(min(limit, positions - len(prompt) + 1)):
        ids = torch.tensor([new], device=device)
        rows = torch.arange(read, read + len(new), device=device)
        read += len(new)
        logits = model(ids, rows.unsqueeze(0), torch.zeros_like(ids), cache)[0, -1].cpu()
        chosen = int(torch.multinomial(sampling.probabilities(logits), 1, generator=generator))
        if chosen == stop:
            return
        yield chosen
        new = [chosen]


def continue_text(checkpoints: Path, prompt: str, limit: int, sampling: Sampling, seed: int) -> str:
    """Returns the text that a trained model puts after a prompt.

    Args:
      checkpoints: a checkpoint, or a directory of checkpoints, which means the latest.
      prompt: text.
      limit: largest number of tokens to add.
      sampling: how tokens are drawn.
      seed: the same seed draws the same text.

    Raises:
      UserError: there is no checkpoint, it is damaged, or the prompt is empty or too long.
    """
    checkpoint = find_checkpoint(checkpoints)
    manifest = read_manifest(checkpoint)
    tokenizer = Tokenizer(checkpoint / TOKENIZER)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build_model(manifest.settings.model, device)
    load_weights(model, checkpoint)
    model.eval()
    ids = continue_ids(
        model, tokenizer.encode(prompt).tolist(), limit, tokenizer.separator, sampling, seed
    )
    return tokenizer.decode(list(ids))
