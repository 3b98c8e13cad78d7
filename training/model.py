"""The PanGu-α model: a GPT of pre-LayerNorm blocks, closed by the query layer (PanGu-α §2.2).

    hidden = word_embedding[ids] + position_embedding[positions]
    hidden = block(hidden)                                   layers - 1 times
    hidden = query_layer(final_norm(hidden), query_embedding[positions])
    logits = hidden · word_embeddingᵀ

The query layer is a block whose attention asks not with the hidden state but with a learned
vector for the position, "predict what follows position t" (Eq. 5). Positions and the attention
mask come from outside, so that both can restart where a document ends.
"""

from __future__ import annotations

import hashlib
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.config import ModelSettings

LAYER_NORM_EPSILON = 1e-5


class LayerCache:
    """Keys and values that one layer has computed for the ids read so far."""

    def __init__(self, settings: ModelSettings, batch: int, device: torch.device) -> None:
        head_size = settings.hidden // settings.heads
        shape = (batch, settings.heads, settings.sequence_length, head_size)
        self._keys = torch.empty(shape, device=device)
        self._values = torch.empty(shape, device=device)
        self.length = 0

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Appends [batch, heads, new, head size] to both; returns all keys and all values."""
        end = self.length + keys.shape[2]
        self._keys[:, :, self.length : end] = keys
        self._values[:, :, self.length : end] = values
        self.length = end
        return self._keys[:, :, :end], self._values[:, :, :end]


class Attention(nn.Module):
    """Multi-head attention (PanGu-α Eq. 2), scaled by the root of the head size as in all code."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.head_size = settings.hidden // settings.heads
        self.dropout = settings.dropout
        self.query = nn.Linear(settings.hidden, settings.hidden)
        self.key = nn.Linear(settings.hidden, settings.hidden)
        self.value = nn.Linear(settings.hidden, settings.hidden)
        self.output = nn.Linear(settings.hidden, settings.hidden)

    def forward(
        self, asking: Tensor, answering: Tensor, mask: Tensor, cache: LayerCache | None
    ) -> Tensor:
        """Returns [batch, new, hidden]; queries are made from `asking`, the rest from `answering`.

        `mask` is boolean and broadcasts to [batch, heads, new, all]; True may be seen.
        """
        queries = self._split_heads(self.query(asking))
        keys = self._split_heads(self.key(answering))
        values = self._split_heads(self.value(answering))
        if cache is not None:
            keys, values = cache.extend(keys, values)
        dropout = self.dropout if self.training else 0.0
        seen = F.scaled_dot_product_attention(queries, keys, values, mask, dropout_p=dropout)
        return self.output(seen.transpose(1, 2).flatten(2))

    def _split_heads(self, states: Tensor) -> Tensor:
        """[batch, length, hidden] → [batch, heads, length, head size]."""
        return states.unflatten(2, (-1, self.head_size)).transpose(1, 2)


