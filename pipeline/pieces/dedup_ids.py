"""Whether every document has an id of its own, without holding the ids."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from pangu_settings import UserError
from pipeline.duplicates.inputs import Inputs, NumberedPart

# Of memory for each id: its hash, once more while they are sorted.
_ID_BYTES = 16


def check_ids(inputs: Inputs, parts: Sequence[NumberedPart], memory: int) -> None:
    """Raises UserError if two documents have one id.

    Args:
      inputs: their columns.
      parts: all of them.
      memory: bytes; beyond it, ids are read once for each share of them that fits.
    """
    passes = max(1, -(-sum(numbered.rows for numbered in parts) * _ID_BYTES // memory))
    for number in range(passes):
        found = [np.empty(0, np.uint64)]
        for numbered in parts:
            hashes = _hashes(_ids(inputs, numbered))
            found.append(hashes[hashes % np.uint64(passes) == number])
        hashes = np.concatenate(found)
        hashes.sort()
        twice = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
        if len(twice):
            _check_one_by_one(inputs, parts, twice)


def _check_one_by_one(inputs: Inputs, parts: Sequence[NumberedPart], hashes: np.ndarray) -> None:
    """Of ids with one hash, tells equal ones from others."""
    files: dict[str, list[str]] = defaultdict(list)
    for numbered in parts:
        ids = _ids(inputs, numbered)
        for row in np.flatnonzero(np.isin(_hashes(ids), hashes)).tolist():
            files[ids[row]].append(numbered.part.file)
            if len(files[ids[row]]) == 2:
                first, second = files[ids[row]]
                where = f"twice in {first}" if first == second else f"in {first} and in {second}"
                raise UserError(
                    f"the id '{ids[row]}' is {where}, but a document is known by its id; name "
                    "another field with --id-field, or give --id-field '' to count the rows"
                )


def _ids(inputs: Inputs, numbered: NumberedPart) -> list[str]:
    ids: list[str] = inputs.verdicts(numbered.part, ["id"]).column("id").to_pylist()
    return ids


def _hashes(ids: Sequence[str]) -> np.ndarray:
    """uint64 (ids,)."""
    digests = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in ids]
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)
