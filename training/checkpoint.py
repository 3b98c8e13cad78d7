"""Checkpoints: complete on disk or not there at all, and enough in each to train on or generate.

    DIRECTORY/latest                 name of the newest checkpoint, written last
    DIRECTORY/step-00000200/
        manifest.json                step, samples consumed, settings, what the data were
        tensors.json, *.distcp       weights, AdamW moments, random state (see tensor_files)
        tokenizer.model              the vocabulary, so that the folder can be taken elsewhere

A checkpoint is written under a name that ends in `.partial` and then renamed, so a process that
is killed while saving leaves the one before it as the newest.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from pangu_settings import Settings, UserError, validate
from training.config import TrainingSettings
from training.tensor_files import load_tensors, save_tensors, stored_shapes

LATEST = "latest"
MANIFEST = "manifest.json"
TOKENIZER = "tokenizer.model"
_PARTIAL = ".partial"


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
    """The checkpoints of one training run, in one directory."""

    def __init__(self, directory: Path, keep: int) -> None:
        self.directory = directory
        self._keep = keep

    def save(self, manifest: Manifest, tensors: dict[str, Tensor], tokenizer: bytes) -> Path:
        """Writes a checkpoint, makes it the latest and removes those beyond `keep`.

        Returns:
          Its folder.

        Raises:
          UserError: it cannot be written; the one before is still the latest.
        """
        try:
            return self._save(manifest, tensors, tokenizer)
        except OSError as error:
            raise UserError(f"{self.directory}: cannot save a checkpoint: {error}") from error

    def _save(self, manifest: Manifest, tensors: dict[str, Tensor], tokenizer: bytes) -> Path:
        folder = self.directory / f"step-{manifest.step:08d}"
        partial = folder.with_suffix(_PARTIAL)
        self._clear_partial()
        partial.mkdir(parents=True)
        save_tensors(tensors, partial)
        (partial / TOKENIZER).write_bytes(tokenizer)
        (partial / MANIFEST).write_text(
            json.dumps(manifest.model_dump(mode="json"), indent=1) + "\n", encoding="utf-8"
        )
        if folder.exists():
            # A checkpoint that never became the latest: the process ended before it could.
            shutil.rmtree(folder)
        partial.rename(folder)
        pointer = self.directory / f"{LATEST}{_PARTIAL}"
        pointer.write_text(folder.name + "\n", encoding="utf-8")
        pointer.replace(self.directory / LATEST)
        for old in sorted(self.directory.glob("step-????????"))[: -self._keep]:
            old.rename(old.with_suffix(_PARTIAL))
        self._clear_partial()
        return folder

    def latest(self) -> Path | None:
        """Returns the folder of the newest checkpoint, or None before the first."""
        if not (self.directory / LATEST).exists():
            return None
        return find_checkpoint(self.directory)

    def _clear_partial(self) -> None:
        """Removes what was cut off while it was written, or is to be removed."""
        for partial in self.directory.glob(f"step-????????{_PARTIAL}"):
            shutil.rmtree(partial)


def find_checkpoint(path: Path) -> Path:
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


def read_manifest(checkpoint: Path) -> Manifest:
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


def load_weights(model: nn.Module, checkpoint: Path) -> None:
    """Overwrites the weights of a model with those of a checkpoint."""
    load_tensors(_weights(model), checkpoint)


def training_tensors(model: nn.Module, optimizer: torch.optim.AdamW) -> dict[str, Tensor]:
    """Returns every tensor that training goes on from, by name; changing them changes training.

    `model.<parameter>`, and for each `optimizer.<parameter>.` the moments `exp_avg` and
    `exp_avg_sq` and the number of updates `step`, which are created where the optimizer has not
    made a step yet.
    """
    tensors = _weights(model)
    for name, parameter in model.named_parameters():
        state = optimizer.state[parameter]
        if not state:
            state["step"] = torch.zeros((), device=parameter.device)
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        for kind, tensor in state.items():
            tensors[f"optimizer.{name}.{kind}"] = tensor
    return tensors


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Returns the state of the generator that dropout draws from on a device, by name."""
    if device.type == "cuda":
        return {"random.cuda": torch.cuda.get_rng_state(device)}
    return {"random.cpu": torch.get_rng_state()}


def load_training(
    model: nn.Module, optimizer: torch.optim.AdamW, device: torch.device, checkpoint: Path
) -> None:
    """Puts weights, moments and random state back as they were when a checkpoint was saved.

    A checkpoint of another kind of device has no random state for this one; the state is then
    left as it is.
    """
    generator = random_state(device)
    if not generator.keys() <= stored_shapes(checkpoint).keys():
        generator = {}
    load_tensors(training_tensors(model, optimizer) | generator, checkpoint)
    if "random.cuda" in generator:
        torch.cuda.set_rng_state(generator["random.cuda"], device)
    if "random.cpu" in generator:
        torch.set_rng_state(generator["random.cpu"])


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {f"model.{name}": parameter.detach() for name, parameter in model.named_parameters()}
