from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangu_settings import SettingsError, validate
from training.layout import Layout

LOOP = {"pp": 2, "micro_batches": 4, "interleave": 2}


def layout(**degrees: Any) -> Layout:
    return validate(Layout, degrees, "test")


def test_ranks_are_the_product_of_the_degrees() -> None:
    # PanGu-α §4.1: 16 stages, 8 slices, 16 copies.
    paper = layout(pp=16, tp=8, dp_shard=16, micro_batches=32)
    assert (paper.ranks, paper.data_parallel, paper.stages) == (2048, 16, 16)
    assert {len(layers) for layers in paper.stage_layers(64)} == {4}


@given(layers=st.integers(2, 70), pp=st.integers(1, 8), interleave=st.integers(2, 3))
def test_every_layer_is_in_one_stage(layers: int, pp: int, interleave: int) -> None:
    degrees: dict[str, Any] = {"pp": pp}
    if pp > 1:
        degrees |= {"schedule": "Interleaved1F1B", "interleave": interleave, "micro_batches": pp}
    cut = layout(**degrees)
    if layers < cut.stages:
        with pytest.raises(ValueError, match="cannot be cut"):
            cut.stage_layers(layers)
        return
    stages = cut.stage_layers(layers)
    assert [layer for stage in stages for layer in stage] == list(range(layers))
    sizes = [len(stage) for stage in stages]
    assert max(sizes) - min(sizes) <= 1
    # The last stage has the head as well: no other has fewer layers.
    assert sizes[-1] == min(sizes)
    assert sorted(n for rank in range(pp) for n in cut.stages_of(rank)) == [*range(cut.stages)]


def test_stages_go_round_the_ranks_or_back() -> None:
    loop = layout(**LOOP, schedule="Interleaved1F1B")
    assert [loop.stages_of(rank) for rank in range(2)] == [[0, 2], [1, 3]]
    back = layout(**LOOP, schedule="DualPipeV")
    assert [back.stages_of(rank) for rank in range(2)] == [[0, 3], [1, 2]]


@pytest.mark.parametrize(
    ("degrees", "message"),
    [
        ({"interleave": 2}, "interleave (2) has no meaning where pp is 1"),
        ({"pp": 2}, "micro_batches (1) must be at least the number of pipeline stages (2)"),
        (LOOP, "schedule 1F1B needs interleave: 1, not 2"),
        (LOOP | {"interleave": 3, "schedule": "DualPipeV"}, "needs interleave: 2, not 3"),
        (
            {"pp": 2, "micro_batches": 4, "schedule": "Interleaved1F1B"},
            "needs interleave: 2 or more",
        ),
        (
            LOOP | {"micro_batches": 5, "schedule": "InterleavedZeroBubble"},
            "micro_batches (5) must be a multiple of pp (2)",
        ),
        (
            LOOP | {"schedule": "DualPipeV", "reshard_after_forward": True},
            "splits the backward pass, which reshard_after_forward breaks",
        ),
        (
            LOOP | {"schedule": "InterleavedZeroBubble", "rematerialise": "operation"},
            "rematerialise: operation cannot do twice",
        ),
        ({"schedule": "1F1b"}, "schedule"),
        ({"tpp": 2}, "did you mean 'tp'"),
    ],
)
def test_what_cannot_run_is_refused(degrees: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        layout(**degrees)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 6}, "model.heads (6) must be a multiple of layout.tp (4)"),
        ({"sequence_length": 30}, "the sequence length (30) must be a multiple of layout.tp (4)"),
        ({"batch": 6}, "optimisation.batch (6) must be a multiple of"),
        ({"layers": 1}, "1 layers cannot be cut into 2 pipeline stages"),
    ],
)
def test_a_model_that_does_not_fit_is_told(changes: dict[str, int], message: str) -> None:
    fits = {"layers": 8, "heads": 8, "sequence_length": 32, "batch": 8}
    cut = layout(pp=2, tp=4, dp_shard=2, micro_batches=4)
    cut.check(**fits)
    with pytest.raises(ValueError, match=re.escape(message)):
        cut.check(**(fits | changes))
