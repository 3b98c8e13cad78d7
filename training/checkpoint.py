"""Checkpoints: complete on disk or not there at all, and enough in each to train on or generate.

    DIRECTORY/latest                 name of the newest checkpoint, written last
    DIRECTORY/step-00000200/
        manifest.json                step, samples consumed, settings, what the data were
        tensors.json, *.distcp       weights, AdamW moments, random state (see tensor_files)
        tokenizer.model              the vocabulary, so that the folder can be taken elsewhere

All ranks write their pieces of the tensors; rank 0 writes the rest, and `latest` when everything
is there. On a local disk a checkpoint has a name that ends in `.partial` until it is whole. On an
object store, which cannot rename folders, it has its own name from the start, and its manifest
comes last. Either way a process that is killed while saving leaves the one before it as the
newest.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor

from pangu_settings import Settings, UserError, validate
from training.config import TrainingSettings
from training.engine import Engine
from training.locations import Location, RemotePath, children, remove_folder, write_file
from training.processes import all_or_none, this_rank
from training.tensor_files import (
    Saving,
    load_tensors,
    save_tensors,
    start_saving,
    stored_shapes,
)

LATEST = "latest"
MANIFEST = "manifest.json"
TOKENIZER = "tokenizer.model"
_PARTIAL = ".partial"
_STEP = re.compile(r"step-\d{8}")
_PARTIAL_STEP = re.compile(r"step-\d{8}\.partial")


class Manifest(Settings):
    """What a checkpoint is, besides its tensors."""

    format: Literal["pangu-checkpoint"] = "pangu-checkpoint"
    version: Literal[1] = 1
    step: int
    samples: int
    """Samples consumed: the whole state of the data."""
    settings: TrainingSettings
    shards_sha256: str
    """Digest of the shards' `index.json`."""
    tokenizer_sha256: str
    torch: str = torch.__version__


class Checkpoints:
    """The checkpoints of one training run, in one directory.

    With several processes, each must call every method, in the same order: they work together, and
    an error of one is an error on all. As a context, it waits at its end for the last save, also
    where an error ends it.

    Attributes:
      directory: where they are.
    """

    def __init__(self, directory: Location, keep: int, asynchronous: bool = False) -> None:
        """Looks at nothing yet.

        Args:
          directory: made when the first checkpoint is saved.
          keep: newest checkpoints that are not removed.
          asynchronous: `save` returns when the tensors are copied to host memory, and they are
            written while training goes on.
        """
        self.directory = directory
        self._keep = keep
        self._asynchronous = asynchronous
        self._saving: Saving | None = None
        self._group: dist.ProcessGroup | None = None
        if dist.is_initialized() and dist.get_world_size() > 1:
            # Of its own, since saving in a thread must not disturb what training sends.
            self._group = dist.new_group(backend="gloo")

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.wait()
        except UserError:
            # Another error is on its way already.
            if error is None:
                raise

    def save(self, manifest: Manifest, tensors: dict[str, Tensor], tokenizer: bytes) -> Location:
        """Writes a checkpoint, makes it the latest and removes those beyond `keep`.

        An asynchronous save first waits for the one before.

        Args:
          manifest: the same on all ranks.
          tensors: of this rank.
          tokenizer: content of the vocabulary file.

        Returns:
          Its folder, which an asynchronous save has yet to write.

        Raises:
          UserError: it cannot be written, or the one before could not; the last that could is
            still the latest.
        """
        self.wait()
        folder = self.directory / f"step-{manifest.step:08d}"
        writing = folder if isinstance(folder, RemotePath) else folder.with_suffix(_PARTIAL)

        def before() -> None:
            self._clear_partial()
            if isinstance(writing, RemotePath) and writing.exists():
                _remove(writing)

        def after() -> None:
            write_file(writing / TOKENIZER, tokenizer)
            content = json.dumps(manifest.model_dump(mode="json"), indent=1) + "\n"
            write_file(writing / MANIFEST, content.encode())
            self._publish(writing, folder)

        if self._asynchronous:
            self._saving = start_saving(tensors, writing, self._group, before, after)
        else:
            with _way_out():
                save_tensors(tensors, writing, self._group, before, after)
        return folder

    def wait(self) -> None:
        """Returns when nothing is being saved any more.

        Raises:
          UserError: the last checkpoint cannot be written.
        """
        saving, self._saving = self._saving, None
        if saving is not None:
            with _way_out():
                saving.wait()

    def latest(self) -> Location | None:
        """Returns the folder of the newest checkpoint, or None before the first.

        Waits for one that is being saved.

        Raises:
          UserError: what `latest` names is not there, or it could not be saved.
        """
        self.wait()

        def find() -> Location | None:
            if not (self.directory / LATEST).exists():
                return None
            return find_checkpoint(self.directory)

        # Only the first looks: others might see a network disk as it was a moment ago.
        found = [all_or_none(find) if this_rank() == 0 else all_or_none(lambda: None)]
        if self._group is not None:
            dist.broadcast_object_list(found, src=0, group=self._group)
        return found[0]

    def restore(
        self, engine: Engine, checkpoint: Location, others: Mapping[str, Tensor] | None = None
    ) -> None:
        """Puts weights, moments and random state back as they were when a checkpoint was saved.

        The layout may be another one. A rank for which the checkpoint has no random state, since
        there were fewer ranks or another kind of device, keeps its own.

        Args:
          engine: of this rank.
          checkpoint: the same on all ranks.
          others: further tensors that were saved, to be overwritten as well.

        Raises:
          UserError: the checkpoint is damaged or of another model, as seen by any rank.
        """

        self.wait()

        def load() -> None:
            generator = random_state(engine.device)
            if not generator.keys() <= stored_shapes(checkpoint).keys():
                generator = {}
            load_tensors(engine.state() | generator | dict(others or {}), checkpoint)
            for state in generator.values():
                _set_random_state(engine.device, state)

        all_or_none(load)
        engine.restored()

    def _publish(self, writing: Location, folder: Location) -> None:
        """Makes a checkpoint that is whole the latest."""
        if isinstance(writing, Path) and isinstance(folder, Path):
            if folder.exists():
                # It never became the latest: the process ended before it could.
                remove_folder(folder)
            writing.rename(folder)
        write_file(self.directory / LATEST, f"{folder.name}\n".encode())
        # Later ones, if somebody wrote an earlier name into `latest`, are not ours to remove.
        steps = [old for old in self._folders(_STEP) if old.name <= folder.name]
        for old in steps[: -self._keep]:
            _remove(old)

    def _clear_partial(self) -> None:
        """Removes what was cut off while it was written or removed."""
        for partial in self._folders(_PARTIAL_STEP):
            remove_folder(partial)

    def _folders(self, pattern: re.Pattern[str]) -> list[Location]:
        found = [child for child in children(self.directory) if pattern.fullmatch(child.name)]
        return sorted(found, key=lambda child: child.name)


