"""PanGu-α for Hugging Face transformers: a GPT of pre-LayerNorm blocks, closed by a query layer.

This file stands beside the weights of an exported model and is loaded by

    AutoModelForCausalLM.from_pretrained(FOLDER, trust_remote_code=True)

Its tensors have the same names as in the trainer that exported them. The output projection is the
word embedding itself, so there is no separate head.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Cache, DynamicCache, GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

# transformers 5.24 renamed what had been `past_key_values`.
_FIELDS = {field.name for field in dataclasses.fields(CausalLMOutputWithPast)}
CACHE_FIELD = "cache" if "cache" in _FIELDS else "past_key_values"


class PanGuConfig(PretrainedConfig):
    """Shape of a model; `num_hidden_layers` counts the query layer, which is the last one."""

    model_type = "pangu_alpha"

    def __init__(
        self,
        vocab_size: int = 40_000,
        hidden_size: int = 2560,
        num_hidden_layers: int = 32,
        num_attention_heads: int = 32,
        max_position_embeddings: int = 1024,
        layer_norm: str = "before_query",
        layer_norm_epsilon: float = 1e-5,
        use_cache: bool = True,
        pad_token_id: int = 6,
        bos_token_id: int | None = None,
        eos_token_id: int = 9,
        **others: Any,
    ) -> None:
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.max_position_embeddings = max_position_embeddings
        if layer_norm not in ("before_query", "after_query"):
            raise ValueError(f"layer_norm is '{layer_norm}'; valid: before_query, after_query")
        self.layer_norm = layer_norm
        self.layer_norm_epsilon = layer_norm_epsilon
        self.use_cache = use_cache
        # The head is the word embedding by construction: there are no two weights to tie.
        others["tie_word_embeddings"] = False
        super().__init__(
            pad_token_id=pad_token_id,
            bos_token_id=bos_token_id,
            eos_token_id=eos_token_id,
            **others,
        )


class PanGuAttention(nn.Module):
    """Multi-head attention whose queries may come from elsewhere than its keys and values."""

    def __init__(self, config: PanGuConfig, number: int) -> None:
        super().__init__()
        self.number = number
        self.head_size = config.hidden_size // config.num_attention_heads
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)
        self.output = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(
        self, asking: Tensor, answering: Tensor, mask: Tensor, cache: Cache | None
    ) -> Tensor:
        queries, keys, values = (
            states.unflatten(2, (-1, self.head_size)).transpose(1, 2)
            for states in (self.query(asking), self.key(answering), self.value(answering))
        )
        if cache is not None:
            keys, values = cache.update(keys, values, self.number)
        seen = F.scaled_dot_product_attention(queries, keys, values, mask)
        return self.output(seen.transpose(1, 2).flatten(2))


class PanGuFeedForward(nn.Module):
    """Two matrices with a GELU (tanh form) between them."""

    def __init__(self, config: PanGuConfig) -> None:
        super().__init__()
        self.expand = nn.Linear(config.hidden_size, 4 * config.hidden_size)
        self.contract = nn.Linear(4 * config.hidden_size, config.hidden_size)

    def forward(self, states: Tensor) -> Tensor:
        return self.contract(F.gelu(self.expand(states), approximate="tanh"))


class PanGuBlock(nn.Module):
    """One layer; given a query, the query layer."""

    def __init__(self, config: PanGuConfig, number: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_epsilon)
        self.attention = PanGuAttention(config, number)
        self.feed_forward_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_epsilon)
        self.feed_forward = PanGuFeedForward(config)

    def forward(
        self, hidden: Tensor, mask: Tensor, cache: Cache | None, query: Tensor | None = None
    ) -> Tensor:
        normed = self.attention_norm(hidden)
        asking = normed if query is None else query
        hidden = hidden + self.attention(asking, normed, mask, cache)
        return hidden + self.feed_forward(self.feed_forward_norm(hidden))


class PanGuForCausalLM(PreTrainedModel, GenerationMixin):
    """The whole model, with the interface that `generate` and `Trainer` expect."""

    config_class = PanGuConfig
    base_model_prefix = ""
    _no_split_modules = ["PanGuBlock"]  # noqa: RUF012 - the name and form that transformers reads
    _supports_sdpa = True

    def __init__(self, config: PanGuConfig) -> None:
        super().__init__(config)
        self.word_embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.position_embedding = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.query_embedding = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.layers = nn.ModuleList(
            PanGuBlock(config, number) for number in range(config.num_hidden_layers)
        )
        self.final_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_epsilon)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.word_embedding

    def set_input_embeddings(self, embedding: nn.Embedding) -> None:
        self.word_embedding = embedding

    def get_output_embeddings(self) -> None:
        return None

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        cache: Cache | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        **others: Any,
    ) -> CausalLMOutputWithPast:
        """Returns logits of the id that follows each position, and the loss where labels are given.

        Args:
          input_ids: int64 [batch, new]; with a cache, only the ids that it does not hold yet.
          attention_mask: [batch, cached + new], 0 for padding.
          position_ids: int64 [batch, new]; counted without the padding where not given.
          past_key_values: cache of the ids before these.
          cache: the same, by its name since transformers 5.24.
          labels: int64 [batch, new], -100 where there is no loss; usually `input_ids` itself.
          use_cache: whether to return a cache; the configuration decides where not given.
          logits_to_keep: only the last so many positions get logits; 0 means all.
        """
        batch, new = input_ids.shape
        use_cache = self.config.use_cache if use_cache is None else use_cache
        cache = past_key_values if cache is None else cache
        if use_cache and cache is None:
            cache = DynamicCache()
        before = cache.get_seq_length() if cache is not None else 0
        rows = torch.arange(before, before + new, device=input_ids.device)
        columns = torch.arange(before + new, device=input_ids.device)
        mask = (rows.unsqueeze(1) >= columns).expand(batch, 1, -1, -1)
        if attention_mask is not None and attention_mask.dim() == 2:
            is_text = attention_mask.bool()
            # Padding sees itself: a row that sees nothing would have no softmax.
            mask = (mask & is_text[:, None, None, :]) | (rows.unsqueeze(1) == columns)
            if position_ids is None:
                position_ids = (is_text.long().cumsum(1) - 1).clamp(min=0)[:, -new:]
        if position_ids is None:
            position_ids = rows.expand(batch, -1)

        hidden = self.word_embedding(input_ids) + self.position_embedding(position_ids)
        *blocks, query_layer = self.layers
        for block in blocks:
            hidden = block(hidden, mask, cache)
        if self.config.layer_norm == "before_query":
            hidden = self.final_norm(hidden)
        query = self.query_embedding(position_ids)
        hidden = query_layer(hidden, mask, cache, query)
        if self.config.layer_norm == "after_query":
            hidden = self.final_norm(hidden)
        logits = F.linear(hidden[:, -logits_to_keep:], self.word_embedding.weight)

        loss = None
        if labels is not None:
            loss = F.cross_entropy(
                logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=-100
            )
        return CausalLMOutputWithPast(loss=loss, logits=logits, **{CACHE_FIELD: cache})
