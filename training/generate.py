"""Continuing prompts: the ids one after the other, each drawn from what the model expects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pangu_settings import UserError
from tokenizer import Tokenizer
from training.attention import KeyValueCache
from training.loss import whole
from training.model import PanGu

PADDING = -1
"""Document of the places before a shorter prompt; it sees and is seen by itself alone."""


@dataclass(frozen=True)
class Sampling:
    """How an id is drawn from the model's logits.

    The order is repetition penalty, temperature, then the `top_k` likeliest ids, then the fewest
    likeliest ids that together reach probability `top_p`.
    """

    temperature: float = 1.0
    """Logits are divided by it; 0 always takes the likeliest id."""
    top_k: int | None = None
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    """What the logits of ids that were read or written already lose: positive ones are divided by
    it, negative ones multiplied (Keskar et al. 2019, CTRL, §4.1)."""

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise UserError(f"temperature is {self.temperature}; it must be 0 or more")
        if self.top_k is not None and self.top_k < 1:
            raise UserError(f"top-k is {self.top_k}; it must be 1 or more")
        if not 0 < self.top_p <= 1:
            raise UserError(f"top-p is {self.top_p}; it must be above 0 and at most 1")
        if self.repetition_penalty <= 0:
            raise UserError(f"repetition-penalty is {self.repetition_penalty}; it must be above 0")

    def probabilities(self, logits: Tensor, seen: Sequence[int] = ()) -> Tensor:
        """Returns the probability of each id.

        Args:
          logits: [vocabulary], any floating type.
          seen: ids that a penalty is due for.

        Returns:
          float32 [vocabulary].
        """
        logits = logits.float()
        if self.repetition_penalty != 1.0 and seen:
            ids = torch.tensor(sorted(set(seen)), device=logits.device)
            found = logits[ids]
            penalty = self.repetition_penalty
            lower = torch.where(found > 0, found / penalty, found * penalty)
            logits = logits.index_copy(0, ids, lower)
        if self.temperature == 0:
            return torch.zeros_like(logits).index_fill_(0, logits.argmax(), 1.0)
        ranked, order = (logits / self.temperature).sort(descending=True, stable=True)
        if self.top_k is not None:
            ranked[self.top_k :] = -torch.inf
        likely = ranked.softmax(dim=0)
        # The likeliest id always stays: nothing comes before it.
        likely[likely.cumsum(dim=0) - likely >= self.top_p] = 0.0
        return torch.zeros_like(likely).scatter_(0, order, likely / likely.sum())


@torch.no_grad()
def continue_ids(
    model: PanGu,
    prompts: Sequence[Sequence[int]],
    limit: int,
    stop: int,
    sampling: Sampling,
    seed: int,
) -> Iterator[list[int | None]]:
    """Yields the next id of each prompt, as soon as all are drawn; None for those that have ended.

    A prompt ends before `stop` would be yielded, after `limit` ids, or when the model has no more
    positions. What is drawn for one prompt does not depend on those beside it, up to rounding.

    In a layout of several ranks all of them must be given the same prompts; they draw the same ids.

    Args:
      model: of one stage, in any layout without sequence parallelism; its dropout must be off.
      prompts: each of at least one id, and at most as many as the model has positions.
      limit: largest number of ids for each.
      stop: id that ends a document.
      sampling: how ids are drawn.
      seed: the same seed draws the same ids. The second prompt uses the seed after it, and so on.

    Raises:
      UserError: a prompt is empty or does not fit the model.
    """
    positions = model.settings.sequence_length
    for prompt in prompts:
        _check_prompt(prompt, positions)
    device = next(model.parameters()).device
    generators = [torch.Generator().manual_seed(seed + n) for n in range(len(prompts))]
    longest = max(len(prompt) for prompt in prompts)
    # The last id that is drawn need not be read.
    rooms = [min(limit, positions - len(prompt) + 1) for prompt in prompts]
    cache = KeyValueCache(longest + max(rooms))
    known = [list(prompt) for prompt in prompts]
    has_ended = [room < 1 for room in rooms]

    # Prompts end in the same column; what stands before a shorter one is nobody's.
    before = torch.tensor([[longest - len(prompt)] for prompt in prompts], device=device)
    columns = torch.arange(longest, device=device)
    ids = torch.tensor([[0] * (longest - len(p)) + list(p) for p in prompts], device=device)
    places = (columns - before).clamp(min=0)
    documents = torch.where(columns < before, PADDING, 0)
    while not all(has_ended):
        logits = whole(model(ids, places, documents, cache)[:, -1]).cpu()
        drawn: list[int | None] = []
        for row, generator in enumerate(generators):
            if has_ended[row]:
                drawn.append(None)
                continue
            likely = sampling.probabilities(logits[row], known[row])
            chosen = int(torch.multinomial(likely, 1, generator=generator))
            has_ended[row] = chosen == stop
            drawn.append(None if chosen == stop else chosen)
        if any(chosen is not None for chosen in drawn):
            yield list(drawn)
        for row, new in enumerate(drawn):
            if new is not None:
                known[row].append(new)
                has_ended[row] = len(known[row]) - len(prompts[row]) >= rooms[row]
        # A prompt that has ended reads on in its last position; nobody looks at what it says.
        ids = torch.tensor([[row[-1]] for row in known], device=device)
        places = torch.tensor([[min(len(row), positions) - 1] for row in known], device=device)
        documents = torch.zeros_like(ids)


def continue_text(
    model: PanGu, tokenizer: Tokenizer, prompt: str, limit: int, sampling: Sampling, seed: int
) -> Iterator[str]:
    """Yields the text that a model puts after a prompt, piece by piece as it is drawn.

    Args:
      model, tokenizer: a trained model.
      prompt: text.
      limit: largest number of tokens to add.
      sampling: how tokens are drawn.
      seed: the same seed draws the same text.

    Raises:
      UserError: the prompt is empty or too long.
    """
    encoded = tokenizer.encode(prompt).tolist()
    ids: list[int] = []
    shown = ""
    for [drawn] in continue_ids(model, [encoded], limit, tokenizer.separator, sampling, seed):
        assert drawn is not None
        ids.append(drawn)
        # A character of several byte pieces is complete with the last of them.
        text = tokenizer.decode(ids).rstrip("\ufffd")
        if text.startswith(shown) and text != shown:
            yield text[len(shown) :]
            shown = text
    text = tokenizer.decode(ids)
    if text.startswith(shown) and text != shown:
        yield text[len(shown) :]


def continue_texts(
    model: PanGu,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    limit: int,
    sampling: Sampling,
    seed: int,
) -> list[str]:
    """Returns what a model puts after each of several prompts, which it reads together.

    Raises:
      UserError: a prompt is empty or too long.
    """
    encoded = [tokenizer.encode(prompt).tolist() for prompt in prompts]
    ids: list[list[int]] = [[] for _ in prompts]
    for drawn in continue_ids(model, encoded, limit, tokenizer.separator, sampling, seed):
        for row, chosen in zip(ids, drawn, strict=True):
            if chosen is not None:
                row.append(chosen)
    return [tokenizer.decode(row) for row in ids]


def _check_prompt(prompt: Sequence[int], positions: int) -> None:
    if not prompt:
        raise UserError("the prompt is empty; write at least one character")
    if len(prompt) > positions:
        raise UserError(
            f"the prompt has {len(prompt)} tokens, the model has {positions} positions; "
            "use a shorter prompt"
        )