class FeedForward(nn.Module):
    """Two matrices with a GELU between them (PanGu-α Eq. 4); four times as wide inside."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.expand = nn.Linear(settings.hidden, 4 * settings.hidden)
        self.contract = nn.Linear(4 * settings.hidden, settings.hidden)

    def forward(self, states: Tensor) -> Tensor:
        """[batch, length, hidden] → the same shape."""
        # The tanh form is the GELU of the framework in which the released models were trained.
        return self.contract(F.gelu(self.expand(states), approximate="tanh"))


class Block(nn.Module):
    """One pre-LayerNorm transformer layer (PanGu-α Eq. 3-4); with a query, the query layer."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(settings.hidden, eps=LAYER_NORM_EPSILON)
        self.attention = Attention(settings)
        self.feed_forward_norm = nn.LayerNorm(settings.hidden, eps=LAYER_NORM_EPSILON)
        self.feed_forward = FeedForward(settings)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(
        self,
        hidden: Tensor,
        mask: Tensor,
        query: Tensor | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        """[batch, length, hidden] → the same shape.

        `query`, where given, takes the place of the normalised hidden state as what the attention
        asks with; it is not normalised itself, and the residual is still `hidden`.
        """
        normed = self.attention_norm(hidden)
        asking = normed if query is None else query
        hidden = hidden + self.dropout(self.attention(asking, normed, mask, cache))
        return hidden + self.dropout(self.feed_forward(self.feed_forward_norm(hidden)))


class PanGu(nn.Module):
    """The whole model. `layers` is keyed by layer number; the last one is the query layer."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.settings = settings
        self.word_embedding = nn.Embedding(settings.vocabulary, settings.hidden)
        self.position_embedding = nn.Embedding(settings.sequence_length, settings.hidden)
        self.query_embedding = nn.Embedding(settings.sequence_length, settings.hidden)
        self.layers = nn.ModuleDict({str(n): Block(settings) for n in range(settings.layers)})
        self.final_norm = nn.LayerNorm(settings.hidden, eps=LAYER_NORM_EPSILON)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(
        self,
        ids: Tensor,
        positions: Tensor,
        mask: Tensor,
        caches: dict[str, LayerCache] | None = None,
    ) -> Tensor:
        """Returns logits of the id that follows each position: [batch, length, vocabulary].

        Args:
          ids: int64 [batch, length].
          positions: int64 [batch, length], below `sequence_length`.
          mask: boolean, broadcasts to [batch, heads, length, length]; True may be seen. With
            caches its last dimension covers the cached ids as well.
          caches: what `new_caches` gave, holding earlier ids; extended by these ids.
        """
        hidden = self.word_embedding(ids) + self.position_embedding(positions)
        hidden = self.dropout(hidden)
        *blocks, query_layer = self.layers
        for name in blocks:
            hidden = self.layers[name](hidden, mask, cache=caches[name] if caches else None)
        if self.settings.layer_norm == "before_query":
            hidden = self.final_norm(hidden)
        hidden = self.layers[query_layer](
            hidden,
            mask,
            query=self.query_embedding(positions),
            cache=caches[query_layer] if caches else None,
        )
        if self.settings.layer_norm == "after_query":
            hidden = self.final_norm(hidden)
        return F.linear(hidden, self.word_embedding.weight)

    def new_caches(self, batch: int) -> dict[str, LayerCache]:
        """Returns empty caches for `batch` sequences, one for each layer."""
        device = self.word_embedding.weight.device
        return {name: LayerCache(self.settings, batch, device) for name in self.layers}


def document_mask(documents: Tensor) -> Tensor:
    """Returns the mask under which an id sees itself and earlier ids of its own document.

    Args:
      documents: int64 [batch, length], equal where ids belong to the same document.

    Returns:
      Boolean [batch, 1, length, length].
    """
    length = documents.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=documents.device).tril()
    same = documents.unsqueeze(2) == documents.unsqueeze(1)
    return (same & causal).unsqueeze(1)


def build_model(settings: ModelSettings, device: torch.device) -> PanGu:
    """Returns a model with its initial weights, in float32 on `device`."""
    with torch.device("meta"):
        model = PanGu(settings)
    model.to_empty(device=device)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(initial_values(name, parameter.shape, settings))
    return model


def initial_values(name: str, shape: torch.Size, settings: ModelSettings) -> Tensor:
    """Returns the initial values of one parameter: float32, on the CPU.

    They are drawn from a generator seeded by the parameter's name, so they do not depend on
    which other parameters exist, on the device or on how a model is split over devices.
    Deviations are those of the released training code.
    """
    digest = hashlib.sha256(f"{settings.seed}/{name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
    values = torch.empty(shape)
    module, kind = name.split(".")[-2:]
    if kind == "bias":
        return values.zero_()
    match module:
        case "attention_norm" | "feed_forward_norm" | "final_norm":
            return values.fill_(1.0)
        case "position_embedding" | "query_embedding":
            return nn.init.trunc_normal_(values, std=0.02, a=-0.04, b=0.04, generator=generator)
        case "query" | "key" | "value":
            deviation = 0.01
        case "output" | "contract":
            # Each layer adds to the residual twice; this keeps its variance independent of depth.
            deviation = 0.02 / math.sqrt(2 * settings.layers)
        case _:
            deviation = 0.02
    return values.normal_(0.0, deviation, generator=generator)
