"""The run directory: where things are, what is finished, and what people find under fixed names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pangu_settings import UserError
from pipeline import storage

STAGES = "stages"
MANIFEST = "manifest.json"
# What the last run of this directory wanted, stage by stage, and what is published.
CURRENT = "current.json"
PUBLISHED = "published.json"
KNOWN_INPUTS = "inputs.json"
RECIPE = "recipe.yaml"
LEDGER = "ledger.json"


@dataclass(frozen=True)
class RunDirectory:
    """Paths and records of one run.

    Attributes:
      path: local folder or URL.
    """

    path: str

    def __post_init__(self) -> None:
        if "://" not in self.path and storage.is_file(self.path):
            raise UserError(f"{self.path}: is a file; name a folder for the run")

    def join(self, *parts: str) -> str:
        """A path inside the run directory."""
        return storage.join(self.path, *parts)

    def stage_folder(self, folder_name: str) -> str:
        """Where a stage of that name and digest keeps its outputs."""
        return self.join(STAGES, folder_name)

    def read_record(self, name: str) -> dict[str, Any]:
        """One of the small records under stages/; {} if there is none yet."""
        return storage.read_json_or_none(self.join(STAGES, name)) or {}

    def write_record(self, name: str, content: Mapping[str, Any]) -> None:
        """Replaces one of the small records under stages/."""
        storage.write_json(self.join(STAGES, name), content)

    def manifest(self, folder_name: str) -> dict[str, Any] | None:
        """The manifest of a finished stage whose files are all there; None otherwise."""
        folder = self.stage_folder(folder_name)
        manifest: dict[str, Any] | None = storage.read_json_or_none(storage.join(folder, MANIFEST))
        if manifest is None:
            return None
        whole = all(
            storage.size(storage.join(folder, entry["path"])) == entry["bytes"]
            for entry in manifest["files"]
        )
        return manifest if whole else None

    def current_manifests(self) -> list[dict[str, Any]]:
        """Manifests of the finished stages of the last recipe run here, in order.

        Raises:
          UserError: no run was ever started here.
        """
        current = self.read_record(CURRENT)
        if not current:
            raise UserError(
                f"{self.path}: no run here; start one with: pangu run RECIPE --out {self.path}"
            )
        manifests = [self.manifest(entry["folder"]) for entry in current["stages"]]
        return [manifest for manifest in manifests if manifest is not None]

    def current_folder(self, stage: str) -> str:
        """Folder of a stage of the last recipe run here.

        Raises:
          UserError: no run, or no such stage.
        """
        for entry in self.read_record(CURRENT).get("stages", []):
            if entry["stage"] == stage:
                return self.stage_folder(entry["folder"])
        raise UserError(f"{self.path}: no run with a stage '{stage}' here")

    def finished_parts(self, stage: str) -> list[str]:
        """Names of the parts that an unfinished stage has already committed."""
        names = storage.list_files(storage.join(self.current_folder(stage), "parts"), ".json")
        return [name.removesuffix(".json") for name in names]

    def publish(self, folder_name: str, publishes: Mapping[str, str]) -> None:
        """Puts a finished stage's results under their fixed names.

        On local disk the names share the stage's bytes. A kill in between leaves the name out of
        the record of what is published, so the next run does it again.
        """
        manifest = self.manifest(folder_name)
        if manifest is None:
            raise AssertionError(f"{folder_name} is published before it is finished")
        published = self.read_record(PUBLISHED)
        paths = [entry["path"] for entry in manifest["files"]]
        for target, source in publishes.items():
            if published.get(target) == folder_name and self._is_published(target, source, paths):
                continue
            self.write_record(PUBLISHED, {k: v for k, v in published.items() if k != target})
            self._copy(folder_name, target, source, paths)
            published[target] = folder_name
            self.write_record(PUBLISHED, published)

    def withdraw(self, targets: Iterable[str]) -> None:
        """Takes results that are about to change from under their fixed names.

        Otherwise a run that fails half-way would leave a new corpus beside old shards. The stages
        keep their own outputs, so going back to an earlier recipe publishes them again at once.
        """
        targets = set(targets)
        published = self.read_record(PUBLISHED)
        if targets & published.keys():
            kept = {name: folder for name, folder in published.items() if name not in targets}
            self.write_record(PUBLISHED, kept)
        for target in targets:
            storage.delete(self.join(target))

    def _copy(self, folder_name: str, target: str, source: str, paths: Sequence[str]) -> None:
        storage.delete(self.join(target))
        for path, name in _published_names(target, source, paths):
            storage.copy(storage.join(self.stage_folder(folder_name), path), self.join(name))

    def _is_published(self, target: str, source: str, paths: Sequence[str]) -> bool:
        return all(storage.exists(self.join(n)) for _, n in _published_names(target, source, paths))


def _published_names(target: str, source: str, paths: Sequence[str]) -> list[tuple[str, str]]:
    """(path within the stage, name within the run) of each file; source is a folder or a file."""
    return [
        (path, target + path.removeprefix(source))
        for path in paths
        if path == source or path.startswith(f"{source}/")
    ]
