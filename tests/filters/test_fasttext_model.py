"""A model file is read exactly, or refused by name: cut, changed or made up."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import fasttext
import numpy as np
import pytest
from classifier_documents import documents

from filters.classifier import fasttext_line
from filters.fasttext_model import parse_fasttext_model
from pangu_settings import UserError


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lines") / "lines.txt"
    path.write_text(
        "".join(
            f"__label__{'good' if e.positive else 'bad'} {fasttext_line(e.text, 'characters')}\n"
            for e in documents()
        ),
        encoding="utf-8",
    )
    return path


@pytest.fixture(scope="module")
def plain(lines: Path) -> bytes:
    model = fasttext.train_supervised(
        str(lines), dim=4, epoch=3, bucket=50, wordNgrams=2, thread=1, verbose=0
    )
    path = lines.parent / "plain.bin"
    model.save_model(str(path))
    return path.read_bytes()


@pytest.fixture(scope="module")
def quantised(lines: Path) -> bytes:
    model = fasttext.train_supervised(
        str(lines), dim=4, epoch=3, bucket=500, wordNgrams=2, thread=1, verbose=0
    )
    model.quantize(input=str(lines), retrain=True, qnorm=True, cutoff=300)
    path = lines.parent / "small.ftz"
    model.save_model(str(path))
    return path.read_bytes()


def test_a_model_is_read_as_the_library_reads_it(lines: Path, plain: bytes) -> None:
    library = fasttext.load_model(str(lines.parent / "plain.bin"))
    model = parse_fasttext_model(plain, "plain.bin")
    assert [word.decode() for word in model.words] == library.get_words()
    assert sorted(model.labels) == sorted(library.get_labels())
    assert (model.dimension, model.ngrams, model.buckets) == (4, 2, 50)
    assert model.input_rows is not None
    assert model.output_rows is not None
    assert np.array_equal(model.input_rows, library.get_input_matrix())
    assert np.array_equal(model.output_rows, library.get_output_matrix())
    assert model.folds


def test_a_quantised_model_is_checked_and_left_to_the_library(quantised: bytes) -> None:
    model = parse_fasttext_model(quantised, "small.ftz")
    assert model.input_rows is None
    assert not model.folds
    assert set(model.labels) == {"__label__good", "__label__bad"}


def test_a_model_without_labels_is_refused(lines: Path) -> None:
    model = fasttext.train_unsupervised(
        str(lines), dim=4, epoch=1, bucket=50, thread=1, verbose=0, minCount=1
    )
    path = lines.parent / "vectors.bin"
    model.save_model(str(path))
    with pytest.raises(UserError, match="not a classifier"):
        parse_fasttext_model(path.read_bytes(), "vectors.bin")


@pytest.mark.parametrize("kind", ["plain", "quantised"])
def test_every_shortened_file_is_refused_by_name(kind: str, request: pytest.FixtureRequest) -> None:
    content = request.getfixturevalue(kind)
    for size in {*range(0, len(content), 37), *range(200), len(content) - 1}:
        with pytest.raises(UserError, match=r"^some\.bin: .*fastText"):
            parse_fasttext_model(content[:size], "some.bin")
    with pytest.raises(UserError, match="1 bytes after its end"):
        parse_fasttext_model(content + b"\0", "some.bin")


@pytest.mark.parametrize("kind", ["plain", "quantised"])
def test_changed_files_are_read_or_refused(kind: str, request: pytest.FixtureRequest) -> None:
    """Never an index error, a crash or memory without bound."""
    content = request.getfixturevalue(kind)
    random_ = random.Random(5)
    refused = 0
    for _ in range(400):
        changed = bytearray(content)
        for _ in range(random_.randint(1, 3)):
            # Mostly in the beginning, where lengths are.
            end = random_.choice([120, 120, len(content) - 8])
            place = random_.randrange(end)
            changed[place : place + 4] = random_.choice(
                [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", random_.randbytes(4)]
            )
        try:
            parse_fasttext_model(bytes(changed), "changed.bin")
        except UserError:
            refused += 1
    assert refused > 100


def test_numbers_that_are_none_are_refused(plain: bytes) -> None:
    model = parse_fasttext_model(plain, "m")
    place = plain.index(model.input_rows[5].tobytes())  # type: ignore[index]
    changed = plain[:place] + struct.pack("<f", float("nan")) + plain[place + 4 :]
    with pytest.raises(UserError, match="infinite or none"):
        parse_fasttext_model(changed, "m")


@pytest.mark.parametrize(
    ("place", "value", "problem"),
    [
        (0, 1, "does not begin"),
        (4, 99, "version 99"),
        (8, 5, "input matrix"),
        (8, 0, "below its least"),
        (32, 9, "loss of kind 9"),
        (36, 2, "not a classifier"),
        (40, 51, "input matrix"),
        (40, -1, "below its least"),
        (64, 2**31 - 1, "counts"),
    ],
)
def test_headers_that_cannot_be(plain: bytes, place: int, value: int, problem: str) -> None:
    changed = plain[:place] + struct.pack("<i", value) + plain[place + 4 :]
    with pytest.raises(UserError, match=problem):
        parse_fasttext_model(changed, "m")
