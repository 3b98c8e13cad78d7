"""Stage *deduplicate*: exact and near-duplicates across all sources are merged (PanGu-α §3.1.2).

Only packed keys and ordinals are shuffled: one Beam element holds all keys of one part that fall
into one (band, prefix) block, and buckets are found with numpy inside the group. An ordinal is the
place of a document in the run's fixed order of parts and rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.duplicate_settings import Deduplicate
from filters.duplicates import bucket_edges, components, survivors
from pipeline import storage
from pipeline.execution import Execution
from pipeline.measure import unpack_bands
from pipeline.parts import Part, PartOutput
from pipeline.recipe import Recipe
from pipeline.stage import Outcome, Stage, StageRun, outcome_of_parts
from pipeline.tables import TableWriter, read_table, row_count, table_path

NAME = "deduplicate"
EXACT, NEAR = "exact", "near"
CLUSTERS = "clusters.parquet"
EDGES = "edges"

# Each block should stay near this size: small enough for a worker, large enough for numpy.
BLOCK_BYTES = 32 << 20
# The exact block is numbered after the last band.
KEY_WORDS = {EXACT: 2, NEAR: 1}

MERGES = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("kept", pa.bool_(), nullable=False),
        pa.field("merged_into", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("cluster_id", pa.string(), nullable=False),
        pa.field("cluster_size", pa.int32(), nullable=False),
    ]
)
CLUSTER_MEMBERS = pa.schema(
    [
        pa.field("ordinal", pa.uint64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("survivor", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("cluster_size", pa.int32(), nullable=False),
    ]
)


@dataclass(frozen=True)
class OrderedPart:
    """A part and the ordinal of its first document."""

    part: Part
    first: int
    rows: int


@dataclass(frozen=True)
class Inputs:
    """Folders of the stages whose columns are compared."""

    measure: str
    decide: str

    def columns(self, part: Part, names: Sequence[str]) -> pa.Table:
        """Chosen columns of a part's signals, all rows."""
        return read_table(table_path(self.measure, "signals", part.name), names)

    def verdicts(self, part: Part, names: Sequence[str]) -> pa.Table:
        """Chosen columns of a part's verdicts, all rows."""
        return read_table(table_path(self.decide, "verdicts", part.name), names)


@dataclass(eq=False)
class FindDuplicates(beam.PTransform):
    """Parts -> files of edges between documents that share a content hash or a band key."""

    inputs: Inputs
    settings: Deduplicate
    prefixes: int
    folder: str

    def expand(self, parts: beam.PCollection) -> beam.PCollection:
        return (
            parts
            | "Spread parts over workers" >> beam.Reshuffle()
            | "Pack keys"
            >> beam.ParDo(_PackKeys(self.inputs, self.settings, self.prefixes)).with_output_types(
                tuple[tuple[int, int], bytes]
            )
            | "Group blocks" >> beam.GroupByKey()
            | "Connect equal keys"
            >> beam.ParDo(_ConnectEqualKeys(self.settings.near.bands, self.folder))
        )


class _PackKeys(beam.DoFn):
    """Yields ((band, prefix), packed rows of key words and ordinal) for one part."""

    def __init__(self, inputs: Inputs, settings: Deduplicate, prefixes: int) -> None:
        self._inputs = inputs
        self._settings = settings
        self._prefixes = prefixes

    def process(self, ordered: OrderedPart) -> Iterator[tuple[tuple[int, int], bytes]]:
        kept = np.asarray(self._inputs.verdicts(ordered.part, ["kept"]).column("kept"))
        ordinals = np.arange(ordered.first, ordered.first + ordered.rows, dtype=np.uint64)
        columns = self._inputs.columns(ordered.part, ["content_hash", "bands"])
        bands = self._settings.near.bands
        if self._settings.exact:
            packed = b"".join(columns.column("content_hash").to_pylist())
            hashes = np.frombuffer(packed, "<u8").reshape(-1, KEY_WORDS[EXACT]).astype(np.uint64)
            yield from self._blocks(bands, hashes[kept], ordinals[kept])
        if self._settings.near.enabled:
            has_bands, keys = unpack_bands(columns.column("bands").combine_chunks(), bands)
            chosen = kept[has_bands]
            for band in range(bands):
                yield from self._blocks(
                    band, keys[chosen, band : band + 1], ordinals[has_bands][chosen]
                )

    def _blocks(
        self, band: int, keys: np.ndarray, ordinals: np.ndarray
    ) -> Iterator[tuple[tuple[int, int], bytes]]:
        prefixes = keys[:, 0] % np.uint64(self._prefixes)
        rows = np.column_stack([keys, ordinals]).astype("<u8")
        for prefix in np.unique(prefixes):
            yield (band, int(prefix)), rows[prefixes == prefix].tobytes()


