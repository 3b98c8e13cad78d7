"""The road from input files to verdicts, without what comes after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from pipeline.execution import Execution
from pipeline.recipe import load_recipe
from pipeline.run import PlannedStage, execute, make_plan
from pipeline.run_directory import RunDirectory

LAST = "decide"


class Silent:
    """Hears what a run does and says nothing."""

    def stage_starts(self, planned: PlannedStage) -> None:
        pass

    def parts_done(self, stage: str, done: int, total: int) -> None:
        pass

    def stage_ends(self, stage: str, manifest: Any) -> None:
        pass


@dataclass(frozen=True)
class Judged:
    """How every input record ended: its offset, and the outcome in the stage it ended in."""

    documents: dict[int, str]
    dropped: dict[int, str]
    dead: dict[int, str]

    def fate(self, offset: int) -> str:
        """`kept`, or the rule or error that a record ended by."""
        if offset in self.documents:
            return self.documents[offset] or "kept"
        return self.dropped.get(offset) or self.dead[offset]

    def ends(self) -> list[int]:
        """The offsets of all of them, in order, each as often as it ended."""
        return sorted([*self.documents, *self.dropped, *self.dead])


def judge(folder: Path, file: Path, **settings: Any) -> Judged:
    """Runs the stages up to the verdicts over one file; the books of every stage are checked."""
    recipe = folder / "odd.yaml"
    content = {"name": "odd", "sources": [{"name": "odd", "paths": [str(file)]}], **settings}
    recipe.write_text(yaml.safe_dump(content), encoding="utf-8")
    plan = make_plan(load_recipe(recipe), RunDirectory(str(folder / "run")))
    names = [planned.stage.name for planned in plan.stages]
    stages = plan.stages[: names.index(LAST) + 1]
    execute(replace(plan, stages=stages), Execution(), Silent())
    folders = {
        planned.stage.name: folder / "run" / "stages" / planned.identity.folder_name
        for planned in stages
    }
    offsets = dict(_pairs(folders["extract"] / "documents", "id", "offset"))
    judged = _pairs(folders[LAST] / "verdicts", "id", "rule")
    verdicts = {offsets[name]: rule for name, rule in judged}
    assert len(verdicts) == len(offsets)
    return Judged(
        documents=verdicts,
        dropped=dict(_pairs(folders["extract"] / "dropped", "offset", "rule")),
        dead=dict(_pairs(folders["extract"] / "dead_letters", "offset", "error")),
    )


def _pairs(table: Path, key: str, value: str) -> Iterator[tuple[Any, Any]]:
    """Two columns of a table; never the texts, which would count as the memory of the run."""
    for path in sorted(table.glob("*.parquet")):
        columns = pq.read_table(path, columns=[key, value])
        yield from zip(columns[key].to_pylist(), columns[value].to_pylist(), strict=True)
