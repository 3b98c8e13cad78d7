from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from training import ModelSettings
from training.attention import KeyValueCache, attend, document_mask, flex_document_mask
from training.model import build_model


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_an_id_sees_itself_and_earlier_ids_of_its_document(numbers: list[int]) -> None:
    documents = torch.tensor([numbers])
    mask = document_mask(documents)[0, 0]
    for row, of_row in enumerate(numbers):
        for column, of_column in enumerate(numbers):
            assert mask[row, column] == (column <= row and of_row == of_column)


def test_the_mask_of_flex_attention_is_the_same() -> None:
    documents = torch.randint(0, 2, (3, 256)).cumsum(1)
    queries, keys, values = torch.randn(3, 3, 2, 256, 16)
    dense = attend(queries, keys, values, document_mask(documents), 0.0)
    # On a GPU it is compiled; its rule is the same without.
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        flex = attend(queries, keys, values, flex_document_mask(documents), 0.0)
    torch.testing.assert_close(flex, dense, rtol=1e-5, atol=1e-5)


@given(st.lists(st.integers(0, 2), min_size=2, max_size=10), st.data())
def test_a_cache_gives_the_rows_of_the_whole_mask(numbers: list[int], data: st.DataObject) -> None:
    documents = torch.tensor([numbers, numbers[::-1]])
    whole = document_mask(documents)
    cache = KeyValueCache(capacity=12)
    start = 0
    while start < len(numbers):
        end = data.draw(st.integers(start + 1, len(numbers)))
        assert torch.equal(cache.begin(documents[:, start:end]), whole[:, :, start:end, :end])
        start = end


def test_prompts_of_different_lengths_are_read_together_as_alone() -> None:
    settings = ModelSettings(layers=3, hidden=24, heads=3, sequence_length=16, vocabulary=50)
    model = build_model(settings, torch.device("cpu"))
    prompts = [[11, 12, 13, 14, 15], [21, 22, 23]]
    ids = torch.tensor([prompts[0], [0, 0, *prompts[1]]])
    documents = torch.tensor([[0] * 5, [-1, -1, 0, 0, 0]])
    positions = torch.tensor([[0, 1, 2, 3, 4], [0, 0, 0, 1, 2]])
    with torch.no_grad():
        together = model(ids, positions, documents, KeyValueCache(5))[:, -1]
        for row, prompt in enumerate(prompts):
            alone = model(
                torch.tensor([prompt]),
                torch.arange(len(prompt)).unsqueeze(0),
                torch.zeros(1, len(prompt), dtype=torch.int64),
            )
            torch.testing.assert_close(together[row], alone[0, -1], rtol=1e-5, atol=1e-6)
