"""Pretraining shards: the format and its writer.

A shard is a pair of files in the layout of Megatron-LM's indexed datasets, version 1, all
numbers little-endian:

    <name>.bin   the token ids of every document, one after the other, uint16 or int32
    <name>.idx   9 bytes  "MMIDIDX" and two zero bytes
                 uint64   1, the version
                 uint8    code of the id type: 8 = uint16, 4 = int32
                 uint64   n, the number of sequences
                 uint64   n + 1, the number of entries of the last table
                 int32    n sequence lengths in ids
                 int64    n sequence starts in bytes from the beginning of the .bin
                 int64    n + 1 document starts in sequences: 0, 1, ... n

One sequence is one document, and its last id is the separator. `index.json` in the same folder
lists all shards with their sizes, counts and sha256, and is written last: a folder without it is
not finished. `shard_set` reads all of it.
"""

from __future__ import annotations

import json
import os
import struct
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from pangu_settings import Settings
from tokenizer.whole_file import FileFacts, WholeFile, write_whole_file

INDEX_NAME = "index.json"
MAGIC = b"MMIDIDX\x00\x00"
VERSION = 1
HEADER = struct.Struct("<9sQBQQ")
DTYPE_CODES = {"uint16": 8, "int32": 4}

# 2^28 ids are 512 MiB as uint16: few enough files for 250 billion tokens, and no file that is
# painful to copy, hash or lose.
DEFAULT_MAX_TOKENS = 2**28

_LONGEST_DOCUMENT = 2**31 - 1  # lengths are int32
_UINT16_VOCABULARY = 65_535
_BLOCK = 1 << 20  # table rows built at a time


TokenType = Literal["uint16", "int32"]


