"""AdamW over two groups of parameters, and the learning rate of each step."""

from __future__ import annotations

import math

import torch
from torch import nn

from training.config import OptimisationSettings


def build_optimizer(model: nn.Module, settings: OptimisationSettings) -> torch.optim.AdamW:
    """Returns AdamW; matrices and tables decay, LayerNorms and biases (vectors) do not."""
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    return torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": settings.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ],
        lr=settings.learning_rate,
        betas=(settings.beta1, settings.beta2),
        eps=settings.epsilon,
        fused=True,
    )


def learning_rate(step: int, settings: OptimisationSettings) -> float:
    """Returns the learning rate of a step (the first is 1).

    It rises linearly over the warm-up and then follows a cosine. As in the released code the
    cosine counts from step 0, not from the end of the warm-up.
    """
    if step < settings.warmup_steps:
        return settings.learning_rate * step / settings.warmup_steps
    share = min(step / (settings.decay_steps or settings.steps), 1.0)
    above_final = settings.learning_rate - settings.final_learning_rate
    return settings.final_learning_rate + above_final * 0.5 * (1.0 + math.cos(math.pi * share))
