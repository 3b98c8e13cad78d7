"""What is held out for validation has no copy among what is trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tokenizer import TokenizerFacts, write_index, write_shards
from training.data import Corpus, Samples, ValidationSamples

FACTS = TokenizerFacts(sha256="0" * 64, vocabulary_size=1000, separator=9, pad=6)
LENGTH = 7


def corpus_of(folder: Path, repeated: int, once: int) -> Corpus:
    """Documents of 19 ids, all the same in a document and of no other; some are written twice."""
    rows = [np.full(19, 10 + number, np.int32) for number in range(repeated + once)]
    shards = [
        shard.model_copy(update={"repeated": True})
        for shard in write_shards(folder, "web.repeated", rows[:repeated] * 2, FACTS)
    ]
    shards += write_shards(folder, "web", rows[repeated:], FACTS)
    write_index(folder, FACTS, {"web": shards}, {"web": 1.0})
    return Corpus(folder, FACTS.vocabulary_size)


@pytest.mark.parametrize(("repeated", "once"), [(20, 20), (30, 3), (30, 1), (0, 30)])
def test_no_copy_of_a_held_out_document_is_trained_on(
    tmp_path: Path, repeated: int, once: int
) -> None:
    corpus = corpus_of(tmp_path, repeated, once)
    validation = ValidationSamples(corpus, LENGTH, most=1000)
    count = validation.counts["web"]
    held_out = set(validation.batch("web", 0, count).ids.ravel().tolist()) - {FACTS.separator}
    assert held_out
    assert min(held_out) >= 10 + repeated
    samples = Samples(corpus, LENGTH, 1, validation.held_out)
    chunks = len(corpus.texts["web"]) // (LENGTH + 1) - validation.held_out["web"]
    trained = set(np.concatenate([samples.chunk(number) for number in range(chunks)]).tolist())
    assert not trained & held_out or once == 1  # the end of one long document


def test_nothing_is_held_out_where_everything_has_a_copy(tmp_path: Path) -> None:
    assert ValidationSamples(corpus_of(tmp_path, 40, 0), LENGTH, most=5).held_out == {}
