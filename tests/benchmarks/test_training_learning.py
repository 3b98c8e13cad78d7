from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from benchmarks.training_learning import TrigramModel, UnigramModel

VOCABULARY = 7


def text() -> np.ndarray:
    """Ids of which some follow others more often than by chance; 6 is never seen."""
    numbers = np.random.default_rng(0)
    steps = numbers.choice([1, 2, 3], size=400, p=[0.7, 0.2, 0.1])
    return np.cumsum(steps) % (VOCABULARY - 1)


def every_label(first: int, second: int) -> np.ndarray:
    """Chunks [vocabulary, 3] that go on from two ids with each id there is."""
    return np.array([[first, second, label] for label in range(VOCABULARY)])


@pytest.mark.parametrize("model", [UnigramModel, TrigramModel])
@pytest.mark.parametrize(("first", "second"), [(0, 1), (3, 5), (5, 2), (6, 0), (0, 6), (6, 6)])
def test_probabilities_of_all_labels_add_up_to_one(
    model: type[UnigramModel | TrigramModel], first: int, second: int
) -> None:
    losses = model(text(), VOCABULARY).losses(every_label(first, second))
    assert np.exp(-losses[:, 1]).sum() == pytest.approx(1.0)


def test_the_trigram_model_is_kneser_ney_as_it_is_defined() -> None:
    ids = text().tolist()
    threes = Counter(zip(ids, ids[1:], ids[2:], strict=False))
    twos = Counter(gram[1:] for gram in threes)
    ones = Counter(gram[1] for gram in set(itertools.pairwise(ids)))

    def discount(counts: Counter) -> float:
        times = Counter(counts.values())
        return times[1] / (times[1] + 2 * times[2]) if times[1] else 0.0

    def smoothed(counts: Counter, context: tuple, label: int, shorter: float) -> float:
        seen = {gram: n for gram, n in counts.items() if gram[:-1] == context}
        if not seen:
            return shorter
        taken = discount(counts) * len(seen) * shorter
        own = max(seen.get((*context, label), 0) - discount(counts), 0)
        return (own + taken) / sum(seen.values())

    def probability(first: int, second: int, label: int) -> float:
        one = smoothed(Counter({(i,): n for i, n in ones.items()}), (), label, 1 / VOCABULARY)
        two = smoothed(twos, (second,), label, one)
        return smoothed(threes, (first, second), label, two)

    model = TrigramModel(text(), VOCABULARY)
    for first, second in [(0, 1), (1, 2), (4, 1), (6, 3)]:
        wanted = [probability(first, second, label) for label in range(VOCABULARY)]
        found = np.exp(-model.losses(every_label(first, second))[:, 1])
        assert found == pytest.approx(wanted)