class _ConnectEqualKeys(beam.DoFn):
    """Finds the buckets of one block and writes their edges to a file named after the block."""

    def __init__(self, bands: int, folder: str) -> None:
        self._bands = bands
        self._folder = folder

    def process(self, block: tuple[tuple[int, int], Iterable[bytes]]) -> Iterator[str]:
        (band, prefix), packed = block
        words = KEY_WORDS[EXACT if band == self._bands else NEAR] + 1
        rows = np.frombuffer(b"".join(packed), "<u8").reshape(-1, words).astype(np.uint64)
        edges = bucket_edges(rows[:, :-1], rows[:, -1])
        if len(edges) == 0:
            return
        name = f"{band:03d}-{prefix:05d}.edges"
        with storage.write_atomically(storage.join(self._folder, EDGES, name)) as file:
            file.write(edges.astype("<u8").tobytes())
        yield name


@dataclass(frozen=True)
class MergePart:
    """Writes, for every document of a part, whether it stays and what it was merged into."""

    inputs: Inputs
    clusters_path: str
    first_of_part: dict[str, tuple[int, int]]

    def setup(self) -> None:
        """Nothing to load."""

    def process(self, part: Part, output: PartOutput) -> None:
        output.open_table("verdicts", MERGES)
        verdicts = self.inputs.verdicts(part, ["id", "kept", "characters", "text_bytes"])
        ids = verdicts.column("id").to_pylist()
        came_in = np.asarray(verdicts.column("kept"))
        first, rows = self.first_of_part[part.name]
        survivor = list(ids)
        kind = [""] * rows
        size = np.where(came_in, 1, 0)
        for member in _members(self.clusters_path, first, first + rows):
            row = member["ordinal"] - first
            survivor[row], kind[row] = member["survivor"], member["kind"]
            size[row] = member["cluster_size"]
        kept = np.array(
            [k and s == i for k, s, i in zip(came_in, survivor, ids, strict=True)], bool
        )
        self._count(verdicts, came_in, kept, kind, output)
        arrays = [
            pa.array(ids, pa.string()),
            pa.array(kept),
            pa.array(
                [s if c and not k else "" for s, c, k in zip(survivor, came_in, kept, strict=True)],
                pa.string(),
            ),
            pa.array(kind, pa.string()),
            pa.array([s if c else "" for s, c in zip(survivor, came_in, strict=True)], pa.string()),
            pa.array(size, pa.int32()),
        ]
        output.write("verdicts", pa.RecordBatch.from_arrays(arrays, schema=MERGES), MERGES)

    def _count(
        self,
        verdicts: pa.Table,
        came_in: np.ndarray,
        kept: np.ndarray,
        kind: list[str],
        output: PartOutput,
    ) -> None:
        characters = np.asarray(verdicts.column("characters"))
        sizes = np.asarray(verdicts.column("text_bytes"))
        kinds = np.array(kind, dtype=object)

        def sums(chosen: np.ndarray) -> tuple[int, int, int]:
            return int(chosen.sum()), int(characters[chosen].sum()), int(sizes[chosen].sum())

        output.books.came_in.add(*sums(came_in))
        output.books.kept.add(*sums(kept))
        for reason in (EXACT, NEAR):
            merged = came_in & ~kept & (kinds == reason)
            if merged.any():
                output.books.count("merged", reason).add(*sums(merged))


def _members(path: str, first: int, end: int) -> list[dict[str, Any]]:
    ordinal = pc.field("ordinal")
    table = read_table(path, where=(ordinal >= first) & (ordinal < end))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _order(parts: Sequence[Part], inputs: Inputs) -> list[OrderedPart]:
    ordered: list[OrderedPart] = []
    first = 0
    for part in parts:
        rows = row_count(table_path(inputs.decide, "verdicts", part.name))
        ordered.append(OrderedPart(part, first, rows))
        first += rows
    return ordered


