"""Attention within documents: who may see whom, the kernel, and what is kept while generating.

An id sees itself and earlier ids of its own document (released PanGu-α training code).
"""

from __future__ import annotations

from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

AttentionMask: TypeAlias = Tensor | BlockMask


def document_mask(documents: Tensor) -> Tensor:
    """Returns the mask under which an id sees itself and earlier ids of its own document.

    Args:
      documents: int64 [batch, length], equal where ids belong to the same document.

    Returns:
      Boolean [batch, 1, length, length]; True may be seen.
    """
    length = documents.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=documents.device).tril()
    same = documents.unsqueeze(2) == documents.unsqueeze(1)
    return (same & causal).unsqueeze(1)


def flex_document_mask(documents: Tensor) -> BlockMask:
    """Returns the same mask for FlexAttention, which skips blocks that no row of them sees.

    Args:
      documents: int64 [batch, length] on a GPU.
    """

    def may_see(sample: Tensor, head: Tensor, row: Tensor, column: Tensor) -> Tensor:
        return (documents[sample, row] == documents[sample, column]) & (row >= column)

    batch, length = documents.shape
    return create_block_mask(may_see, batch, None, length, length, device=documents.device)


# Uncompiled, FlexAttention computes every score one by one.
_compiled_flex_attention = torch.compile(flex_attention)


def attend(
    queries: Tensor, keys: Tensor, values: Tensor, mask: AttentionMask, dropout: float
) -> Tensor:
    """Returns softmax(queries · keysᵀ / √head size) · values over what the mask lets be seen.

    Args:
      queries: [batch, heads, new, head size].
      keys: [batch, heads, all, head size], as `values`.
      mask: boolean, broadcasts to [batch, heads, new, all], True may be seen; or a block mask,
        which knows no dropout.
      dropout: probability with which a weight is dropped.

    Returns:
      The shape and type of the queries.
    """
    if isinstance(mask, BlockMask):
        seen = _compiled_flex_attention(queries, keys, values, block_mask=mask)
        assert isinstance(seen, Tensor)
        return seen
    return F.scaled_dot_product_attention(queries, keys, values, mask, dropout_p=dropout)


class KeyValueCache:
    """Keys, values and document numbers of the ids that a model has read so far.

    Space is taken when the first ids come, in the type and for the heads that they come in.
    """

    def __init__(self, capacity: int) -> None:
        """Holds up to `capacity` ids of each sequence of one batch."""
        self.capacity = capacity
        self.length = 0
        self._documents: Tensor | None = None
        self._layers: dict[str, tuple[Tensor, Tensor]] = {}

    def begin(self, documents: Tensor) -> Tensor:
        """Takes the next ids in and returns what they may see, the ids before them included.

        Args:
          documents: int64 [batch, new]; -1 never sees and is never seen by other numbers, so
            it can fill the front of shorter prompts.

        Returns:
          Boolean [batch, 1, new, all].
        """
        batch, new = documents.shape
        if self._documents is None:
            self._documents = documents.new_empty(batch, self.capacity)
        start, self.length = self.length, self.length + new
        self._documents[:, start : self.length] = documents
        known = self._documents[:, : self.length]
        places = torch.arange(self.length, device=documents.device)
        earlier = places[start:].unsqueeze(1) >= places
        return ((documents.unsqueeze(2) == known.unsqueeze(1)) & earlier).unsqueeze(1)

    def extend(self, layer: str, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Appends the keys and values of the new ids; returns those of all ids.

        Args:
          layer: name of the layer they belong to.
          keys: [batch, heads, new, head size], as `values`.
        """
        if layer not in self._layers:
            shape = (*keys.shape[:2], self.capacity, keys.shape[3])
            self._layers[layer] = keys.new_empty(shape), values.new_empty(shape)
        all_keys, all_values = self._layers[layer]
        start = self.length - keys.shape[2]
        all_keys[:, :, start : self.length] = keys
        all_values[:, :, start : self.length] = values
        return all_keys[:, :, : self.length], all_values[:, :, : self.length]
