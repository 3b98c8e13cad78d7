"""Similarity told from one bit of each hash value."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.bit_signatures import BITS, WORDS, BitSignatures, estimated_similarity
from filters.folding import fold_texts
from filters.kernels.text_batch import TextBatch

SIGNATURES = BitSignatures(5)


def signatures_of(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    batch = TextBatch.from_arrow(pa.array(texts, pa.string()))
    return SIGNATURES.signatures_of(fold_texts(batch).comparable)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text("汉漢字Ａa1。 \n", max_size=30), min_size=1, max_size=5))
def test_a_batch_has_the_signatures_of_its_texts(texts: list[str]) -> None:
    has_signature, signatures = signatures_of(texts)
    expected = [SIGNATURES.signature(text) for text in texts]
    assert has_signature.tolist() == [signature is not None for signature in expected]
    known = [signature for signature in expected if signature is not None]
    assert signatures.shape == (len(known), WORDS)
    assert all((one == other).all() for one, other in zip(signatures, known, strict=True))


def shared_text(rng: np.random.Generator, similarity: float) -> tuple[str, str]:
    """Two texts whose sets of shingles have about that similarity."""
    points = rng.integers(0x4E00, 0x9000, 3000)
    same = round(2 * 1000 * similarity / (1 + similarity))
    first, second = points[:1000], np.concatenate([points[:same], points[1000 : 2000 - same]])
    return "".join(map(chr, first)), "".join(map(chr, second))


@pytest.mark.parametrize("similarity", [0.0, 0.5, 0.8, 0.95])
def test_estimates_have_the_error_that_theory_gives(similarity: float) -> None:
    rng = np.random.default_rng(round(100 * similarity))
    pairs = [shared_text(rng, similarity) for _ in range(100)]
    _, signatures = signatures_of([text for pair in pairs for text in pair])
    estimates = estimated_similarity(signatures[0::2], signatures[1::2])
    truth = []
    for pair in pairs:
        one, other = ({text[n : n + 5] for n in range(len(text) - 4)} for text in pair)
        truth.append(len(one & other) / len(one | other))
    agreement = (1 + similarity) / 2
    error = 2 * np.sqrt(agreement * (1 - agreement) / BITS)
    differences = estimates - np.array(truth)
    # Estimates below zero count as zero, which halves the error there.
    assert np.sqrt((differences**2).mean()) < 1.3 * error
    assert abs(differences.mean()) < max(0.3 * error, 0.45 * error * (similarity == 0))


def test_copies_in_other_writing_are_the_same() -> None:
    _, signatures = signatures_of(["汉语的书写系统，ＡＢＣ１２３", "漢語的書寫系統:ABC123"])
    assert estimated_similarity(signatures[:1], signatures[1:]).tolist() == [1.0]