def _find_edges(
    execution: Execution,
    ordered: Sequence[OrderedPart],
    inputs: Inputs,
    settings: Deduplicate,
    folder: str,
) -> np.ndarray:
    documents = sum(part.rows for part in ordered)
    prefixes = max(1, documents * 24 // BLOCK_BYTES)
    storage.delete(storage.join(folder, EDGES))
    execution.run(
        lambda root: (
            root
            | "Parts" >> beam.Create(list(ordered))
            | "Find" >> FindDuplicates(inputs, settings, prefixes, folder)
        )
    )
    found = [np.empty((0, 2), np.uint64)]
    for name in storage.list_files(storage.join(folder, EDGES), ".edges"):
        with storage.open_read(storage.join(folder, EDGES, name)) as file:
            found.append(np.frombuffer(file.read(), "<u8").reshape(-1, 2).astype(np.uint64))
    storage.delete(storage.join(folder, EDGES))
    return np.concatenate(found)


def _write_clusters(
    path: str, edges: np.ndarray, ordered: Sequence[OrderedPart], inputs: Inputs
) -> storage.ListedFile:
    """Writes one row for each document that has a duplicate, by ordinal."""
    ordinals, labels = components(edges)
    ids, quality, hashes = _columns_of(ordinals, ordered, inputs)
    survivor = survivors(labels, quality, ids)
    sizes = np.bincount(labels, minlength=1)[labels] if len(labels) else np.empty(0, np.int64)
    same_text = hashes == hashes[survivor]
    batch = pa.RecordBatch.from_arrays(
        [
            pa.array(ordinals, pa.uint64()),
            pa.array(ids.astype(str), pa.string()),
            pa.array(ids[survivor].astype(str), pa.string()),
            pa.array(np.where(same_text, EXACT, NEAR), pa.string()),
            pa.array(sizes, pa.int32()),
        ],
        schema=CLUSTER_MEMBERS,
    )
    with TableWriter(path, CLUSTER_MEMBERS) as writer:
        writer.write(batch)
    return writer.facts(CLUSTERS)


def _columns_of(
    ordinals: np.ndarray, ordered: Sequence[OrderedPart], inputs: Inputs
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids (S32), quality (float32) and content hashes (S16 as two uint64) of chosen documents."""
    ids = [np.empty(0, "S32")]
    quality = [np.empty(0, np.float32)]
    hashes = [np.empty(0, "V16")]
    for entry in ordered:
        low, high = np.searchsorted(ordinals, [entry.first, entry.first + entry.rows])
        if low == high:
            continue
        rows = pa.array(ordinals[low:high] - np.uint64(entry.first))
        verdicts = inputs.verdicts(entry.part, ["id", "quality"]).take(rows)
        ids.append(np.array(verdicts.column("id").to_pylist(), "S32"))
        quality.append(np.asarray(verdicts.column("quality")))
        content = inputs.columns(entry.part, ["content_hash"]).take(rows).column(0).to_pylist()
        hashes.append(np.frombuffer(b"".join(content), "V16"))
    return np.concatenate(ids), np.concatenate(quality), np.concatenate(hashes)


def _settings(recipe: Recipe) -> Any:
    return recipe.deduplicate.result_settings()


def _run(run: StageRun) -> Outcome:
    inputs = Inputs(run.inputs["measure"], run.inputs["decide"])
    ordered = _order(run.parts, inputs)
    path = storage.join(run.folder, CLUSTERS)
    edges = _find_edges(run.execution, ordered, inputs, run.recipe.deduplicate, run.folder)
    clusters = _write_clusters(path, edges, ordered, inputs)
    first = {entry.part.name: (entry.first, entry.rows) for entry in ordered}
    run.execution.map_parts(MergePart(inputs, path, first), run.parts, run.folder)
    books, files, _ = outcome_of_parts(NAME, run.folder, run.parts)
    return Outcome(books, [*files, clusters])


STAGE = Stage(name=NAME, module=__name__, needs=("measure", "decide"), settings=_settings, run=_run)
