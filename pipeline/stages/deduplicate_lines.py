"""Stage *deduplicate_lines*: lines that many documents share are taken out of the corpus.

Lines are compared by hashes that the stage *measure* has written, beside where each line stands, so
no text is read but the few lines that the summary shows. The steps are in
`pipeline.line_duplicates`; each is committed in pieces. The lines go to the table `cuts`, and
documents of which too little remains are dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from filters.line_duplicate_settings import DeduplicateLines
from filters.line_duplicates import RULES
from pipeline import storage
from pipeline.cuts import CUTS, VERDICTS
from pipeline.duplicates.inputs import Inputs, NumberedPart
from pipeline.execution import LOCAL_RUNNER, Execution
from pipeline.line_duplicates.choosing import (
    REMOVED,
    REMOVED_LINE,
    REMOVED_STEP,
    choose_lines,
    rows_of,
)
from pipeline.line_duplicates.keys import HOSTS, HashHosts, LineReader, write_host_sizes
from pipeline.line_duplicates.repeated import blocks, find_repeated
from pipeline.line_duplicates.summary import summary_of_groups
from pipeline.parts import Part, PartOutput, pending_parts, read_part_record
from pipeline.recipe import Recipe
from pipeline.stage import Outcome, Stage, StageRun, outcome_of_parts
from pipeline.stages.measure import unpacked

NAME = "deduplicate_lines"
SUMMARY = "line_duplicates.json"
# Reason why a document is not in the corpus.
TOO_LITTLE_BESIDE = "little_beside_repeated_lines"
_WORK = "work"
_LAYOUT = "layout.json"
_GROUPS = "groups.json"


@dataclass(frozen=True)
class CutLines:
    """Writes the cuts of one part, and drops documents of which they leave too little."""

    reader: LineReader
    parts: dict[str, NumberedPart]
    settings: DeduplicateLines

    def setup(self) -> None:
        """Nothing to load."""

    def process(self, part: Part, output: PartOutput) -> None:
        output.open_table("verdicts", VERDICTS)
        output.open_table("cuts", CUTS)
        numbered = self.parts[part.name]
        removed = rows_of(self.reader.work, REMOVED, numbered, REMOVED_LINE)
        rows = np.asarray(removed.column("document")).astype(np.int64) - numbered.first
        places = self._places(part, rows, np.asarray(removed.column("number")))
        rules = np.asarray(removed.column("rule"))
        decided = self.reader.inputs.verdicts(part, ["id", "characters", "text_bytes"])
        remaining = np.asarray(decided.column("characters")).copy()
        # With its line break.
        np.subtract.at(remaining, rows, places[:, 1] - places[:, 0] + 1)
        came_in = self.reader.kept(part)
        is_cut = np.zeros(numbered.rows, np.bool_)
        is_cut[rows] = True
        is_dropped = is_cut & (remaining < self.settings.min_remaining_characters)
        stays = ~is_dropped[rows]
        reasons = pa.array(RULES).take(pa.array(rules[stays]))
        columns = (rows[stays], places[stays, 0], places[stays, 1], reasons)
        arrays = [pa.array(c, f.type) for c, f in zip(columns, CUTS, strict=True)]
        output.write("cuts", pa.RecordBatch.from_arrays(arrays, schema=CUTS), CUTS)
        self._write_verdicts(decided, came_in, is_dropped, remaining, output)
        output.facts["cut_documents"] = int((is_cut & ~is_dropped).sum())
        output.facts["rules"] = {
            rule: {
                "lines": int((rules[stays] == number).sum()),
                "characters": int(np.diff(places[stays][rules[stays] == number]).sum()),
            }
            for number, rule in enumerate(RULES)
        }

    def _places(self, part: Part, rows: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Where some lines begin and end in their texts: int64 (lines, 2).

        Args:
          part: of the documents.
          rows: int64 (lines,), ascending, documents of the part.
          numbers: of the lines in their documents.
        """
        found = np.empty((len(rows), 2), np.int64)
        first = 0
        for batch in self.reader.inputs.signals(part, ["paragraph_places"]):
            start, stop = np.searchsorted(rows, [first, first + batch.num_rows])
            if start < stop:
                places, starts = unpacked(batch.column("paragraph_places"), "<i4")
                lines = starts[rows[start:stop] - first] // 2 + numbers[start:stop]
                found[start:stop] = places.reshape(-1, 2)[lines]
            first += batch.num_rows
        return found

    def _write_verdicts(
        self,
        decided: pa.Table,
        came_in: np.ndarray,
        is_dropped: np.ndarray,
        remaining: np.ndarray,
        output: PartOutput,
    ) -> None:
        kept = came_in & ~is_dropped
        least = str(self.settings.min_remaining_characters)

        def of_dropped(values: np.ndarray | str) -> pa.Array:
            return pa.array(np.where(is_dropped, values, "").tolist(), pa.string())

        arrays = [
            decided.column("id").combine_chunks(),
            pa.array(kept),
            of_dropped(TOO_LITTLE_BESIDE),
            of_dropped(np.maximum(0, remaining).astype(str)),
            of_dropped(least),
        ]
        output.write("verdicts", pa.RecordBatch.from_arrays(arrays, schema=VERDICTS), VERDICTS)
        characters, sizes = (
            np.asarray(decided.column(name)) for name in ("characters", "text_bytes")
        )

        def sums(chosen: np.ndarray) -> tuple[int, int, int]:
            return int(chosen.sum()), int(characters[chosen].sum()), int(sizes[chosen].sum())

        output.books.came_in.add(*sums(came_in))
        output.books.kept.add(*sums(kept))
        if is_dropped.any():
            output.books.count("dropped", TOO_LITTLE_BESIDE).add(*sums(is_dropped))


