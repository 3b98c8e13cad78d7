"""What a stage is: a name, its part of the recipe, its code, and a function that runs it.

A stage's digest is taken over its code version, its part of the recipe and the digests of the
stages it reads. Its outputs live in `stages/<name>-<digest>/`, and its manifest is written last,
so a stage whose manifest is there is finished and never runs again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline import storage
from pipeline.code_version import code_version
from pipeline.execution import Execution
from pipeline.ledger import Books, sum_books
from pipeline.parts import Part, read_part_record
from pipeline.recipe import Recipe


@dataclass(frozen=True)
class Outcome:
    """What a stage hands back when it is done.

    Attributes:
      books: by source; {} for a stage through which documents do not pass.
      files: every file of the stage, relative to its folder.
      facts: anything later stages or the report want to know; must be JSON.
    """

    books: Mapping[str, Books]
    files: Sequence[storage.ListedFile]
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StageRun:
    """What a stage's function gets to work with.

    Attributes:
      folder: where its outputs go.
      inputs: folder of each stage that it reads, by name.
      parts: the units of work, one for each input file of the recipe.
    """

    recipe: Recipe
    run_folder: str
    folder: str
    inputs: Mapping[str, str]
    parts: Sequence[Part]
    execution: Execution


@dataclass(frozen=True)
class Stage:
    """One step of the road from crawl to shards.

    Attributes:
      module: dotted name of the module whose code (with what it imports) is the stage's version.
      needs: names of the stages that it reads.
      settings: its own part of the recipe, as plain JSON values.
      run: does the work; may be called again after a kill and then finishes what is missing.
      libraries: distributions whose release changes what the stage writes.
      publishes: fixed name in the run directory -> folder or file within the stage's folder.
      reads_inputs: whether the recipe's input files are among its inputs.
    """

    name: str
    module: str
    needs: tuple[str, ...]
    settings: Callable[[Recipe], Any]
    run: Callable[[StageRun], Outcome]
    libraries: tuple[str, ...] = ()
    publishes: Mapping[str, str] = field(default_factory=dict)
    reads_inputs: bool = False


@dataclass(frozen=True)
class Identity:
    """Everything that a stage's outputs depend on; compared to say why a stage must run."""

    stage: str
    code: str
    settings: Any
    inputs: Mapping[str, str]

    @property
    def digest(self) -> str:
        """16 hexadecimal digits."""
        content = json.dumps(self.to_json(), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def folder_name(self) -> str:
        return f"{self.stage}-{self.digest}"

    def to_json(self) -> dict[str, Any]:
        return {
            "stage": self.stage,
            "code": self.code,
            "settings": self.settings,
            "inputs": dict(self.inputs),
        }


def identify(
    stage: Stage, recipe: Recipe, inputs: Mapping[str, str], earlier: Mapping[str, Identity]
) -> Identity:
    """The identity of a stage for a recipe.

    Args:
      stage: the stage.
      recipe: the resolved recipe.
      inputs: fingerprint of each input file, by the name that the recipe gives it.
      earlier: identities of the stages before it.
    """
    settings = json.loads(json.dumps(stage.settings(recipe), sort_keys=True, ensure_ascii=False))
    depends = {name: earlier[name].digest for name in stage.needs}
    if stage.reads_inputs:
        depends |= dict(inputs)
    return Identity(stage.name, code_version(stage.module, stage.libraries), settings, depends)


def outcome_of_parts(
    stage: str, folder: str, parts: Iterable[Part], step: str = "parts"
) -> tuple[dict[str, Books], list[storage.ListedFile], list[dict[str, Any]]]:
    """Gathers the records of finished parts: books by source, files, and each part's facts."""
    books: list[tuple[str, Books]] = []
    files: list[storage.ListedFile] = []
    facts: list[dict[str, Any]] = []
    for part in parts:
        record = read_part_record(folder, step, part)
        books.append((part.source, Books.from_json(record["books"])))
        files.extend(storage.ListedFile(**entry) for entry in record["files"])
        facts.append(record["facts"])
    return sum_books(books, stage), files, facts
