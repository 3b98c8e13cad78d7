"""A fastText model file, read with every length and index checked.

The layout is that of `FastText::saveModel` (version 12; 11 differs in one default). A model comes
from anywhere, and the library trusts what it reads, so only a file that passes here is handed to
it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np

from pangu_settings import UserError

_MAGIC = 793_712_314
_VERSIONS = (11, 12)
_SUPERVISED = 3
_LOSSES = {1: "hierarchical softmax", 2: "negative sampling", 3: "softmax", 4: "one versus all"}
_CENTROIDS = 256  # of a quantiser: one byte chooses among them


@dataclass(frozen=True)
class FastTextModel:
    """What a supervised model holds.

    Attributes:
      dimension: of the embeddings.
      ngrams: words in the longest n-gram.
      buckets: rows that n-grams share.
      longest_subword: characters in the longest piece of a word that has a row; 0 for none.
      loss: how it was trained.
      words: the vocabulary as bytes, in order of rows.
      labels: its classes, in order of the output's rows.
      input_rows: float32 (words + buckets, dimension); None in a quantised model.
      output_rows: float32 (labels, dimension); None in a quantised model.
    """

    dimension: int
    ngrams: int
    buckets: int
    longest_subword: int
    loss: str
    words: tuple[bytes, ...]
    labels: tuple[str, ...]
    input_rows: np.ndarray | None = field(repr=False)
    output_rows: np.ndarray | None = field(repr=False)

    @property
    def folds(self) -> bool:
        """Whether a prediction is a sum of one number for each feature: see `Classifier`."""
        return (
            self.input_rows is not None
            and self.output_rows is not None
            and self.loss == "softmax"
            and len(self.labels) == 2
            and self.longest_subword == 0
        )


def parse_fasttext_model(content: bytes, name: str) -> FastTextModel:
    """Reads a supervised model.

    Args:
      content: of a .bin or .ftz file.
      name: of the file, for messages.

    Raises:
      UserError: not such a file, cut short, or holding numbers that cannot be.
    """
    reader = _Reader(content, name)
    reader.check(reader.integer("i") == _MAGIC, "does not begin as a fastText model does")
    version = reader.integer("i")
    reader.check(version in _VERSIONS, f"has version {version}; 11 and 12 are known")
    arguments = [reader.integer("i") for _ in range(12)]
    dimension, _, _, _, _, ngrams, loss, kind, buckets, _, longest_subword, _ = arguments
    reader.take(8)  # sampling threshold: training only
    reader.check(kind == _SUPERVISED, "is not a classifier (trained without labels)")
    reader.check(loss in _LOSSES, f"has a loss of kind {loss}, which does not exist")
    reader.check(dimension > 0 and buckets >= 0, "has a dimension or bucket count below its least")
    reader.check(0 <= longest_subword <= 1000 and ngrams <= 1000, "has n-grams beyond reason")
    if version == 11:
        longest_subword = 0
    words, labels, pruned = _read_dictionary(reader)
    needs_buckets = longest_subword > 0 or ngrams > 1
    reader.check(buckets > 0 or not needs_buckets, "has n-grams but no rows for them")
    quantised = reader.integer("?")
    if quantised:
        rows, columns = _skip_quantised(reader)
        input_rows = None
    else:
        reader.check(pruned is None, "has its rows pruned without being quantised")
        input_rows = _read_matrix(reader)
        rows, columns = input_rows.shape
    expected = len(words) + (buckets if pruned is None else len(pruned))
    reader.check(
        (rows, columns) == (expected, dimension),
        f"has an input matrix of {rows} × {columns}, not {expected} × {dimension}",
    )
    if reader.integer("?") and quantised:
        shape, output_rows = _skip_quantised(reader), None
    else:
        output_rows = _read_matrix(reader)
        shape = output_rows.shape
    reader.check(
        tuple(shape) == (len(labels), dimension),
        f"has an output matrix of {shape[0]} × {shape[1]}, not {len(labels)} × {dimension}",
    )
    reader.check(reader.left == 0, f"goes on for {reader.left} bytes after its end")
    return FastTextModel(
        dimension,
        max(1, ngrams),
        buckets,
        longest_subword,
        _LOSSES[loss],
        words,
        labels,
        input_rows,
        output_rows,
    )


class _Reader:
    """Takes values off the front of a file's content; short content is a UserError."""

    def __init__(self, content: bytes, name: str) -> None:
        self._content = content
        self._name = name
        self._place = 0

    @property
    def left(self) -> int:
        return len(self._content) - self._place

    def check(self, holds: bool, problem: str) -> None:
        if not holds:
            raise UserError(
                f"{self._name}: {problem}; give a .bin or .ftz file of fastText train_supervised"
            )

    def take(self, size: int) -> memoryview:
        self.check(0 <= size <= self.left, f"ends too early (at byte {len(self._content)})")
        taken = memoryview(self._content)[self._place : self._place + size]
        self._place += size
        return taken

    def integer(self, kind: str) -> int:
        return int(struct.unpack(f"<{kind}", self.take(struct.calcsize(f"<{kind}")))[0])

    def word(self) -> bytes:
        end = self._content.find(b"\0", self._place)
        self.check(end >= 0, f"ends too early (at byte {len(self._content)})")
        return bytes(self.take(end + 1 - self._place)[:-1])

    def floats(self, count: int) -> np.ndarray:
        numbers = np.frombuffer(self.take(count * 4), "<f4")
        finite = bool(np.isfinite(numbers).all())
        self.check(finite, "holds numbers that are infinite or none at all")
        return numbers


