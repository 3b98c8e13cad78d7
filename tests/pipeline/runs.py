"""Runs of a recipe over the small crawl, for tests."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from crawl.build import Crawl

from pipeline.execution import Execution
from pipeline.recipe import load_recipe
from pipeline.run import PlannedStage, execute, make_plan
from pipeline.run_directory import RunDirectory

# Everything that must be the same bytes whenever input and recipe are the same.
SAME_BYTES = ("corpus", "dropped", "dead_letters", "tokenizer", "shards", "ledger.json")


class Recorder:
    """Notes which stages really ran."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def stage_starts(self, planned: PlannedStage) -> None:
        self.ran.append(planned.stage.name)

    def parts_done(self, stage: str, done: int, total: int) -> None:
        pass

    def stage_ends(self, stage: str, manifest: Any) -> None:
        pass


@dataclass(frozen=True)
class FinishedRun:
    """A run directory that every stage has finished."""

    path: Path
    recipe: Path

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All rows of one of the published tables."""
        tables = [pq.read_table(path) for path in sorted((self.path / table).glob("*.parquet"))]
        return pa.concat_tables(tables).to_pylist()


def write_recipe(folder: Path, crawl: Crawl, **changes: Any) -> Path:
    """Writes a recipe over the three sources of the small crawl."""
    content = {
        "name": "small",
        "root": str(crawl.directory),
        "sources": [
            {"name": "web", "paths": ["web/*"], "weight": 2.0},
            {"name": "encyclopedia", "paths": ["encyclopedia/*.jsonl"]},
            {"name": "stories", "paths": ["stories/*.txt"], "rules": ["too_short"]},
        ],
        # The padded page of the crawl has 20 MB.
        "extract": {"max_record_bytes": 10_000_000},
        "tokenizer": {"vocabulary_size": 2000},
        "shards": {"max_tokens": 4000},
        "pretrain": {
            "model": {"layers": 2, "hidden": 32, "heads": 2, "sequence_length": 64},
            "optimisation": {"steps": 3, "batch": 2, "warmup_steps": 1},
        },
        **changes,
    }
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return path


def run_recipe(
    recipe: Path, out: Path | str, workers: int = 1, overrides: tuple[str, ...] = ()
) -> list[str]:
    """Runs a recipe in this process; returns the names of the stages that were not finished."""
    execution = Execution(workers=workers)
    recorder = Recorder()
    try:
        execute(
            make_plan(load_recipe(recipe, overrides), RunDirectory(str(out))), execution, recorder
        )
    finally:
        execution.close()
    return recorder.ran


def digest_of_results(run: Path) -> dict[str, str]:
    """Digest of every file that must not depend on how a run was executed."""
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for name in SAME_BYTES
        for path in sorted([run / name, *(run / name).rglob("*")])
        if path.is_file()
    }