@contextmanager
def _way_out() -> Iterator[None]:
    try:
        yield
    except UserError as error:
        raise UserError(
            f"{error}. The checkpoint before it is still the latest: make room, and the same "
            "command goes on from there"
        ) from error


def _remove(checkpoint: Location) -> None:
    """Removes a checkpoint; one that is cut off leaves nothing that looks like one."""
    if isinstance(checkpoint, RemotePath):
        if (checkpoint / MANIFEST).exists():
            (checkpoint / MANIFEST).remove()
        checkpoint.remove()
    else:
        checkpoint = checkpoint.rename(checkpoint.with_suffix(_PARTIAL))
        remove_folder(checkpoint)


def find_checkpoint(path: Location) -> Location:
    """Returns the folder of one checkpoint.

    Args:
      path: that folder, or the directory of a run's checkpoints, which means the latest.

    Raises:
      UserError: there is none.
    """
    if (path / MANIFEST).exists():
        return path
    try:
        name = (path / LATEST).read_text(encoding="utf-8").strip()
    except OSError:
        raise UserError(
            f"{path}: no checkpoint here; `pangu train CONFIG` writes them into "
            "checkpoint.directory"
        ) from None
    if not (path / name / MANIFEST).exists():
        raise UserError(
            f"{path / LATEST}: names '{name}', which is not there; "
            "write the name of another checkpoint of this directory into it"
        )
    return path / name


def read_manifest(checkpoint: Location) -> Manifest:
    """Returns the manifest of a checkpoint.

    Raises:
      UserError: it cannot be read, or another version of this program wrote it.
    """
    path = checkpoint / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    return validate(Manifest, content, str(path))


def read_tokenizer(path: Path, sha256: str) -> bytes:
    """Returns the content of a vocabulary file.

    Raises:
      UserError: it cannot be read, or it is not the file with this digest.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: the vocabulary cannot be read: {error.strerror}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise UserError(
            f"{path}: not the vocabulary that made the shards (sha256 {found[:12]}… instead of "
            f"{sha256[:12]}…); set data.tokenizer to the one that was trained with them"
        )
    return content


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Returns the state of the generator that dropout draws from on this rank, by name."""
    name = f"random.{device.type}.{this_rank()}"
    if device.type == "cuda":
        return {name: torch.cuda.get_rng_state(device)}
    return {name: torch.get_rng_state()}


def _set_random_state(device: torch.device, state: Tensor) -> None:
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)
