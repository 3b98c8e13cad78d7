"""How well a classifier's scores tell positive from negative documents, by threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


@dataclass(frozen=True)
class Confusion:
    """What becomes of documents if those that score at least a threshold are called positive.

    Attributes:
      threshold: 0 to 1.
      true_positives, false_negatives: positive documents, called so or not.
      false_positives, true_negatives: negative documents, called positive or not.
    """

    threshold: float
    true_positives: int
    false_negatives: int
    false_positives: int
    true_negatives: int

    @property
    def precision(self) -> float:
        """Share of positive documents among those called positive; 0 where none is."""
        return _share(self.true_positives, self.false_positives)

    @property
    def recall(self) -> float:
        """Share of the positive documents that are called positive; 0 where there is none."""
        return _share(self.true_positives, self.false_negatives)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0

    def to_json(self) -> dict[str, Any]:
        shares = {name: round(getattr(self, name), 4) for name in ("precision", "recall", "f1")}
        return {**asdict(self), **shares}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Confusion:
        """The confusion that `to_json` wrote."""
        return cls(**{field.name: content[field.name] for field in fields(cls)})


def _share(part: int, rest: int) -> float:
    return part / (part + rest) if part + rest else 0.0


def confusions(
    scores: np.ndarray, positive: np.ndarray, thresholds: Sequence[float] = THRESHOLDS
) -> list[Confusion]:
    """Counts documents on both sides of each threshold.

    Args:
      scores: float (n,), of each document.
      positive: bool (n,), whether it is a positive one.
      thresholds: a document that scores a threshold or more is called positive.
    """
    found = []
    for threshold in thresholds:
        # In the scores' own precision: 0.9 is not below the float32 next to it.
        called = scores >= np.asarray(threshold, scores.dtype)
        found.append(
            Confusion(
                threshold,
                int((called & positive).sum()),
                int((~called & positive).sum()),
                int((called & ~positive).sum()),
                int((~called & ~positive).sum()),
            )
        )
    return found


def best_by_f1(found: Sequence[Confusion]) -> Confusion:
    """The threshold with the highest F1; of equal ones the lowest."""
    return max(found, key=lambda confusion: (confusion.f1, -confusion.threshold))
