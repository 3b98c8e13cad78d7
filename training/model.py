"""The PanGu-α model: a GPT of pre-LayerNorm blocks, closed by the query layer (PanGu-α §2.2).

    hidden = word_embedding[ids] + position_embedding[positions]
    hidden = block(hidden)                                   layers - 1 times
    hidden = query_layer(final_norm(hidden), query_embedding[positions])
    logits = hidden · word_embeddingᵀ

The query layer is a block whose attention asks not with the hidden state but with a learned
vector for the position, "predict what follows position t" (Eq. 5). Positions and documents come
from outside, so that both can restart where a document ends.

Nothing here knows of devices or processes: `training.parallel` lays a model out from outside. A
pipeline stage is the same model with only some of its layers.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.attention import AttentionMask, KeyValueCache, attend, document_mask
from training.config import ModelSettings

LAYER_NORM_EPSILON = 1e-5


class Attention(nn.Module):
    """Multi-head attention (PanGu-α Eq. 2), scaled by the root of the head size as in all code."""

    def __init__(self, settings: ModelSettings, name: str) -> None:
        super().__init__()
        self.name = name
        self.head_size = settings.hidden // settings.heads
        self.dropout = settings.dropout
        self.query = nn.Linear(settings.hidden, settings.hidden)
        self.key = nn.Linear(settings.hidden, settings.hidden)
        self.value = nn.Linear(settings.hidden, settings.hidden)
        self.output = nn.Linear(settings.hidden, settings.hidden)

    def forward(
        self,
        states: Tensor,
        mask: AttentionMask,
        cache: KeyValueCache | None = None,
        asking: Tensor | None = None,
    ) -> Tensor:
        """[batch, new, hidden] → the same shape; `asking`, where given, makes the queries."""
        queries = self._split_heads(self.query(states if asking is None else asking))
        keys = self._split_heads(self.key(states))
        values = self._split_heads(self.value(states))
        if cache is not None:
            keys, values = cache.extend(self.name, keys, values)
        seen = attend(queries, keys, values, mask, self.dropout if self.training else 0.0)
        return self.output(seen.transpose(1, 2).flatten(2))

    def _split_heads(self, states: Tensor) -> Tensor:
        """[batch, length, heads · head size] → [batch, heads, length, head size]."""
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

    def __init__(self, settings: ModelSettings, name: str) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(settings.hidden, eps=LAYER_NORM_EPSILON)
        self.attention = Attention(settings, name)
        self.feed_forward_norm = nn.LayerNorm(settings.hidden, eps=LAYER_NORM_EPSILON)
        self.feed_forward = FeedForward(settings)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(
        self,
        hidden: Tensor,
        mask: AttentionMask,
        cache: KeyValueCache | None = None,
        query: Tensor | None = None,
    ) -> Tensor:
        """[batch, length, hidden] → the same shape.

        `query`, where given, takes the place of the normalised hidden state as what the attention
        asks with; it is not normalised itself, and the residual is still `hidden`.
        """
        normed = self.attention_norm(hidden)
        seen = self.attention(normed, mask, cache, asking=query)
        hidden = hidden + self.dropout(seen)
        return hidden + self.dropout(self.feed_forward(self.feed_forward_norm(hidden)))


class Head(nn.Module):
    """The output layer (PanGu-α Eq. 6): no weights of its own, no bias."""

    def forward(self, hidden: Tensor, word_embedding: Tensor) -> Tensor:
        """[batch, length, hidden], [vocabulary, hidden] → [batch, length, vocabulary]."""
        return F.linear(hidden, word_embedding)


class PanGu(nn.Module):
    """The model, or the part of it that consecutive layers make up.

    `layers` is keyed by layer number in the whole model; the last one is the query layer. What
    comes before the first layer is in the part that has it, and what belongs to the last layer
    (query table, final LayerNorm, head) in the part that has that. Both of these have the word
    embedding: two copies of one parameter, which `training.engine` keeps equal.
    """

    def __init__(self, settings: ModelSettings, layers: range | None = None) -> None:
        """Builds the layers of these numbers, or all."""
        super().__init__()
        layers = range(settings.layers) if layers is None else layers
        self.settings = settings
        self.is_first = layers.start == 0
        self.is_last = layers.stop == settings.layers
        if self.is_first or self.is_last:
            self.word_embedding = nn.Embedding(settings.vocabulary, settings.hidden)
        if self.is_first:
            self.position_embedding = nn.Embedding(settings.sequence_length, settings.hidden)
        if self.is_last:
            self.query_embedding = nn.Embedding(settings.sequence_length, settings.hidden)
            self.final_norm = nn.LayerNorm(settings.hidden, eps=LAYER_NORM_EPSILON)
            self.head = Head()
        self.layers = nn.ModuleDict({str(n): Block(settings, str(n)) for n in layers})
        self.dropout = nn.Dropout(settings.dropout)
        self.document_mask: Callable[[Tensor], AttentionMask] = document_mask

    def forward(
        self,
        states: Tensor,
        positions: Tensor,
        documents: Tensor,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        """Returns logits of the id that follows each position: [batch, length, vocabulary].

        Args:
          states: ids, int64 [batch, length]; for a part without the first layer, what the part
            before it returned, [batch, length, hidden].
          positions: int64 [batch, length], below `sequence_length`.
          documents: int64 [batch, length]; attention stays among equal numbers.
          cache: holds ids that were read before, and takes these in.
        """
        mask = self.document_mask(documents) if cache is None else cache.begin(documents)
        if self.is_first:
            embedded = self.word_embedding(states) + self.position_embedding(positions)
            hidden = self.dropout(as_computed(embedded))
        else:
            hidden = states
        query_layer = str(self.settings.layers - 1)
        for name, block in self.layers.items():
            if name != query_layer:
                hidden = block(hidden, mask, cache)
        if not self.is_last:
            return hidden
        if self.settings.layer_norm == "before_query":
            hidden = self.final_norm(hidden)
        query = as_computed(self.query_embedding(positions))
        hidden = self.layers[query_layer](hidden, mask, cache, query=query)
        if self.settings.layer_norm == "after_query":
            hidden = self.final_norm(hidden)
        return self.head(hidden, self.word_embedding.weight)


def as_computed(states: Tensor) -> Tensor:
    """Returns states in the type of matrix products, so that residuals are kept in it too."""
    device = states.device.type
    if torch.is_autocast_enabled(device):
        return states.to(torch.get_autocast_dtype(device))
    return states


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
