from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from training import ModelSettings
from training.attention import KeyValueCache
from training.config import OptimisationSettings
from training.model import PanGu, build_model, initial_values
from training.optimizer import build_optimizer, learning_rate

CPU = torch.device("cpu")


def settings(**changes: object) -> ModelSettings:
    shape: dict[str, object] = {"layers": 3, "hidden": 24, "heads": 3, "sequence_length": 16}
    return ModelSettings.model_validate(shape | {"vocabulary": 50} | changes)


def run(model: PanGu, ids: Tensor, positions: Tensor | None = None) -> Tensor:
    """Logits of whole sequences, each one document."""
    if positions is None:
        positions = torch.arange(ids.shape[1]).expand_as(ids)
    return model(ids, positions, torch.zeros_like(ids))


def reference_logits(model: PanGu, ids: Tensor) -> Tensor:
    """The released model's order of operations, written out for one sequence."""
    tensors = dict(model.named_parameters())
    length, heads = len(ids), model.settings.heads

    def linear(name: str, x: Tensor) -> Tensor:
        return x @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]

    def norm(name: str, x: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        deviation = (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return centred / deviation * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]

    def layer(number: int, x: Tensor, query: Tensor | None) -> Tensor:
        prefix = f"layers.{number}"
        normed = norm(f"{prefix}.attention_norm", x)
        asking = linear(f"{prefix}.attention.query", normed if query is None else query)
        keys = linear(f"{prefix}.attention.key", normed)
        values = linear(f"{prefix}.attention.value", normed)
        columns = []
        split = (states.chunk(heads, 1) for states in (asking, keys, values))
        for q, k, v in zip(*split, strict=True):
            scores = q @ k.T / math.sqrt(q.shape[1])
            future = torch.ones(length, length).triu(1).bool()
            columns.append(scores.masked_fill(future, -torch.inf).softmax(1) @ v)
        x = x + linear(f"{prefix}.attention.output", torch.cat(columns, 1))
        inner = linear(f"{prefix}.feed_forward.expand", norm(f"{prefix}.feed_forward_norm", x))
        return x + linear(f"{prefix}.feed_forward.contract", F.gelu(inner, approximate="tanh"))

    table = tensors["word_embedding.weight"]
    x = table[ids] + tensors["position_embedding.weight"][:length]
    last = model.settings.layers - 1
    for number in range(last):
        x = layer(number, x, None)
    before = model.settings.layer_norm == "before_query"
    x = norm("final_norm", x) if before else x
    x = layer(last, x, tensors["query_embedding.weight"][:length])
    x = x if before else norm("final_norm", x)
    return x @ table.T


@pytest.mark.parametrize("placement", ["before_query", "after_query"])
def test_logits_follow_the_released_order_of_operations(placement: str) -> None:
    model = build_model(settings(layer_norm=placement), CPU)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
        ids = torch.randint(0, 50, (11,))
        torch.testing.assert_close(
            run(model, ids.unsqueeze(0))[0], reference_logits(model, ids), rtol=1e-4, atol=1e-4
        )


def test_later_ids_change_nothing_before_them() -> None:
    model = build_model(settings(), CPU)
    ids = torch.randint(0, 50, (1, 12))
    changed = ids.clone()
    changed[0, 7] = (ids[0, 7] + 1) % 50
    with torch.no_grad():
        one, other = run(model, ids), run(model, changed)
    assert torch.equal(one[:, :7], other[:, :7])
    assert not torch.equal(one[:, 7:], other[:, 7:])


def test_packed_documents_give_the_logits_of_the_documents_alone() -> None:
    model = build_model(settings(), CPU)
    first, second = torch.randint(0, 50, (1, 5)), torch.randint(0, 50, (1, 8))
    positions = torch.cat([torch.arange(5), torch.arange(8)]).unsqueeze(0)
    documents = torch.tensor([[0] * 5 + [1] * 8])
    with torch.no_grad():
        packed = model(torch.cat([first, second], 1), positions, documents)
        alone = torch.cat([run(model, first), run(model, second)], 1)
    torch.testing.assert_close(packed, alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("placement", ["before_query", "after_query"])
def test_cached_logits_are_those_of_the_whole_sequence(placement: str) -> None:
    model = build_model(settings(layer_norm=placement), CPU)
    ids = torch.randint(0, 50, (2, 13))
    cache = KeyValueCache(16)
    pieces = []
    with torch.no_grad():
        whole = run(model, ids)
        for start, end in [(0, 6), (6, 7), (7, 11), (11, 12), (12, 13)]:
            rows = torch.arange(start, end)
            new = ids[:, start:end]
            pieces.append(model(new, rows.expand(2, -1), torch.zeros_like(new), cache))
    torch.testing.assert_close(torch.cat(pieces, 1), whole, rtol=1e-5, atol=1e-6)


def test_initial_values_depend_on_name_and_seed_alone() -> None:
    shallow = dict(build_model(settings(layers=2), CPU).named_parameters())
    deep = dict(build_model(settings(layers=4), CPU).named_parameters())
    other = dict(build_model(settings(layers=2, seed=1), CPU).named_parameters())
    name = "layers.0.attention.key.weight"
    assert torch.equal(shallow[name], deep[name])
    assert not torch.equal(shallow[name], other[name])
    assert not torch.equal(shallow[name], shallow["layers.1.attention.key.weight"])


@pytest.mark.parametrize(
    ("name", "deviation"),
    [
        ("word_embedding.weight", 0.02),
        ("layers.1.attention.query.weight", 0.01),
        ("layers.1.attention.key.weight", 0.01),
        ("layers.1.attention.value.weight", 0.01),
        ("layers.1.attention.output.weight", 0.02 / math.sqrt(6)),
        ("layers.1.feed_forward.expand.weight", 0.02),
        ("layers.1.feed_forward.contract.weight", 0.02 / math.sqrt(6)),
    ],
)
def test_initial_deviations_are_the_released_ones(name: str, deviation: float) -> None:
    values = initial_values(name, torch.Size([400, 400]), settings())
    assert values.std().item() == pytest.approx(deviation, rel=0.02)


def test_position_tables_are_cut_at_two_deviations_and_vectors_are_plain() -> None:
    for name in ("position_embedding.weight", "query_embedding.weight"):
        values = initial_values(name, torch.Size([400, 400]), settings())
        assert values.abs().max().item() <= 0.04
        assert values.std().item() == pytest.approx(0.0176, rel=0.03)
    for name, parameter in build_model(settings(), CPU).named_parameters():
        if name.endswith("norm.weight"):
            assert bool((parameter == 1).all())
        elif name.endswith("bias"):
            assert bool((parameter == 0).all())


def test_dropout_changes_training_but_not_evaluation() -> None:
    model = build_model(settings(dropout=0.5), CPU)
    ids = torch.randint(0, 50, (1, 8))
    with torch.no_grad():
        assert not torch.equal(run(model, ids), run(model, ids))
        model.eval()
        assert torch.equal(run(model, ids), run(model, ids))


def test_only_matrices_and_tables_decay() -> None:
    model = build_model(settings(), CPU)
    optimizer = build_optimizer(model, OptimisationSettings(steps=1, weight_decay=0.3))
    decays = {
        id(parameter): group["weight_decay"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    for name, parameter in model.named_parameters():
        is_vector = name.endswith("bias") or "norm" in name
        assert decays[id(parameter)] == (0.0 if is_vector else 0.3), name


def test_learning_rate_warms_up_and_follows_the_cosine_of_the_absolute_step() -> None:
    plan = OptimisationSettings(
        steps=200, learning_rate=1.0, final_learning_rate=0.1, warmup_steps=10, decay_steps=100
    )
    assert [learning_rate(step, plan) for step in (1, 5, 9)] == pytest.approx([0.1, 0.5, 0.9])
    assert learning_rate(10, plan) == pytest.approx(0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi / 10)))
    assert learning_rate(50, plan) == pytest.approx(0.55)
    assert learning_rate(100, plan) == learning_rate(200, plan) == pytest.approx(0.1)
