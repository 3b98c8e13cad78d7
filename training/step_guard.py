"""Which steps are worth making: not those that are not finite, nor sudden spikes.

The rule is that of OLMo-core's SkipStepOptimizer, with its numbers: a step is skipped when its loss
or its gradient norm is more than six standard deviations above the mean of the last 128 steps, of
which there must be at least 64. Steps that were skipped for a spike count among these, so that a
level that stays high is accepted after a while.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

WINDOW = 128
LEAST = WINDOW // 2


class StepGuard:
    """Judges each step by those before it.

    What it remembers are tensors, saved with each checkpoint, so that a resumed run judges as one
    that went on.
    """

    def __init__(self, deviations: float | None) -> None:
        """Remembers nothing yet; `deviations` None skips only what is not finite."""
        self._deviations = deviations
        self._recent = torch.full((2, WINDOW), math.nan, dtype=torch.float64)
        """[loss, norm; oldest to newest], NaN before the first step."""
        self._counts = torch.zeros(2, dtype=torch.int64)
        """Skipped in a row, and in all."""

    @property
    def skipped_in_a_row(self) -> int:
        """Steps skipped since the last one that was made."""
        return int(self._counts[0])

    @property
    def skipped(self) -> int:
        """Steps skipped since the beginning of the run."""
        return int(self._counts[1])

    def accepts(self, loss: float, norm: float) -> bool:
        """Returns whether a step is to be made, and remembers it."""
        now = torch.tensor([loss, norm], dtype=torch.float64)
        is_accepted = bool(now.isfinite().all()) and not self._is_spike(now)
        if now.isfinite().all():
            self._recent.copy_(torch.cat((self._recent[:, 1:], now[:, None]), dim=1))
        if is_accepted:
            self._counts[0] = 0
        else:
            self._counts += 1
        return is_accepted

    def state(self) -> dict[str, Tensor]:
        """Returns what is remembered, by name; changing it changes what is remembered."""
        return {"guard.recent": self._recent, "guard.skipped": self._counts}

    def _is_spike(self, now: Tensor) -> bool:
        if self._deviations is None:
            return False
        known = self._recent[:, ~self._recent[0].isnan()]
        if known.shape[1] < LEAST:
            return False
        deviation, mean = torch.std_mean(known, dim=1)
        return bool((now - mean > self._deviations * deviation).any())
