from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangu_settings import UserError
from tokenizer import ShardSet, TokenizerFacts, write_index, write_shards
from training.data import Corpus, Samples, ValidationSamples, make_batch
from training.prefetch import BatchReader
from training.sample_order import Mixture, permute

FACTS = TokenizerFacts(sha256="0" * 64, vocabulary_size=1000, separator=9, pad=6)


def write_sources(folder: Path, sources: dict[str, int], weights: dict[str, float]) -> Path:
    """Shards whose ids count upwards, so that a sample tells where it was read."""
    shards = {}
    start = 10
    for name, ids in sources.items():
        document = np.arange(start, start + ids - 1, dtype=np.int32)
        shards[name] = write_shards(folder, name, [document], FACTS)
        start += ids
    write_index(folder, FACTS, shards, weights)
    return folder


@given(
    weights=st.lists(st.floats(0.01, 10), min_size=1, max_size=6),
    count=st.integers(1, 400),
)
def test_every_source_keeps_to_its_weight_at_every_moment(weights: list[float], count: int) -> None:
    names = [f"source{number}" for number in range(len(weights))]
    mixture = Mixture(dict(zip(names, weights, strict=True)))
    seen = dict.fromkeys(names, 0)
    for sample in range(count):
        name, rank = mixture.place(sample)
        assert rank == seen[name]
        seen[name] += 1
        for other, weight in zip(names, weights, strict=True):
            exact = weight / sum(weights) * (sample + 1)
            assert abs(seen[other] - exact) < len(names)


def test_the_mixture_is_exact_in_the_long_run() -> None:
    # PanGu-α Table 4, 200B column.
    weights = {"public": 10.23, "books": 12.23, "crawl": 62.81, "news": 7.83, "encyclopedia": 6.9}
    mixture = Mixture(weights)
    ranks = dict.fromkeys(weights, 0)
    for sample in range(10**12, 10**12 + 100):
        name, rank = mixture.place(sample)
        ranks[name] = rank
    for name, weight in weights.items():
        assert abs(ranks[name] - weight / 100 * 10**12) < 100


@given(size=st.integers(1, 600), key=st.binary(min_size=1, max_size=64))
def test_permute_visits_every_index_once(size: int, key: bytes) -> None:
    assert sorted(permute(index, size, key) for index in range(size)) == list(range(size))


def test_permute_shuffles() -> None:
    order = [permute(index, 1000, b"key") for index in range(1000)]
    neighbours = np.abs(np.diff(order))
    # Neighbours of a random order of n are n/3 apart on average.
    assert 300 < neighbours.mean() < 370
    assert order != [permute(index, 1000, b"other") for index in range(1000)]


def test_each_epoch_reads_every_chunk_once_in_another_order(tmp_path: Path) -> None:
    write_sources(tmp_path, {"one": 205}, {"one": 1.0})
    samples = Samples(Corpus(tmp_path, 1000), sequence_length=9, seed=0)
    epochs = [[int(samples.chunk(20 * epoch + n)[0]) for n in range(20)] for epoch in range(3)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(10, 210, 10))  # the last 5 ids fill no chunk
    assert epochs[0] != epochs[1] != epochs[2]