class TokenizerFacts(Settings):
    """What a reader of shards must know of the vocabulary that made them."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    vocabulary_size: int = Field(ge=1, le=2**31 - 1)
    separator: int = Field(ge=0)
    pad: int = Field(ge=0)

    @model_validator(mode="after")
    def _special_pieces_exist(self) -> TokenizerFacts:
        if max(self.separator, self.pad) >= self.vocabulary_size:
            raise ValueError("separator or pad lies outside the vocabulary")
        return self


class ShardFacts(Settings):
    """What identifies one shard: counts, and size and sha256 of both files.

    `repeated`: its documents are written more than once among such shards of their source.
    """

    # The name becomes a file name: no folders, nothing hidden.
    name: str = Field(pattern=r"^[^./\\\x00][^/\\\x00]*$")
    documents: int = Field(ge=1)
    tokens: int = Field(ge=1)
    bin: FileFacts
    idx: FileFacts
    # Left out where false, so that shards without repetitions are indexed as they always were.
    repeated: bool = Field(False, exclude_if=lambda repeated: not repeated)


class IndexedShard(ShardFacts):
    """One shard as `index.json` lists it."""

    source: str


class Repetitions(Settings):
    """Documents and ids that shards hold beside the first copy of each document."""

    documents: int = Field(0, ge=0)
    tokens: int = Field(0, ge=0)


class SourceFacts(Settings):
    """One source of the mixture: its sampling weight and what its shards hold, copies included."""

    weight: float = Field(ge=0, allow_inf_nan=False)
    documents: int = Field(ge=0)
    tokens: int = Field(ge=0)
    repetitions: Repetitions = Field(
        Repetitions(), exclude_if=lambda repetitions: not repetitions.documents
    )


class ShardIndex(Settings):
    """The content of `index.json`."""

    format: Literal["pangu-shards"] = "pangu-shards"
    version: Literal[1] = 1
    dtype: TokenType
    tokenizer: TokenizerFacts
    documents: int = Field(ge=0)
    tokens: int = Field(ge=0)
    sources: dict[str, SourceFacts]
    shards: list[IndexedShard]


def token_type(vocabulary_size: int) -> TokenType:
    """The smallest id type of the format that holds every id below vocabulary_size."""
    return "uint16" if vocabulary_size <= _UINT16_VOCABULARY else "int32"


def token_dtype(vocabulary_size: int) -> np.dtype:
    """token_type as numpy type, little-endian on every machine."""
    return np.dtype(token_type(vocabulary_size)).newbyteorder("<")


class ShardWriter:
    """Writes the documents of one shard as they come.

    Memory stays at 4 bytes a document. Neither file is visible before `finish`; the `.idx` comes
    last. Leaving the `with` block without `finish` removes what was written.

    ```
    with ShardWriter("shards/news-00000", tokenizer.facts) as writer:
        for text in texts:
            writer.add(tokenizer.encode(text))
        facts = writer.finish()
    ```
    """

    def __init__(self, stem: str | os.PathLike[str], tokenizer: TokenizerFacts) -> None:
        """Opens the shard `<stem>.bin`, `<stem>.idx`; stem is a local or an fsspec path."""
        self._stem = os.fspath(stem)
        self._vocabulary_size = tokenizer.vocabulary_size
        self._dtype = token_dtype(tokenizer.vocabulary_size)
        self._separator = np.array([tokenizer.separator], self._dtype).tobytes()
        self._lengths = array("i")
        self._bin = WholeFile(self._stem + ".bin")
        self.tokens = 0

    @property
    def documents(self) -> int:
        """Documents added so far."""
        return len(self._lengths)

    def add(self, ids: np.ndarray) -> None:
        """Appends one document and the separator that ends it.

        Args:
          ids: [tokens] of any integer type, without the separator; may be empty.

        Raises:
          ValueError: an id lies outside the vocabulary, or the document is longer than
            2^31 - 2 ids.
        """
        if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
            raise ValueError(f"a document is a row of integers, not {ids.dtype} of {ids.shape}")
        if ids.size >= _LONGEST_DOCUMENT:
            raise ValueError(f"a document of {ids.size:,} ids does not fit int32 lengths")
        if ids.size and (ids.min() < 0 or ids.max() >= self._vocabulary_size):
            worst = ids.min() if ids.min() < 0 else ids.max()
            raise ValueError(
                f"{self._stem}: document {self.documents} holds the id {worst}, outside the "
                f"vocabulary of {self._vocabulary_size:,} pieces"
            )
        self._bin.write(ids.astype(self._dtype).tobytes())
        self._bin.write(self._separator)
        self._lengths.append(ids.size + 1)
        self.tokens += ids.size + 1

    def finish(self) -> ShardFacts:
        """Puts both files in place and returns their facts.

        Raises:
          ValueError: no document was added (an empty file cannot be mapped into memory).
        """
        if not self._lengths:
            raise ValueError(f"{self._stem}: a shard needs at least one document")
        bin_facts = self._bin.commit()
        with WholeFile(self._stem + ".idx") as idx:
            for block in self._index_blocks():
                idx.write(block)
            idx_facts = idx.commit()
        return ShardFacts(
            name=self._stem.replace(os.sep, "/").rpartition("/")[2],
            documents=self.documents,
            tokens=self.tokens,
            bin=bin_facts,
            idx=idx_facts,
        )

    def discard(self) -> None:
        """Removes what was written so far; does nothing after `finish`."""
        self._bin.discard()

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.discard()

    def _index_blocks(self) -> Iterator[bytes]:
        """The `.idx` file piece by piece, so that the 64-bit tables never stand in memory."""
        lengths = np.frombuffer(self._lengths, dtype=np.int32)
        code = DTYPE_CODES[self._dtype.name]
        yield HEADER.pack(MAGIC, VERSION, code, len(lengths), len(lengths) + 1)
        yield lengths.astype("<i4").tobytes()
        start = 0
        for first in range(0, len(lengths), _BLOCK):
            sizes = lengths[first : first + _BLOCK].astype("<i8") * self._dtype.itemsize
            ends = start + np.cumsum(sizes)
            yield (ends - sizes).tobytes()
            start = int(ends[-1])
        for first in range(0, len(lengths) + 1, _BLOCK):
            yield np.arange(first, min(first + _BLOCK, len(lengths) + 1), dtype="<i8").tobytes()


def write_shards(
    directory: str | os.PathLike[str],
    stem: str,
    documents: Iterable[np.ndarray],
    tokenizer: TokenizerFacts,
    max_tokens: int = DEFAULT_MAX_TOKENS,
) -> list[ShardFacts]:
    """Writes documents as shards `<stem>-00000`, `<stem>-00001`, ... of bounded size.

    Args:
      directory: local folder or fsspec path.
      stem: first part of the shards' names, such as the source's name.
      documents: each [tokens] integers, without separator.
      tokenizer: facts of the vocabulary that made the ids.
      max_tokens: ids in one shard, separators included. A document is never cut: one that is
        longer gets a shard of its own.

    Returns:
      The facts of the shards in order; none if there was no document.
    """
    finished: list[ShardFacts] = []
    writer: ShardWriter | None = None
    try:
        for ids in documents:
            if writer is not None and writer.tokens + ids.size + 1 > max_tokens:
                finished.append(writer.finish())
                writer = None
            if writer is None:
                name = f"{stem}-{len(finished):05d}"
                writer = ShardWriter(f"{os.fspath(directory)}/{name}", tokenizer)
            writer.add(ids)
        if writer is not None:
            finished.append(writer.finish())
    except BaseException:
        if writer is not None:
            writer.discard()
        raise
    return finished


def write_index(
    directory: str | os.PathLike[str],
    tokenizer: TokenizerFacts,
    shards: Mapping[str, Sequence[ShardFacts]],
    weights: Mapping[str, float],
    repetitions: Mapping[str, Repetitions] | None = None,
) -> ShardIndex:
    """Writes `index.json`, which makes a folder of shards complete; returns its content.

    Args:
      directory: the folder that holds the shards, local or an fsspec path.
      tokenizer: facts of the vocabulary that made the ids.
      shards: source name -> its shards, in the order in which they are to be read.
      weights: source name -> sampling weight, for the same sources.
      repetitions: source name -> how much of its shards are copies; none where it is missing.

    Raises:
      ValueError: the sources of shards and weights differ, or two shards have one name.
    """
    if set(shards) != set(weights):
        raise ValueError(f"shards of {sorted(shards)} but weights of {sorted(weights)}")
    entries = [
        IndexedShard(source=source, **dict(facts))
        for source in sorted(shards)
        for facts in shards[source]
    ]
    if len({entry.name for entry in entries}) < len(entries):
        raise ValueError(f"two shards have one name: {sorted(entry.name for entry in entries)}")
    sources = {
        source: SourceFacts(
            weight=weights[source],
            documents=sum(facts.documents for facts in shards[source]),
            tokens=sum(facts.tokens for facts in shards[source]),
            repetitions=(repetitions or {}).get(source, Repetitions()),
        )
        for source in sorted(shards)
    }
    index = ShardIndex(
        dtype=token_type(tokenizer.vocabulary_size),
        tokenizer=tokenizer,
        documents=sum(entry.documents for entry in entries),
        tokens=sum(entry.tokens for entry in entries),
        sources=sources,
        shards=entries,
    )
    text = json.dumps(index.model_dump(), ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    write_whole_file(f"{os.fspath(directory)}/{INDEX_NAME}", text.encode())
    return index
