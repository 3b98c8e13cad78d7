"""Plans and runs a recipe: which stages are finished, which must run and why, and running them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import yaml

from pipeline import storage
from pipeline.execution import Execution
from pipeline.ledger import Books, check_handover
from pipeline.parts import Part, part_name, pending_parts
from pipeline.pretrain import PRETRAIN, write_pretrain_settings
from pipeline.recipe import Recipe, find_inputs, resolve
from pipeline.run_directory import (
    CURRENT,
    KNOWN_INPUTS,
    LEDGER,
    MANIFEST,
    RECIPE,
    STAGES,
    RunDirectory,
)
from pipeline.stage import Identity, Outcome, Stage, StageRun, identify
from pipeline.stages import (
    classify,
    clean,
    decide,
    decontaminate,
    deduplicate,
    deduplicate_lines,
    extract,
    index_corpus,
    measure,
    mix,
    publish_report,
    train_tokenizer,
    write_shards,
)

ROAD: tuple[Stage, ...] = (
    extract.STAGE,
    clean.STAGE,
    measure.STAGE,
    classify.STAGE,
    decide.STAGE,
    deduplicate.STAGE,
    deduplicate_lines.STAGE,
    decontaminate.STAGE,
    mix.STAGE,
    index_corpus.STAGE,
    train_tokenizer.STAGE,
    write_shards.STAGE,
    publish_report.STAGE,
)

FINISHED, PARTIAL, TO_RUN = "finished", "partial", "to run"


@dataclass(frozen=True)
class PlannedStage:
    """What would happen to one stage.

    Attributes:
      state: finished, partial (some parts are done) or to run.
      reason: in a few words, why it is not finished; "" if it is.
      parts_done: finished parts of a partial stage.
    """

    stage: Stage
    identity: Identity
    state: str
    reason: str
    parts_done: int = 0


@dataclass(frozen=True)
class Plan:
    """A recipe, its units of work and its stages, against what a run directory holds."""

    recipe: Recipe
    run: RunDirectory
    parts: tuple[Part, ...]
    stages: tuple[PlannedStage, ...]

    @property
    def finished(self) -> bool:
        return all(planned.state == FINISHED for planned in self.stages)


class Listener(Protocol):
    """Hears what a run does; the command line prints it."""

    def stage_starts(self, planned: PlannedStage) -> None:
        """A stage begins."""

    def parts_done(self, stage: str, done: int, total: int) -> None:
        """A map-only stage has finished so many of its parts."""

    def stage_ends(self, stage: str, manifest: Mapping[str, Any]) -> None:
        """A stage is finished; its manifest holds books and resources."""


def make_plan(recipe: Recipe, run: RunDirectory) -> Plan:
    """Compares a recipe with what a run directory already holds.

    Raises:
      UserError: an input file is missing or cannot be read, or an older run that the recipe
        compares with is not as it must be.
    """
    deduplicate.check_older_runs(recipe, run.path)
    known = run.read_record(KNOWN_INPUTS)
    remembered = dict(known)
    parts: list[Part] = []
    fingerprints: dict[str, str] = {}
    for source, file in find_inputs(recipe):
        path = resolve(recipe.root, file)
        name = part_name(source.name, file)
        parts.append(Part(name, source.name, file, path, max(0, storage.size(path))))
        fingerprints[f"{source.name}:{file}"] = storage.fingerprint(path, known)
    if known != remembered:
        run.write_record(KNOWN_INPUTS, known)
    identities: dict[str, Identity] = {}
    planned: list[PlannedStage] = []
    last = {entry["stage"]: entry for entry in run.read_record(CURRENT).get("stages", [])}
    for stage in ROAD:
        identity = identify(stage, recipe, fingerprints, identities)
        identities[stage.name] = identity
        planned.append(_plan_stage(stage, identity, run, parts, last.get(stage.name)))
    return Plan(recipe, run, tuple(parts), tuple(planned))


def _plan_stage(
    stage: Stage,
    identity: Identity,
    run: RunDirectory,
    parts: Sequence[Part],
    last: Mapping[str, Any] | None,
) -> PlannedStage:
    if run.manifest(identity.folder_name) is not None:
        return PlannedStage(stage, identity, FINISHED, "")
    folder = run.stage_folder(identity.folder_name)
    if storage.exists(folder):
        done = len(parts) - len(pending_parts(folder, "parts", parts))
        reason = f"interrupted; {done} of {len(parts)} parts are done"
        return PlannedStage(stage, identity, PARTIAL, reason, done)
    return PlannedStage(stage, identity, TO_RUN, _why(identity, last))


def _why(identity: Identity, last: Mapping[str, Any] | None) -> str:
    """What differs from the stage as it was last wanted in this directory."""
    if last is None:
        return "not run yet"
    if last["settings"] != identity.settings:
        changes = list(_differences(last["settings"], identity.settings))
        more = f" and {len(changes) - 2} more" if len(changes) > 2 else ""
        return f"recipe changed: {'; '.join(changes[:2])}{more}"
    if last["code"] != identity.code:
        return "code or library changed"
    changed = sorted(
        name
        for name in {*last["inputs"], *identity.inputs}
        if last["inputs"].get(name) != identity.inputs.get(name)
    )
    if changed:
        return f"input changed: {', '.join(changed[:3])}{' …' if len(changed) > 3 else ''}"
    return "its files are missing or damaged"


def _differences(before: Any, after: Any, place: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            change
            for key in sorted({*before, *after})
            for change in _differences(before.get(key), after.get(key), f"{place}.{key}".strip("."))
        ]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [
            change
            for index, pair in enumerate(zip(before, after, strict=True))
            for change in _differences(*pair, _list_place(place, before, index))
        ]
    return [] if before == after else [f"{place}: {_short(before)} → {_short(after)}"]


def _list_place(place: str, values: list[Any], index: int) -> str:
    """A [name, content] pair, as ordered settings are kept, is called by its name."""
    value = values[index]
    if len(values) == 2 and isinstance(values[0], str):
        return f"{place}.{values[0]}" if index else place
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
        return place
    return f"{place}.{index}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "…"


def execute(plan: Plan, execution: Execution, listener: Listener) -> list[dict[str, Any]]:
    """Runs every stage of a plan that is not finished and publishes the results.

    Returns:
      The manifests of all stages, in order.

    Raises:
      UserError: something the user can mend; finished parts are kept.
      BooksDoNotCloseError: a stage lost documents.
    """
    run = plan.run
    identities = {planned.stage.name: planned.identity for planned in plan.stages}
    storage.write_text(run.join(RECIPE), recipe_yaml(plan.recipe))
    wanted = [
        {**identity.to_json(), "folder": identity.folder_name} for identity in identities.values()
    ]
    run.write_record(CURRENT, {"stages": wanted})
    storage.delete_partial_files(run.join(STAGES))
    open_stages = [planned.stage for planned in plan.stages if planned.state != FINISHED]
    if open_stages:
        run.withdraw([PRETRAIN, *(name for stage in open_stages for name in stage.publishes)])
    manifests: list[dict[str, Any]] = []
    for planned in plan.stages:
        stage = planned.stage
        if stage.name == publish_report.NAME:
            write_pretrain_settings(plan.recipe, run)
        folder_name = planned.identity.folder_name
        if planned.state != FINISHED:
            listener.stage_starts(planned)
            _run_stage(plan, planned, identities, execution, listener)
        manifest = run.manifest(folder_name)
        if manifest is None:
            raise AssertionError(f"stage {stage.name} ended without a whole manifest")
        if planned.state != FINISHED:
            listener.stage_ends(stage.name, manifest)
        run.publish(folder_name, stage.publishes)
        manifests.append(manifest)
        _write_ledger(run, manifests)
    return manifests


def _run_stage(
    plan: Plan,
    planned: PlannedStage,
    identities: Mapping[str, Identity],
    execution: Execution,
    listener: Listener,
) -> None:
    stage, run = planned.stage, plan.run
    folder = run.stage_folder(planned.identity.folder_name)
    execution.on_progress = lambda done, total: listener.parts_done(stage.name, done, total)
    context = StageRun(
        recipe=plan.recipe,
        run_folder=run.path,
        folder=folder,
        inputs={name: run.stage_folder(identities[name].folder_name) for name in stage.needs},
        parts=plan.parts,
        execution=execution,
    )
    wall, processor = time.monotonic(), time.process_time() + execution.worker_seconds
    outcome = stage.run(context)
    resources = {
        "wall_seconds": round(time.monotonic() - wall, 3),
        "processor_seconds": round(time.process_time() + execution.worker_seconds - processor, 3),
        "workers": execution.workers,
        "runner": execution.runner,
    }
    storage.write_json(
        storage.join(folder, MANIFEST), _manifest(planned.identity, outcome, resources)
    )


def _manifest(identity: Identity, outcome: Outcome, resources: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **identity.to_json(),
        "digest": identity.digest,
        "books": {source: books.to_json() for source, books in outcome.books.items()},
        "facts": outcome.facts,
        "files": [facts.to_json() for facts in sorted(outcome.files, key=lambda f: f.path)],
        "resources": resources,
    }


def _write_ledger(run: RunDirectory, manifests: Sequence[Mapping[str, Any]]) -> None:
    """Writes ledger.json after checking that each stage took in what the one before it kept."""
    stages = []
    before: dict[str, Books] | None = None
    for manifest in manifests:
        if not manifest["books"]:
            continue
        books = {name: Books.from_json(entry) for name, entry in manifest["books"].items()}
        for source, entry in books.items():
            entry.check(f"stage {manifest['stage']}, source {source}")
        if before is not None:
            check_handover(before, books, manifest["stage"])
        before = books
        stages.append({"stage": manifest["stage"], "sources": manifest["books"]})
    storage.write_json(run.join(LEDGER), {"stages": stages})


def recipe_yaml(recipe: Recipe) -> str:
    """The recipe as resolved, every default filled in; running it again gives the same run."""
    content = {**recipe.model_dump(mode="json", exclude_none=True), "filters": None}
    content = {key: value for key, value in content.items() if value != {} or key == "rules"}
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=100)