def test_chunks_are_consecutive_and_cross_shards(run_folder: Path) -> None:
    samples = Samples(Corpus(run_folder / "shards", 200), sequence_length=32, seed=5)
    shards = ShardSet.open(run_folder / "shards").shards
    text = np.concatenate([shard.tokens for shard in shards if shard.source == "books"])
    wanted = {tuple(chunk) for chunk in text[: len(text) // 33 * 33].reshape(-1, 33).tolist()}
    assert len(shards) > 10  # shards of at most 100 ids
    mixture = Mixture(samples.corpus.shards.sources)
    found = {
        tuple(samples.chunk(number).tolist())
        for number in range(200)
        if mixture.place(number)[0] == "books"
    }
    assert found == wanted


def test_samples_do_not_depend_on_how_they_are_batched(run_folder: Path) -> None:
    folder = run_folder / "shards"
    one = Samples(Corpus(folder, 200), sequence_length=16, seed=3)
    other = Samples(Corpus(folder, 200), sequence_length=16, seed=3)
    other.batch(50, 7)
    parts = np.concatenate([other.batch(first, 2).ids for first in range(0, 8, 2)])
    assert np.array_equal(one.batch(0, 8).ids, parts)
    another_seed = Samples(Corpus(folder, 200), sequence_length=16, seed=4)
    assert not np.array_equal(one.batch(0, 8).ids, another_seed.batch(0, 8).ids)


@given(st.lists(st.sampled_from([6, 9, 20, 21]), min_size=2, max_size=20))
def test_positions_and_documents_restart_after_each_separator(ids: list[int]) -> None:
    batch = make_batch(np.array([ids], dtype=np.uint16), separator=9, pad=6)
    inputs = ids[:-1]
    positions, documents = list(range(len(inputs))), [0] * len(inputs)
    for place, each in enumerate(inputs):
        if each == 9:
            for later in range(place + 1, len(inputs)):
                positions[later] = later - (place + 1)
                documents[later] += 1
    assert batch.ids[0].tolist() == inputs
    assert batch.labels[0].tolist() == ids[1:]
    assert batch.positions[0].tolist() == positions
    assert batch.documents[0].tolist() == documents
    assert batch.weights[0].tolist() == [0.0 if each == 6 else 1.0 for each in inputs]


def test_sources_without_weight_are_left_out(tmp_path: Path) -> None:
    write_sources(tmp_path, {"one": 50, "tiny": 3}, {"one": 1.0, "tiny": 0.0})
    samples = Samples(Corpus(tmp_path, 1000), sequence_length=9, seed=0)
    assert list(samples.corpus.texts) == ["one"]


def test_a_source_smaller_than_a_sample_is_refused(tmp_path: Path) -> None:
    write_sources(tmp_path, {"one": 50, "tiny": 3}, {"one": 1.0, "tiny": 1.0})
    with pytest.raises(UserError, match="source 'tiny' has 3 ids, fewer than one sample of 10"):
        Samples(Corpus(tmp_path, 1000), sequence_length=9, seed=0)


def test_a_vocabulary_smaller_than_that_of_the_shards_is_refused(tmp_path: Path) -> None:
    write_sources(tmp_path, {"one": 50}, {"one": 1.0})
    with pytest.raises(UserError, match=r"set model\.vocabulary to 1000"):
        Samples(Corpus(tmp_path, 900), sequence_length=9, seed=0)


def test_ids_outside_the_vocabulary_are_refused(tmp_path: Path) -> None:
    write_sources(tmp_path, {"one": 50}, {"one": 1.0})
    shard = tmp_path / "one-00000.bin"
    damaged = np.frombuffer(shard.read_bytes(), "<u2").copy()
    damaged[:] = 5000
    shard.write_bytes(damaged.tobytes())
    samples = Samples(Corpus(tmp_path, 1000), sequence_length=9, seed=0)
    with pytest.raises(UserError, match="the id 5000 is outside the vocabulary of 1000"):
        samples.batch(0, 2)


def held_out_corpus(folder: Path, document: int) -> Corpus:
    """A source of 1,000 ids in documents of a length, no id twice but the separator."""
    ids = np.arange(10, 10 + 1000, dtype=np.int32)
    documents = [ids[start : start + document - 1] for start in range(0, 1000, document)]
    facts = TokenizerFacts(sha256="0" * 64, vocabulary_size=2000, separator=9, pad=6)
    shards = write_shards(folder, "one", documents, facts, max_tokens=300)
    write_index(folder, facts, {"one": shards}, {"one": 1.0})
    return Corpus(folder, 2000)


@given(document=st.integers(2, 400), most=st.integers(1, 20))
def test_no_document_is_in_both_training_and_validation(
    tmp_path_factory: pytest.TempPathFactory, document: int, most: int
) -> None:
    corpus = held_out_corpus(tmp_path_factory.mktemp("shards"), document)
    validation = ValidationSamples(corpus, 9, most)
    samples = Samples(corpus, 9, 0, validation.held_out)
    ids = len(corpus.texts["one"])
    chunks = ids // 10 - validation.held_out["one"]
    trained = np.concatenate([samples.chunk(number) for number in range(chunks)])
    count = validation.counts["one"]
    batch = validation.batch("one", 0, count)
    validated = np.concatenate((batch.ids.numpy().ravel(), batch.labels.numpy().ravel()))
    assert 1 <= count <= min(most, ids // 10 // 10)
    overlap = np.intersect1d(trained, validated)
    assert set(overlap.tolist()) <= {9}
    # A document of more ids than are held out may be cut in two; a shorter one never is.
    if document + 10 <= 10 * validation.held_out["one"]:
        of_trained = {(each - 10) // document for each in trained.tolist() if each != 9}
        of_validated = {(each - 10) // document for each in validated.tolist() if each != 9}
        assert not of_trained & of_validated


def test_validation_samples_that_do_not_exist_are_padding(tmp_path: Path) -> None:
    validation = ValidationSamples(held_out_corpus(tmp_path, 20), 9, 3)
    count = validation.counts["one"]
    batch = validation.batch("one", count - 1, 3)
    assert batch.weights.sum(dim=1).tolist() == [9.0, 0.0, 0.0]


def test_a_source_too_small_to_hold_out_from_is_trained_on_whole(tmp_path: Path) -> None:
    write_sources(tmp_path, {"large": 500, "small": 90}, {"large": 1.0, "small": 1.0})
    validation = ValidationSamples(Corpus(tmp_path, 1000), 9, 4)
    assert validation.held_out == {"large": 4}


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_ranks_together_read_the_samples_of_one(tmp_path: Path, ranks: int) -> None:
    samples = Samples(held_out_corpus(tmp_path, 50), sequence_length=9, seed=1)
    for consumed in (0, 8, 16, 400):
        parts = []
        for rank in range(ranks):
            with BatchReader(samples, 8, rank, ranks, pin_memory=False) as reader:
                parts.append(reader.get(consumed).ids)
        assert np.array_equal(np.concatenate(parts), samples.batch(consumed, 8).ids)


def test_a_reader_follows_jumps_and_passes_errors_on(tmp_path: Path) -> None:
    samples = Samples(held_out_corpus(tmp_path, 50), sequence_length=9, seed=1)
    with BatchReader(samples, 4, 0, 1, pin_memory=False) as reader:
        for consumed in (0, 4, 100, 104, 0):
            assert np.array_equal(reader.get(consumed).ids, samples.batch(consumed, 4).ids)
    narrow = Samples(Corpus(tmp_path, 2000), sequence_length=9, seed=1)
    narrow.corpus._vocabulary = 20
    with (
        BatchReader(narrow, 50, 0, 1, pin_memory=False) as reader,
        pytest.raises(UserError, match="outside the vocabulary of 20"),
    ):
        reader.get(0)


def test_changed_ids_are_found_by_the_part_that_reads_them(tmp_path: Path) -> None:
    corpus = held_out_corpus(tmp_path, 50)
    assert len(corpus.shards.shards) == 4
    changed = tmp_path / "one-00001.bin"
    content = bytearray(changed.read_bytes())
    content[20] ^= 1
    changed.write_bytes(content)
    corpus = Corpus(tmp_path, 2000)
    corpus.verify(0, 2)
    with pytest.raises(UserError, match=r"one-00001\.bin: was changed"):
        corpus.verify(1, 2)
