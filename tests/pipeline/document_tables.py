"""Tables of documents as the stages before deduplication leave them, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from filters.duplicate_settings import Deduplicate
from filters.folding import fold_texts
from filters.kernels.text_batch import TextBatch
from filters.minhash import MinHash
from pipeline.documents import TIMESTAMP
from pipeline.duplicates.inputs import Inputs
from pipeline.execution import Execution
from pipeline.parts import Part
from pipeline.stages.deduplicate import find_duplicates
from pipeline.stages.measure import content_hashes


@dataclass(frozen=True)
class Document:
    """One row; `day` is when it was captured, in January 2024."""

    id: str
    text: str
    url: str = ""
    day: int | None = None
    quality: float = 0.5
    kept: bool = True


@dataclass(frozen=True)
class Tables:
    """Tables below a folder, and what `find_duplicates` needs to read them."""

    folder: Path
    parts: Sequence[Part]
    sources: tuple[str, ...] = field(default=("web",))

    @property
    def inputs(self) -> Inputs:
        return Inputs(*[str(self.folder)] * 3, self.sources)

    def results(
        self, settings: Deduplicate, work: Path, execution: Execution | None = None
    ) -> dict[str, dict[str, Any]]:
        """Id of each document that shares a key with another -> row of the results."""
        inputs = self.inputs
        numbered = inputs.number(self.parts)
        found = find_duplicates(execution or Execution(), inputs, numbered, settings, str(work))
        ids = [
            name
            for entry in numbered
            for name in inputs.verdicts(entry.part, ["id"]).column("id").to_pylist()
        ]
        results = [pq.read_table(path) for path in Path(found).glob("*.parquet")]
        rows = pa.concat_tables(results).to_pylist() if results else []
        return {ids[row.pop("ordinal")]: row for row in rows}


def write_tables(
    folder: Path, parts: Mapping[str, Sequence[Document]], settings: Deduplicate
) -> Tables:
    """Writes the documents of each part; a part's source is what its name has before the dot."""
    made = []
    for name, documents in parts.items():
        made.append(Part(name, name.partition(".")[0], name, name, 0))
        texts = pa.array([document.text for document in documents], pa.string())
        tables = {
            "documents": {
                "url": pa.array([document.url for document in documents], pa.string()),
                "captured_at": pa.array([_date(d.day) for d in documents], TIMESTAMP),
                "text": texts,
            },
            "signals": {
                "content_hash": content_hashes(texts),
                "bands": _bands(texts, settings),
            },
            "verdicts": {
                "id": pa.array([document.id for document in documents], pa.string()),
                "kept": pa.array([document.kept for document in documents], pa.bool_()),
                "quality": pa.array([document.quality for document in documents], pa.float32()),
                "characters": pa.array([len(d.text) for d in documents], pa.int64()),
                "text_bytes": pa.array([len(d.text.encode()) for d in documents], pa.int64()),
            },
        }
        for table, columns in tables.items():
            path = folder / table / f"{name}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table(columns), path)
    sources = tuple(dict.fromkeys(part.source for part in made))
    return Tables(folder, made, sources)


def _date(day: int | None) -> datetime | None:
    return None if day is None else datetime(2024, 1, day, tzinfo=UTC)


def _bands(texts: pa.Array, settings: Deduplicate) -> pa.Array:
    near = settings.near
    minhash = MinHash(near.shingle, near.bands, near.rows, near.seed)
    has_bands, keys = minhash.band_keys_of(fold_texts(TextBatch.from_arrow(texts)).comparable)
    return pa.array(
        [
            row.astype("<u8").tobytes() if known else b""
            for row, known in zip(keys, np.asarray(has_bands), strict=True)
        ],
        pa.binary(),
    )
