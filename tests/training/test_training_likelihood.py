"""Log-likelihoods of continuations are those of one sequence read alone, in every layout."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from parity import CPU, MODEL, parity_settings
from worlds import Worlds

from pangu_settings import UserError
from training.engine import Engine
from training.layout import Layout
from training.likelihood import Continuation, log_likelihoods

QUESTIONS = [
    Continuation([9], [20, 21, 22]),
    Continuation([9, 30, 31], [40]),
    Continuation([12, 13, 14, 15, 16], [17, 18]),
    Continuation([9, 9], [9]),
    Continuation(range(10, 30), [30, 31, 32]),  # longer than the model: its beginning is dropped
]


def answers(layout: dict[str, Any]) -> list[float]:
    return log_likelihoods(Engine(parity_settings(layout), CPU), QUESTIONS, samples=2)


def one_by_one() -> list[float]:
    """Straight from the definition: ln p of each id, given all before it."""
    [model] = Engine(parity_settings({}), CPU).parts
    sums = []
    for question in QUESTIONS:
        chunk = torch.tensor([*question.context, *question.ids])[-MODEL["sequence_length"] - 1 :]
        ids = chunk[:-1].unsqueeze(0)
        positions = torch.arange(len(chunk) - 1).unsqueeze(0)
        with torch.no_grad():
            likely = model(ids, positions, torch.zeros_like(ids))[0].log_softmax(1)
        places = range(len(ids[0]) - len(question.ids), len(ids[0]))
        sums.append(sum(float(likely[place, chunk[place + 1]]) for place in places))
    return sums


def test_a_batch_gives_what_each_gives_alone() -> None:
    assert answers({}) == pytest.approx(one_by_one(), abs=1e-5)


@pytest.mark.parametrize(
    "layout",
    [
        {"tp": 2},
        {"dp_shard": 2},
        {"pp": 2, "micro_batches": 2},
        {"pp": 2, "tp": 2, "micro_batches": 4},
        {"dp_shard": 2, "tp": 2},
        {"pp": 2, "dp_shard": 2, "micro_batches": 2},
    ],
    ids=str,
)
def test_every_layout_gives_the_same_on_every_rank(worlds: Worlds, layout: dict[str, Any]) -> None:
    expected = answers({})
    for found in worlds.of(Layout(**layout).ranks).run(answers, layout):
        assert found == pytest.approx(expected, abs=1e-5)


def test_questions_that_cannot_be_asked_are_refused() -> None:
    engine = Engine(parity_settings({}), CPU)
    for wrong, message in [
        (Continuation([], [20]), "continuation 1: context and ids"),
        (Continuation([9], []), "continuation 1: context and ids"),
        (Continuation([9], [20] * 17), "continuation 1 has 17 ids, the model has 16"),
    ]:
        with pytest.raises(UserError, match=message):
            log_likelihoods(engine, [QUESTIONS[0], wrong])
