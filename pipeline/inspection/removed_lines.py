"""Lines that cleaning took out: how many for each reason, and a few of each to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from filters.clean import REMOVAL_REASONS, CleanedBatch
from filters.kernels.line_hashes import line_hashes

# Of each reason, for each source.
SAMPLED_LINES = 20
MOST_CHARACTERS = 200


@dataclass(frozen=True)
class RemovedLines:
    """Removed lines of some documents.

    The sample of a reason has the different lines with the smallest hashes, so that it depends on
    the documents only, not on their order, batches or files.

    Attributes:
      counts: removed lines by reason; every one of REMOVAL_REASONS is a key.
      samples: by reason, hash of the whole line -> its first MOST_CHARACTERS characters.
    """

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REMOVAL_REASONS, 0))
    samples: dict[str, dict[int, str]] = field(
        default_factory=lambda: {reason: {} for reason in REMOVAL_REASONS}
    )

    def add(self, cleaned: CleanedBatch) -> None:
        """Counts and samples the lines that were removed from a batch of documents."""
        for code, reason in enumerate(REMOVAL_REASONS):
            numbers = np.flatnonzero(cleaned.reasons == code)
            hashes, where = np.unique(line_hashes(cleaned.lines, numbers), return_index=True)
            lines = {
                key: cleaned.lines.text(number)[:MOST_CHARACTERS]
                for key, number in zip(
                    hashes[:SAMPLED_LINES].tolist(), numbers[where[:SAMPLED_LINES]], strict=True
                )
            }
            self._add(reason, len(numbers), lines)

    def merge(self, other: RemovedLines) -> None:
        """Adds those of other documents."""
        for reason in REMOVAL_REASONS:
            self._add(reason, other.counts[reason], other.samples[reason])

    def _add(self, reason: str, count: int, lines: dict[int, str]) -> None:
        self.counts[reason] += count
        candidates = self.samples[reason] | lines
        self.samples[reason] = dict(sorted(candidates.items())[:SAMPLED_LINES])

    def to_json(self) -> dict[str, Any]:
        samples = {
            reason: [[f"{key:016x}", line] for key, line in lines.items()]
            for reason, lines in self.samples.items()
        }
        return {"counts": self.counts, "samples": samples}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> RemovedLines:
        samples = {
            reason: {int(key, 16): line for key, line in lines}
            for reason, lines in content["samples"].items()
        }
        return cls(dict(content["counts"]), samples)