def find_line_duplicates(
    execution: Execution,
    reader: LineReader,
    parts: tuple[NumberedPart, ...],
    settings: DeduplicateLines,
    memory: int,
) -> list[Mapping[str, Any]]:
    """Decides for every line of every document whether it goes (table `removed`).

    Args:
      execution: where the steps run.
      reader: of the documents' lines; what is in its folder already is not done again.
      parts: all documents.
      settings: of the recipe.
      memory: in bytes; the result does not depend on it.

    Returns:
      What the summary needs of each block.
    """
    is_local = execution.runner == LOCAL_RUNNER
    layout = {"memory": int(memory), "local": is_local}
    path = storage.join(reader.work, _LAYOUT)
    if storage.read_json_or_none(path) != layout:
        storage.delete(reader.work)
        storage.write_json(path, layout)
    units = [numbered.part for numbered in parts]
    execution.map_parts(HashHosts(reader), units, reader.work, HOSTS)
    lines = sum(read_part_record(reader.work, HOSTS, part)["facts"]["lines"] for part in units)
    if settings.per_host.enabled:
        write_host_sizes(reader.work, units, settings.per_host.min_documents)
    wanted = blocks(lines, memory, is_local)
    find_repeated(execution, reader, parts, wanted, settings)
    done = choose_lines(execution, reader, parts, settings)
    return [read_part_record(reader.work, REMOVED_STEP, part)["facts"]["groups"] for part in done]


def _summary(
    settings: DeduplicateLines, groups: Mapping[str, Any], facts: list[dict[str, Any]]
) -> dict[str, Any]:
    """The content of `line_duplicates.json`."""
    rules = {
        rule: {
            **{
                name: sum(part["rules"][rule][name] for part in facts)
                for name in ("lines", "characters")
            },
            **groups[rule],
        }
        for rule in RULES
    }
    cut = sum(part["cut_documents"] for part in facts)
    return {**settings.model_dump(mode="json"), "cut_documents": cut, "rules": rules}


def _settings(recipe: Recipe) -> Any:
    settings = recipe.deduplicate_lines
    return settings.model_dump(mode="json") if settings.enabled else {}


def _run(run: StageRun) -> Outcome:
    settings = run.recipe.deduplicate_lines
    if not settings.enabled:
        # Nothing is read, and no documents pass.
        return Outcome({}, [])
    inputs = Inputs(run.inputs["clean"], run.inputs["measure"], run.inputs["decide"], ())
    work = storage.join(run.folder, _WORK)
    reader = LineReader(inputs, run.inputs["deduplicate"], work, settings.min_characters)
    parts = tuple(inputs.number(run.parts))
    groups_path = storage.join(run.folder, _GROUPS)
    groups = storage.read_json_or_none(groups_path)
    if groups is None or pending_parts(run.folder, "parts", run.parts):
        memory = run.recipe.deduplicate.memory
        of_blocks = find_line_duplicates(run.execution, reader, parts, settings, memory)
        groups = summary_of_groups(of_blocks, inputs, parts)
        storage.write_json(groups_path, groups)
        by_name = {numbered.part.name: numbered for numbered in parts}
        run.execution.map_parts(CutLines(reader, by_name, settings), run.parts, run.folder)
    storage.delete(work)
    books, files, facts = outcome_of_parts(NAME, run.folder, run.parts)
    summary = _summary(settings, groups, facts)
    files.append(storage.write_json(storage.join(run.folder, SUMMARY), summary, SUMMARY))
    return Outcome(books, files, {NAME: summary})


STAGE = Stage(
    name=NAME,
    module=__name__,
    needs=("clean", "measure", "decide", "deduplicate"),
    settings=_settings,
    run=_run,
    publishes={SUMMARY: SUMMARY},
)