def _read_dictionary(
    reader: _Reader,
) -> tuple[tuple[bytes, ...], tuple[str, ...], list[int] | None]:
    """(words, labels, rows of pruned n-grams or None)."""
    size, word_count, label_count = (reader.integer("i") for _ in range(3))
    reader.integer("q")  # words it was trained on
    pruned_count = reader.integer("q")
    reader.check(
        min(word_count, label_count) >= 0 and word_count + label_count == size,
        f"counts {word_count} words and {label_count} labels as {size}",
    )
    reader.check(label_count > 0, "has no labels")
    entries: list[tuple[bytes, int]] = []
    for _ in range(size):
        word = reader.word()
        # The library builds a tree from these counts, with 10^15 as its infinity.
        reader.check(0 <= reader.integer("q") < 10**15, "counts a word impossibly often")
        entries.append((word, reader.integer("b")))
    kinds = [kind for _, kind in entries]
    reader.check(kinds == [0] * word_count + [1] * label_count, "mixes its words and labels")
    pruned = None
    if pruned_count >= 0:
        pairs = np.frombuffer(reader.take(pruned_count * 8), "<i4").reshape(-1, 2)
        pruned = pairs[:, 1].tolist()
        reader.check(
            all(0 <= row < pruned_count for row in pruned), "prunes to rows that are not there"
        )
    try:
        labels = tuple(word.decode("utf-8") for word, _ in entries[word_count:])
    except UnicodeDecodeError:
        reader.check(False, "has a label that is not UTF-8")
        raise
    return tuple(word for word, _ in entries[:word_count]), labels, pruned


def _read_shape(reader: _Reader) -> tuple[int, int]:
    rows, columns = reader.integer("q"), reader.integer("q")
    # Also keeps their product small enough to be read.
    reader.check(0 <= rows < 2**31 and 0 < columns < 2**31, "has a matrix of impossible size")
    return rows, columns


def _read_matrix(reader: _Reader) -> np.ndarray:
    rows, columns = _read_shape(reader)
    return reader.floats(rows * columns).reshape(rows, columns)


def _skip_quantised(reader: _Reader) -> tuple[int, int]:
    """The shape of a product-quantised matrix (`QMatrix::save`), its content checked for size."""
    has_norms = reader.integer("?")
    rows, columns = _read_shape(reader)
    code_size = reader.integer("i")
    reader.take(code_size)
    parts = _skip_quantiser(reader, columns)
    reader.check(code_size == rows * parts, "has as many codes as no matrix needs")
    if has_norms:
        reader.take(rows)
        _skip_quantiser(reader, 1)
    return rows, columns


def _skip_quantiser(reader: _Reader, expected: int) -> int:
    """In how many parts a product quantiser (`ProductQuantizer::save`) cuts its vectors."""
    dimension, parts, part_size, last_size = (reader.integer("i") for _ in range(4))
    reader.check(
        dimension == expected
        and 0 < parts <= dimension
        and 0 < last_size <= part_size <= dimension
        and (parts - 1) * part_size + last_size == dimension,
        "has a quantiser whose parts do not fit",
    )
    reader.floats(dimension * _CENTROIDS)
    return parts
