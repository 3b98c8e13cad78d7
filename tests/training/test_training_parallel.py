"""Every layout computes what one process computes."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from parity import (
    CPU,
    MODEL,
    cached_logits,
    copies_of_the_table,
    evaluate_and_train,
    initial_weights,
    lose_a_gradient,
    parity_batch,
    parity_settings,
    restore_and_train,
    score_tokens,
    state_of,
    train,
    train_in_layout,
    train_in_refused_layout,
)
from worlds import World, Worlds

from pangu_settings import UserError
from training.engine import Engine
from training.layout import Layout

TOLERANCE = 1e-5

PIPE = {"pp": 2, "micro_batches": 4}
LOOP = PIPE | {"schedule": "Interleaved1F1B", "interleave": 2}
LAYOUTS: dict[str, dict[str, Any]] = {
    # One kind of parallelism.
    "shard2": {"dp_shard": 2},
    "shard4": {"dp_shard": 4, "micro_batches": 2},
    "copy2": {"dp_replicate": 2},
    "tensor2": {"tp": 2},
    "tensor4": {"tp": 4},
    "tensor2-whole-sequence": {"tp": 2, "sequence_parallel": False},
    "pipe2": PIPE,
    "pipe4": {"pp": 4, "micro_batches": 4},
    # Schedules.
    "gpipe": PIPE | {"schedule": "GPipe"},
    "interleaved": LOOP,
    "interleaved-zero-bubble": LOOP | {"schedule": "InterleavedZeroBubble"},
    "zbv": LOOP | {"schedule": "ZBVZeroBubble"},
    "dualpipe": LOOP | {"schedule": "DualPipeV"},
    # Two kinds, and what else a rank can do.
    "copy2-shard2": {"dp_replicate": 2, "dp_shard": 2},
    "shard2-tensor2": {"dp_shard": 2, "tp": 2},
    "shard2-tensor2-zero3-block": {
        "dp_shard": 2,
        "tp": 2,
        "micro_batches": 2,
        "reshard_after_forward": True,
        "rematerialise": "block",
    },
    "shard2-tensor2-operation": {"dp_shard": 2, "tp": 2, "rematerialise": "operation"},
    "pipe2-tensor2": PIPE | {"tp": 2},
    "pipe2-tensor2-interleaved-block": LOOP | {"tp": 2, "rematerialise": "block"},
    "pipe2-tensor2-zbv": LOOP | {"tp": 2, "schedule": "ZBVZeroBubble"},
    "pipe2-shard2": PIPE | {"dp_shard": 2},
    "pipe2-shard2-zero3": LOOP | {"dp_shard": 2, "reshard_after_forward": True},
    "pipe2-copy2-operation": PIPE | {"dp_replicate": 2, "rematerialise": "operation"},
    "pipe2-shard2-interleaved-zero-bubble": LOOP
    | {"dp_shard": 2, "schedule": "InterleavedZeroBubble"},
    "pipe2-shard2-zbv-block": LOOP
    | {"dp_shard": 2, "schedule": "ZBVZeroBubble", "rematerialise": "block"},
    "pipe2-shard2-dualpipe": LOOP | {"dp_shard": 2, "schedule": "DualPipeV"},
    # Three kinds.
    "pipe2-shard2-tensor2": PIPE | {"dp_shard": 2, "tp": 2},
    "pipe2-copy2-shard2": LOOP | {"dp_replicate": 2, "dp_shard": 2},
}
SLOW_LAYOUTS: dict[str, dict[str, Any]] = {
    "copy2-shard2-tensor2": {"dp_replicate": 2, "dp_shard": 2, "tp": 2},
    "pipe2-copy2-tensor2": LOOP | {"dp_replicate": 2, "tp": 2, "rematerialise": "block"},
    "pipe2-shard2-tensor2-zbv": LOOP | {"dp_shard": 2, "tp": 2, "schedule": "ZBVZeroBubble"},
    "pipe2-shard2-tensor2-dualpipe": LOOP | {"dp_shard": 2, "tp": 2, "schedule": "DualPipeV"},
    "pipe2-shard4": PIPE | {"dp_shard": 4},
    "pipe4-tensor2": {"pp": 4, "tp": 2, "micro_batches": 4},
    "shard2-tensor4": {"dp_shard": 2, "tp": 4},
}


def world_for(worlds: Worlds, layout: dict[str, Any]) -> World:
    return worlds.of(Layout.model_validate(layout).ranks)


@cache
def alone(layer_norm: str = "before_query") -> list[tuple[float, float]]:
    """Losses and gradient norms of one process."""
    return train_in_layout({}, {"layer_norm": layer_norm})


def assert_parity(
    ranks: list[list[tuple[float, float]]], expected: list[tuple[float, float]]
) -> None:
    for results in ranks:
        assert results == ranks[0]
    for (loss, norm), (expected_loss, expected_norm) in zip(ranks[0], expected, strict=True):
        assert abs(loss - expected_loss) < TOLERANCE
        assert abs(norm / expected_norm - 1) < TOLERANCE


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_trains_like_one_process(worlds: Worlds, name: str) -> None:
    layout = LAYOUTS[name]
    assert_parity(world_for(worlds, layout).run(train_in_layout, layout), alone())


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW_LAYOUTS)
def test_a_larger_layout_trains_like_one_process(worlds: Worlds, name: str) -> None:
    layout = SLOW_LAYOUTS[name]
    assert_parity(world_for(worlds, layout).run(train_in_layout, layout), alone())


def test_the_layout_has_no_say_in_where_the_final_norm_stands(worlds: Worlds) -> None:
    model = {"layer_norm": "after_query"}
    assert abs(alone("after_query")[-1][0] - alone()[-1][0]) > 100 * TOLERANCE
    for layout in (PIPE, {"tp": 2}):
        ranks = worlds.of(2).run(train_in_layout, layout, model)
        assert_parity(ranks, alone("after_query"))


@pytest.mark.parametrize(
    "layout", [{"dp_shard": 2, "tp": 2}, LOOP | {"dp_shard": 2}, PIPE | {"tp": 2}]
)
def test_every_layout_starts_from_the_same_bits(worlds: Worlds, layout: dict[str, Any]) -> None:
    expected = initial_weights({})
    seen = set()
    for weights in world_for(worlds, layout).run(initial_weights, layout):
        seen |= weights.keys()
        for name, values in weights.items():
            np.testing.assert_array_equal(values, expected[name], err_msg=name)
    assert seen == expected.keys()


def test_the_state_has_the_same_names_and_moments_in_every_layout(worlds: Worlds) -> None:
    expected = state_of({})
    seen = set()
    for state in worlds.of(4).run(state_of, LOOP | {"dp_shard": 2}):
        seen |= state.keys()
        for name, values in state.items():
            # Weights whose gradient is rounding noise differ: AdamW makes whole steps of it.
            if name.startswith("optimizer."):
                np.testing.assert_allclose(values, expected[name], atol=1e-6, err_msg=name)
    assert seen == expected.keys()


@pytest.mark.parametrize("layout", [PIPE | {"tp": 2}, LOOP | {"schedule": "ZBVZeroBubble"}])
def test_both_stages_keep_the_same_word_embedding(worlds: Worlds, layout: dict[str, Any]) -> None:
    ranks = world_for(worlds, layout).run(copies_of_the_table, layout)
    copies = [copy for of_rank in ranks for copy in of_rank]
    assert len(copies) == (4 if "tp" in layout else 2)
    for copy in copies:
        np.testing.assert_array_equal(copy, copies[0])


@pytest.mark.parametrize(
    "layout",
    [
        {"dp_shard": 2, "tp": 2},
        PIPE | {"dp_replicate": 2},
        LOOP | {"tp": 2},
        LOOP | {"schedule": "InterleavedZeroBubble"},
        LOOP | {"schedule": "DualPipeV", "dp_shard": 2},
    ],
)
def test_evaluation_is_the_same_and_leaves_training_alone(
    worlds: Worlds, layout: dict[str, Any]
) -> None:
    expected = evaluate_and_train({})
    for results in world_for(worlds, layout).run(evaluate_and_train, layout):
        assert results[1] == results[2]
        for (total, labels), (expected_total, expected_labels) in zip(
            results, expected, strict=True
        ):
            assert labels == expected_labels
            assert total == pytest.approx(expected_total, rel=TOLERANCE)


@pytest.mark.parametrize(
    "layout",
    [PIPE | {"tp": 2}, {"dp_shard": 2, "tp": 2}, {"pp": 4, "micro_batches": 4}],
)
def test_every_rank_gets_the_loss_of_every_token(worlds: Worlds, layout: dict[str, Any]) -> None:
    _, (expected, _) = score_tokens({})
    assert (expected[parity_batch(100).weights.numpy() == 0] == 0).all()
    for share, (losses, of_fewer) in world_for(worlds, layout).run(score_tokens, layout):
        of_share = expected[share * len(losses) : (share + 1) * len(losses)]
        np.testing.assert_allclose(losses, of_share, atol=TOLERANCE)
        np.testing.assert_allclose(of_fewer, of_share[:-1, :8], atol=TOLERANCE)


def test_ranks_that_share_matrices_generate_together(worlds: Worlds) -> None:
    expected = cached_logits({})
    # One id at a time cannot be shared along the sequence.
    for logits in worlds.of(2).run(cached_logits, {"tp": 2, "sequence_parallel": False}):
        np.testing.assert_allclose(logits, expected, atol=TOLERANCE)


@pytest.mark.parametrize(
    "layout", [LOOP | {"schedule": "ZBVZeroBubble"}, {"dp_shard": 2}, LOOP | {"dp_shard": 2}]
)
def test_a_state_that_is_put_back_goes_on_bit_for_bit(
    worlds: Worlds, layout: dict[str, Any]
) -> None:
    world = world_for(worlds, layout)
    uninterrupted = world.run(train_in_layout, layout)[0][2:]
    assert world.run(restore_and_train, layout)[0] == uninterrupted


def test_a_lost_gradient_is_an_error(worlds: Worlds) -> None:
    errors = worlds.of(2).run(lose_a_gradient, {"tp": 2})
    for error in errors:
        assert "'query_embedding.weight'" in error


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_rematerialisation_changes_no_bit(dropout: float) -> None:
    model = {"dropout": dropout}
    results = [
        train_in_layout({"rematerialise": what}, model) for what in ("off", "block", "operation")
    ]
    assert results[0] == results[1] == results[2]


def test_dropout_is_drawn_in_parallel_too(worlds: Worlds) -> None:
    for layout in ({"tp": 2}, PIPE | {"rematerialise": "block"}):
        ranks = worlds.of(2).run(train_in_layout, layout, {"dropout": 0.3})
        assert ranks[0] == ranks[1]
        differences = [abs(one[0] - other[0]) for one, other in zip(ranks[0], alone(), strict=True)]
        assert 1e-3 < max(differences) < 0.3


@pytest.mark.parametrize("layout", [{"dp_shard": 2}, {"tp": 2}, PIPE, LOOP])
def test_bfloat16_stays_near_float32(worlds: Worlds, layout: dict[str, Any]) -> None:
    ranks = worlds.of(2).run(train_in_layout, layout, {}, "bfloat16")
    assert ranks[0] == ranks[1]
    for (loss, norm), (exact_loss, exact_norm) in zip(ranks[0], alone(), strict=True):
        assert loss == pytest.approx(exact_loss, rel=5e-3)
        assert norm == pytest.approx(exact_norm, rel=5e-2)
    assert ranks[0] != alone()


@pytest.mark.slow
@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"tp": 2, "rematerialise": "operation"},
        {"dp_shard": 2, "rematerialise": "block"},
        {"dp_shard": 2, "tp": 2},
        PIPE | {"tp": 2},
    ],
)
def test_compiled_blocks_compute_the_same(worlds: Worlds, layout: dict[str, Any]) -> None:
    compiled = layout | {"compile": True}
    if layout:
        results = world_for(worlds, layout).run(train_in_layout, compiled, timeout=600)[0]
    else:
        results = train_in_layout(compiled)
    assert_parity([results], alone())


@pytest.mark.slow
def test_what_is_refused_still_goes_wrong(worlds: Worlds) -> None:
    # When this fails, torch has been mended, and Layout and docs/parallelism.md can allow it.
    layout = LOOP | {"schedule": "DualPipeV", "dp_shard": 2}
    losses = worlds.of(4).run(train_in_refused_layout, layout, {"reshard_after_forward": True})[0]
    assert abs(losses[-1] - alone()[-1][0]) > 1e-4


def test_too_few_processes_are_told() -> None:
    with pytest.raises(UserError, match="torchrun --nproc-per-node=4"):
        Engine(parity_settings({"dp_shard": 2, "tp": 2}), CPU)


def test_a_kernel_of_gpus_is_refused_elsewhere() -> None:
    with pytest.raises(UserError, match="set it to dense"):
        Engine(parity_settings({"attention": "flex"}), CPU)


def test_a_step_that_is_discarded_leaves_no_trace() -> None:
    engine = Engine(parity_settings({}), CPU)
    before = {name: p.detach().clone() for name, p in engine.parameters.items()}
    engine.gradients(parity_batch(7))
    engine.discard()
    for name, parameter in engine.parameters.items():
        assert torch.equal(parameter.detach(), before[name])
    assert train(engine) == alone()


def test_the_model_of_these_tests_is_cut_unevenly() -> None:
    pieces = Layout.model_validate(PIPE).stage_layers(MODEL["layers"])
    assert len(pieces[0]) != len(pieces[1])
