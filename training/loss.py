"""The loss: negative log-likelihood of labels, in float32, also where ranks share the vocabulary.

Logits that tensor-parallel ranks share are DTensors split over the vocabulary. They are never
put together: inside `vocabulary_parallel()` the ranks exchange a maximum and a sum per label.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.distributed.tensor.parallel import loss_parallel

from training.data import Batch

# Label of an id that nothing is learned from.
IGNORED = -100


def vocabulary_parallel(tp: int) -> AbstractContextManager[None]:
    """Returns the context in which losses and their backward passes run; it is used once."""
    return loss_parallel() if tp > 1 else nullcontext()


def learned_labels(batch: Batch) -> Tensor:
    """Returns the labels of a batch, int64 [samples, length], IGNORED where they weigh nothing."""
    return torch.where(batch.weights > 0, batch.labels, IGNORED)


def summed_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Returns Σ -ln p(label) over the labels that are learned, in nats, a float32 scalar.

    Args:
      logits: [samples, length, vocabulary], any floating type.
      labels: int64 [samples, length], some of them IGNORED.
    """
    flat = logits.flatten(0, 1).float()
    return F.cross_entropy(flat, labels.flatten(), ignore_index=IGNORED, reduction="sum")


def token_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Returns -ln p(label) of each label, float32 [samples, length]; 0 where it is IGNORED.

    Args:
      logits: [samples, length, vocabulary], any floating type.
      labels: int64 [samples, length].
    """
    flat = logits.flatten(0, 1).float()
    losses = F.cross_entropy(flat, labels.flatten(), ignore_index=IGNORED, reduction="none")
    return whole(losses).view_as(labels)


def whole(tensor: Tensor) -> Tensor:
    """Returns the values of a tensor that ranks may share, as a plain tensor on each of them."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
