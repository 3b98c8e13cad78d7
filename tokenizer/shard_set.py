"""Reading pretraining shards: every check of the format, then the ids straight from the files."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pangu_settings import UserError, validate
from tokenizer.shards import (
    DTYPE_CODES,
    HEADER,
    INDEX_NAME,
    MAGIC,
    VERSION,
    FileFacts,
    IndexedShard,
    ShardIndex,
    TokenizerFacts,
    token_dtype,
    token_type,
)

_WAY_OUT = "restore the file from a copy, or write the shards again into an empty folder"
_VERIFY_TOKENS = 1 << 22  # ids looked at in one step of Shard.verify


class ShardError(UserError):
    """A shard folder that cannot be read as what it says it is; the message names the file."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}; {_WAY_OUT}")


@dataclass(frozen=True)
class Shard:
    """One shard of an open ShardSet; nothing is read before it is asked for."""

    directory: Path
    facts: IndexedShard
    dtype: np.dtype
    tokenizer: TokenizerFacts

    @property
    def name(self) -> str:
        return self.facts.name

    @property
    def source(self) -> str:
        return self.facts.source

    @property
    def bin_path(self) -> Path:
        return self.directory / f"{self.name}.bin"

    @property
    def idx_path(self) -> Path:
        return self.directory / f"{self.name}.idx"

    @cached_property
    def tokens(self) -> np.memmap:
        """[tokens] ids of all documents, uint16 or int32, mapped read-only."""
        return np.memmap(self.bin_path, dtype=self.dtype, mode="r", shape=(self.facts.tokens,))

    @cached_property
    def document_ends(self) -> np.ndarray:
        """[documents] int64: where each document ends in `tokens` (exclusive, separator included).

        Raises:
          ShardError: the tables of the `.idx` contradict each other or the size of the `.bin`.
        """
        lengths, starts, documents = self._tables()
        ends = np.cumsum(lengths, dtype=np.int64)
        if lengths.min() < 1:
            raise ShardError(self.idx_path, "holds an empty document")
        if ends[-1] != self.facts.tokens:
            raise ShardError(
                self.idx_path,
                f"its lengths add up to {ends[-1]:,} ids, the .bin holds {self.facts.tokens:,}",
            )
        if not np.array_equal(starts, (ends - lengths) * self.dtype.itemsize):
            raise ShardError(self.idx_path, "its starts and lengths do not describe the same ids")
        if not np.array_equal(documents, np.arange(self.facts.documents + 1)):
            raise ShardError(self.idx_path, "its documents are not one sequence each")
        return ends

    def check_header(self) -> None:
        """Checks both files' sizes and the header of the `.idx`; costs the same for any size.

        Raises:
          ShardError: a file is missing, has another size, or the header says something else
            than `index.json`.
        """
        for path, facts in self._files():
            try:
                size = path.stat().st_size
            except OSError as error:
                raise ShardError(path, f"cannot be read: {error.strerror}") from None
            if size != facts.bytes:
                raise ShardError(path, f"has {size:,} bytes, {INDEX_NAME} says {facts.bytes:,}")
        n = self.facts.documents
        if self.facts.tokens * self.dtype.itemsize != self.facts.bin.bytes:
            raise ShardError(
                self.bin_path,
                f"{self.facts.tokens:,} ids of {self.dtype.name} are not "
                f"{self.facts.bin.bytes:,} bytes",
            )
        if HEADER.size + 4 * n + 8 * n + 8 * (n + 1) != self.facts.idx.bytes:
            raise ShardError(
                self.idx_path,
                f"the tables of {n:,} documents are not {self.facts.idx.bytes:,} bytes",
            )
        with self.idx_path.open("rb") as stream:
            magic, version, code, sequences, documents = HEADER.unpack(stream.read(HEADER.size))
        if magic != MAGIC:
            raise ShardError(self.idx_path, "does not begin like a Megatron index")
        if version != VERSION:
            raise ShardError(self.idx_path, f"has version {version}, this program reads {VERSION}")
        if code != DTYPE_CODES[self.dtype.name]:
            raise ShardError(
                self.idx_path,
                f"has the id type code {code}, {self.dtype.name} is {DTYPE_CODES[self.dtype.name]}",
            )
        if (sequences, documents) != (n, n + 1):
            raise ShardError(
                self.idx_path,
                f"counts {sequences:,} sequences and {documents:,} document starts, "
                f"{INDEX_NAME} says {n:,} documents",
            )

    def verify(self) -> None:
        """Reads both files completely: sha256, tables, ids within the vocabulary, separators.

        Raises:
          ShardError: a file is not the one that was written, or breaks the format.
        """
        for path, facts in self._files():
            with path.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
            if found != facts.sha256:
                raise ShardError(
                    path, f"was changed: sha256 {found}, {INDEX_NAME} says {facts.sha256}"
                )
        if not (self.tokens[self.document_ends - 1] == self.tokenizer.separator).all():
            raise ShardError(
                self.bin_path,
                f"not every document ends with the separator {self.tokenizer.separator}",
            )
        for first in range(0, self.facts.tokens, _VERIFY_TOKENS):
            block = self.tokens[first : first + _VERIFY_TOKENS]
            if block.min() < 0 or block.max() >= self.tokenizer.vocabulary_size:
                raise ShardError(
                    self.bin_path,
                    f"holds ids outside the vocabulary of {self.tokenizer.vocabulary_size:,}",
                )

    def _files(self) -> tuple[tuple[Path, FileFacts], tuple[Path, FileFacts]]:
        return (self.bin_path, self.facts.bin), (self.idx_path, self.facts.idx)

    def _tables(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Lengths, starts and documents of the `.idx`, mapped."""
        n = self.facts.documents
        content = np.memmap(self.idx_path, mode="r")
        lengths = np.frombuffer(content, "<i4", n, HEADER.size)
        starts = np.frombuffer(content, "<i8", n, HEADER.size + 4 * n)
        documents = np.frombuffer(content, "<i8", n + 1, HEADER.size + 12 * n)
        return lengths, starts, documents

    def __getstate__(self) -> dict[str, Any]:
        # A pickled memmap is a copy of the whole file: another process maps the files itself.
        return {name: self.__dict__[name] for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class ShardSet:
    """All shards of a folder, opened through its `index.json`.

    ```
    shards = ShardSet.open("runs/demo/shards")
    shard = shards.shards[0]
    first_document = shard.tokens[: shard.document_ends[0]]
    ```
    """

    directory: Path
    index: ShardIndex
    shards: tuple[Shard, ...]

    @classmethod
    def open(cls, directory: str | os.PathLike[str], verify: bool = False) -> ShardSet:
        """Opens a folder of shards.

        Sizes, headers and counts of every shard are checked here, the tables of a shard when its
        `document_ends` are first used, and every byte only with verify.

        Args:
          directory: local folder.
          verify: also read everything; see Shard.verify.

        Raises:
          ShardError: a file is missing, damaged or contradicts `index.json`.
        """
        directory = Path(directory)
        index = _read_index(directory / INDEX_NAME)
        dtype = token_dtype(index.tokenizer.vocabulary_size)
        shards = tuple(Shard(directory, facts, dtype, index.tokenizer) for facts in index.shards)
        for shard in shards:
            shard.check_header()
        result = cls(directory, index, shards)
        if verify:
            result.verify()
        return result

    @property
    def sources(self) -> dict[str, float]:
        """Source name -> sampling weight."""
        return {name: facts.weight for name, facts in self.index.sources.items()}

    @property
    def documents(self) -> int:
        return self.index.documents

    @property
    def tokens(self) -> int:
        """Ids in all shards, separators included."""
        return self.index.tokens

    @property
    def vocabulary_size(self) -> int:
        return self.index.tokenizer.vocabulary_size

    @property
    def separator(self) -> int:
        return self.index.tokenizer.separator

    @property
    def pad(self) -> int:
        return self.index.tokenizer.pad

    @property
    def tokenizer_sha256(self) -> str:
        return self.index.tokenizer.sha256

    def verify(self) -> None:
        """Reads and checks every byte of every shard; see Shard.verify."""
        for shard in self.shards:
            shard.verify()


def _read_index(path: Path) -> ShardIndex:
    """Reads `index.json` and checks that its numbers agree with each other."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file, so this is not a finished folder of shards; "
            "`pangu run RECIPE --out RUN` writes one to RUN/shards"
        ) from None
    except (OSError, ValueError) as error:
        raise ShardError(path, f"cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise ShardError(path, "is not a JSON object")
    index = validate(ShardIndex, content, str(path))
    if index.dtype != token_type(index.tokenizer.vocabulary_size):
        raise ShardError(
            path, f"{index.tokenizer.vocabulary_size:,} pieces are not stored as {index.dtype}"
        )
    names = Counter(shard.name for shard in index.shards)
    for name, times in names.items():
        if times > 1:
            raise ShardError(path, f"lists the shard '{name}' {times} times")
    _check_sums(path, index)
    return index


def _check_sums(path: Path, index: ShardIndex) -> None:
    """Checks that shards add up to their sources and sources to the whole."""
    for unit in ("documents", "tokens"):
        of_shards: Counter[str] = Counter(dict.fromkeys(index.sources, 0))
        for shard in index.shards:
            of_shards[shard.source] += getattr(shard, unit)
        of_sources = {name: getattr(facts, unit) for name, facts in index.sources.items()}
        if dict(of_shards) != of_sources or sum(of_sources.values()) != getattr(index, unit):
            raise ShardError(path, f"its counts of {unit} do not add up")
