"""Which documents the corpora of older runs already hold, found in their band indexes.

Of all documents fingerprints are computed, part by part. Then so many of them as fit into memory
are held in tables by their keys while the indexes, whatever their size, pass by once
(`older_matches`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.bit_signatures import BitSignatures
from filters.duplicate_settings import Deduplicate
from filters.duplicates import OLDER
from pipeline import storage
from pipeline.duplicates.band_index import OlderCorpus
from pipeline.duplicates.fingerprints import FINGERPRINT, fingerprints, read_fingerprints
from pipeline.duplicates.inputs import Inputs, NumberedPart
from pipeline.duplicates.older_matches import Matches, Wanted
from pipeline.execution import Execution
from pipeline.parts import Part, PartOutput
from pipeline.tables import read_table

STEP, TABLE = "older", "older"
_FINGERPRINTS = "fingerprints"
_NUMBERED = pa.schema([pa.field("ordinal", pa.uint64(), nullable=False), *FINGERPRINT])
# Documents that an older corpus holds.
FOUND = pa.schema(
    [
        pa.field("ordinal", pa.uint64(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        # The older run, as the recipe names it, and the document of its corpus.
        pa.field("run", pa.string(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        # Estimated Jaccard similarity, of near-duplicates and copies that were checked.
        pa.field("similarity", pa.float32()),
    ]
)
# Of memory for each document that is looked for: its fingerprint, its place in the tables of keys,
# and its best match.
DOCUMENT_BYTES = 1000


def find_in_older(
    execution: Execution,
    inputs: Inputs,
    parts: Sequence[NumberedPart],
    older: Sequence[OlderCorpus],
    settings: Deduplicate,
    folder: str,
) -> str:
    """Finds, for every document that an older corpus holds, the one that stands for it there.

    Args:
      execution: where the steps run.
      inputs: the documents' columns.
      parts: all documents, numbered by `inputs`.
      older: the indexes, in the order in which they count.
      settings: of the recipe.
      folder: for tables on the way; what is there already is not done again.

    Returns:
      The folder of the tables of finds (FOUND), for `Inputs.older`.

    Raises:
      UserError: an index was made with other tables of characters.
    """
    for corpus in older:
        corpus.check_folding()
    numbered = {entry.part.name: entry for entry in parts}
    execution.map_parts(
        FingerprintPart(inputs, numbered, settings),
        [entry.part for entry in parts],
        folder,
        _FINGERPRINTS,
    )
    size = max(1, settings.memory // DOCUMENT_BYTES)
    documents = sum(entry.rows for entry in parts)
    spans = [(start, start + size) for start in range(0, documents, size)]
    by_name = {f"documents-{start:012d}-{end:012d}": (start, end) for start, end in spans}
    execution.map_parts(
        SearchOlder(folder, tuple(parts), tuple(older), by_name, settings),
        [Part(name, "", "", "", 0) for name in by_name],
        folder,
        STEP,
    )
    return storage.join(folder, TABLE)


@dataclass(frozen=True)
class FingerprintPart:
    """Computes the fingerprints of the documents of one part."""

    inputs: Inputs
    numbered: dict[str, NumberedPart]
    settings: Deduplicate
    loaded: dict[str, Any] = field(default_factory=dict, compare=False)

    def setup(self) -> None:
        """Draws the permutations."""
        self.loaded["signatures"] = BitSignatures(self.settings.near.shingle)

    def process(self, part: Part, output: PartOutput) -> None:
        output.open_table(_FINGERPRINTS, _NUMBERED)
        numbered = self.numbered[part.name]
        kept = self.inputs.kept(numbered)
        compared = kept & self.settings.near.enabled
        found = fingerprints(self.inputs, part, kept, compared, self.loaded["signatures"])
        for rows, columns in found:
            arrays = [pa.array(numbered.first + rows, pa.uint64()), *columns]
            batch = pa.RecordBatch.from_arrays(arrays, schema=_NUMBERED)
            output.write(_FINGERPRINTS, batch, _NUMBERED)


@dataclass(frozen=True)
class SearchOlder:
    """Looks for the documents of one span of ordinals in the older corpora."""

    folder: str
    parts: tuple[NumberedPart, ...]
    older: tuple[OlderCorpus, ...]
    spans: dict[str, tuple[int, int]]
    settings: Deduplicate

    def setup(self) -> None:
        """Nothing to load."""

    def process(self, part: Part, output: PartOutput) -> None:
        output.open_table(TABLE, FOUND)
        table = self._fingerprints(*self.spans[part.name])
        if table.num_rows == 0:
            return
        ordinals = np.asarray(table.column("ordinal"))
        (batch,) = table.combine_chunks().to_batches()
        wanted = Wanted(read_fingerprints(batch), self.settings)
        del table, batch
        place = 0
        for number, older in enumerate(self.older):
            for rows in older.batches():
                wanted.compare(rows, place, number)
                place += rows.num_rows
        for kind, holders, matches, similarity in wanted.found():
            output.write(TABLE, self._rows(kind, ordinals[holders], matches, similarity), FOUND)

    def _rows(
        self, kind: str, ordinals: np.ndarray, matches: Matches, similarity: pa.Array
    ) -> pa.RecordBatch:
        names = pa.array([older.run for older in self.older], pa.string())
        arrays = [
            pa.array(ordinals, pa.uint64()),
            pa.array([OLDER[kind]] * len(ordinals), pa.string()),
            names.take(pa.array(matches.runs)),
            pa.array(matches.ids.tolist(), pa.string()),
            similarity,
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=FOUND)

    def _fingerprints(self, start: int, end: int) -> pa.Table:
        ordinal = pc.field("ordinal")
        tables = [
            read_table(
                storage.join(self.folder, _FINGERPRINTS, f"{entry.part.name}.parquet"),
                where=(ordinal >= start) & (ordinal < end),
            )
            for entry in self.parts
            if entry.first < end and entry.first + entry.rows > start
        ]
        return pa.concat_tables([_NUMBERED.empty_table(), *tables])
