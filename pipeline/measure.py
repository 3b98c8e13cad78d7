"""Stage *measure*: signals, content hash and band keys of every document; no decisions.

Text is read here for the last time before the corpus is written: rules and deduplication read
the columns that this stage writes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from filters.minhash import MinHash
from filters.signals import SIGNALS, Measurer
from filters.word_lists import load_word_list
from pangu_settings import UserError
from pipeline import storage
from pipeline.documents import ORIGIN
from pipeline.parts import Part, PartOutput
from pipeline.recipe import BUILTIN, NearDuplicates, Recipe, resolve
from pipeline.stage import Outcome, Stage, StageRun, outcome_of_parts
from pipeline.tables import read_batches, table_path

NAME = "measure"
_ARROW_TYPES = {"int32": pa.int32(), "float32": pa.float32()}

MEASURED = pa.schema(
    [
        *ORIGIN,
        pa.field("text_bytes", pa.int64(), nullable=False),
        *(
            pa.field(signal.name, _ARROW_TYPES[signal.dtype], nullable=False)
            for signal in SIGNALS.values()
        ),
        # 16 bytes of blake2b over the text: equal texts, and nothing else, are equal here.
        pa.field("content_hash", pa.binary(16), nullable=False),
        # One uint64 for each band, little-endian; empty where the text has no shingle, so that
        # texts too short to compare are never taken for duplicates of each other.
        pa.field("bands", pa.binary(), nullable=False),
    ]
)


@dataclass(frozen=True)
class MeasurePart:
    """Measures one part's documents."""

    clean_folder: str
    advertisement_words: tuple[str, ...]
    sensitive_words: tuple[str, ...]
    near: NearDuplicates
    loaded: dict[str, Any] = field(default_factory=dict, compare=False)

    def setup(self) -> None:
        """Builds the keyword automata and draws the permutations."""
        near = self.near
        self.loaded["measurer"] = Measurer(self.advertisement_words, self.sensitive_words)
        self.loaded["minhash"] = MinHash(near.shingle, near.bands, near.rows, near.seed)

    def process(self, part: Part, output: PartOutput) -> None:
        output.open_table("signals", MEASURED)
        columns = [*(column.name for column in ORIGIN), "text"]
        for batch in read_batches(table_path(self.clean_folder, "documents", part.name), columns):
            output.write("signals", self._measure(batch, output), MEASURED)

    def _measure(self, batch: pa.RecordBatch, output: PartOutput) -> pa.RecordBatch:
        texts = batch.column("text").to_pylist()
        titles = batch.column("title").to_pylist()
        measurer, minhash = self.loaded["measurer"], self.loaded["minhash"]
        rows = [measurer.measure(*pair) for pair in zip(titles, texts, strict=True)]
        encoded = [text.encode() for text in texts]
        arrays = [
            *batch.columns[: len(ORIGIN)],
            pa.array([len(data) for data in encoded], pa.int64()),
            *(
                pa.array([row[signal.name] for row in rows], _ARROW_TYPES[signal.dtype])
                for signal in SIGNALS.values()
            ),
            pa.array(
                [hashlib.blake2b(data, digest_size=16).digest() for data in encoded],
                pa.binary(16),
            ),
            pa.array(
                [
                    minhash.band_keys(text).astype("<u8").tobytes() if self.near.enabled else b""
                    for text in texts
                ],
                pa.binary(),
            ),
        ]
        characters, size = sum(map(len, texts)), sum(map(len, encoded))
        output.books.came_in.add(len(texts), characters, size)
        output.books.kept.add(len(rows), characters, size)
        return pa.RecordBatch.from_arrays(arrays, schema=MEASURED)


def unpack_bands(column: pa.Array, bands: int) -> tuple[np.ndarray, np.ndarray]:
    """The band keys of a column as numbers.

    Args:
      column: binary; 8 × bands bytes, or none.
      bands: number of bands.

    Returns:
      has_bands bool (n,), and keys uint64 (has_bands.sum(), bands).
    """
    values = column.to_pylist()
    has_bands = np.fromiter((len(value) > 0 for value in values), bool, len(values))
    packed = b"".join(values)
    return has_bands, np.frombuffer(packed, "<u8").reshape(-1, bands).astype(np.uint64)


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
    return {"words": digests, "near": recipe.deduplicate.near.model_dump()}


def _run(run: StageRun) -> Outcome:
    lists = word_lists(run.recipe)
    transform = MeasurePart(
        run.inputs["clean"],
        lists.get("advertisement", ()),
        lists.get("sensitive", ()),
        run.recipe.deduplicate.near,
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
    libraries=("ahocorasick-rs", "datasketch", "opencc"),
)
