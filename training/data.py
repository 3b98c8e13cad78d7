"""Samples of a training run: sample i is a pure function of (seed, i).

Nothing is indexed or shuffled beforehand and nothing needs to be saved but the number of samples
consumed. Three steps lead from i to the ids:

1. `Mixture.place` gives the source of sample i and its rank among that source's samples, such
   that after any number of samples every source is within a few samples of its weight.
2. `permute` turns the rank into a chunk of the source: each epoch visits every chunk once, in an
   order of its own.
3. The chunk is read from the memory-mapped shards: sequence_length + 1 consecutive ids of the
   source's documents, joined and cut without overlap. What remains behind the last whole chunk
   of a source is never seen.

Positions and attention restart after each separator, and nothing is learned where the input is
padding (released PanGu-α training code).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pangu_settings import UserError
from tokenizer import ShardSet


class Mixture:
    """Deals sample numbers out to sources in exact proportion to their weights.

    The first source takes its share of all numbers at even distances, the second its share of
    those left over, and so on; the last takes what remains. After n samples a source that weighs
    w has been dealt w·n of them, give or take less than the number of sources.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        """Takes non-negative weights of any sum; sources that weigh nothing get no samples."""
        # Weights are read as the decimal numbers that people wrote: 0.1 is a tenth.
        exact = {name: Fraction(str(weight)) for name, weight in sorted(weights.items())}
        left = sum(exact.values())
        self._shares: list[tuple[str, Fraction]] = []
        for name, weight in exact.items():
            if weight > 0:
                self._shares.append((name, weight / left))
                left -= weight

    @property
    def sources(self) -> list[str]:
        """Names of the sources that get samples."""
        return [name for name, _ in self._shares]

    def place(self, sample: int) -> tuple[str, int]:
        """Returns the source of a sample and how many earlier samples that source had."""
        left = sample
        for name, share in self._shares:
            taken = left * share.numerator // share.denominator
            if (left + 1) * share.numerator // share.denominator > taken:
                return name, taken
            left -= taken
        raise ValueError("a mixture without sources has no samples")


def permute(index: int, size: int, key: bytes) -> int:
    """Returns the place of `index` in a permutation of range(size) chosen by `key`.

    A Feistel network over pairs of digits to the base ⌈√size⌉ permutes range(base²); values that
    fall outside range(size) are permuted again until they fall inside (cycle walking), which
    takes hardly more than one turn because base² is hardly larger than size.
    """
    base = math.isqrt(size - 1) + 1
    while True:
        left, right = divmod(index, base)
        for turn in range(6):
            message = b"%d/%d" % (turn, right)
            mixed = hashlib.blake2b(message, digest_size=8, key=key).digest()
            left, right = right, (left + int.from_bytes(mixed, "little")) % base
        index = left * base + right
        if index < size:
            return index


class SourceText:
    """All ids of one source, as one long row over its shards."""

    def __init__(self, name: str, pieces: list[np.ndarray]) -> None:
        self.name = name
        self._pieces = pieces
        self._ends = np.cumsum([len(piece) for piece in pieces])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def read(self, start: int, length: int) -> np.ndarray:
        """Returns ids start … start + length - 1 in the shards' own dtype."""
        parts = []
        shard = int(np.searchsorted(self._ends, start, side="right"))
        while length > 0:
            piece = self._pieces[shard]
            first = start - (int(self._ends[shard]) - len(piece))
            part = piece[first : first + length]
            parts.append(part)
            start, length, shard = start + len(part), length - len(part), shard + 1
        return np.concatenate(parts)


@dataclass(frozen=True)
class Batch:
    """Samples to learn from; every tensor is [samples, sequence length]."""

    ids: Tensor
    """int64, what the model reads."""
    labels: Tensor
    """int64, what follows each id."""
    weights: Tensor
    """float32, weight of each label in the loss: 0 where the id is padding, else 1."""
    positions: Tensor
    """int64, distance from the start of the sample or of the document."""
    documents: Tensor
    """int64, number of the document within the sample."""

    def part(self, first: int, count: int, device: torch.device) -> Batch:
        """Returns samples first … first + count - 1 on a device."""
        chosen = (
            tensor[first : first + count].to(device, non_blocking=True)
            for tensor in vars(self).values()
        )
        return Batch(*chosen)


def make_batch(chunks: np.ndarray, separator: int, pad: int) -> Batch:
    """Turns chunks of ids into a batch.

    The separator belongs to the document that it ends; the id after it has position 0. The
    first id of a document is learned from the separator before it, as in the released code.

    Args:
      chunks: integers [samples, sequence length + 1].
      separator: id that ends a document.
      pad: id that stands for nothing.
    """
    chunk_ids = torch.from_numpy(chunks.astype(np.int64))
    ids, labels = chunk_ids[:, :-1], chunk_ids[:, 1:]
    starts = torch.zeros_like(ids)
    starts[:, 1:] = ids[:, :-1] == separator
    index = torch.arange(ids.shape[1])
    last_start = (starts * index).cummax(dim=1).values
    return Batch(
        ids=ids,
        labels=labels,
        weights=(ids != pad).to(torch.float32),
        positions=index - last_start,
        documents=starts.cumsum(dim=1),
    )


class Samples:
    """All samples of a shards directory, by number.

    Attributes:
      shards: the opened shards.
      index_sha256: digest of the index, and so (it holds the shards' digests) of all ids.
    """

    def __init__(self, directory: Path, sequence_length: int, seed: int, vocabulary: int) -> None:
        """Opens the shards.

        Args:
          directory: holds `index.json`.
          sequence_length: input ids of a sample.
          seed: chooses the order of samples.
          vocabulary: ids must be below it.

        Raises:
          UserError: the shards cannot be read, hold ids for a larger vocabulary, or a source is
            smaller than one sample.
        """
        self.shards = ShardSet.open(directory)
        self.index_sha256 = hashlib.sha256((directory / "index.json").read_bytes()).hexdigest()
        self._directory = directory
        self._chunk = sequence_length + 1
        self._vocabulary = vocabulary
        if self.shards.vocabulary_size > vocabulary:
            raise UserError(
                f"model.vocabulary is {vocabulary}, but the shards in {directory} were made with "
                f"{self.shards.vocabulary_size} pieces; "
                f"set model.vocabulary to {self.shards.vocabulary_size}"
            )
        self._mixture = Mixture(self.shards.sources)
        if not self._mixture.sources:
            raise UserError(f"{directory}: no source has a weight above 0; nothing to train on")
        self._texts = {name: self._open_source(name) for name in self._mixture.sources}
        self._keys = {
            name: hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=32).digest()
            for name in self._texts
        }

    def _open_source(self, name: str) -> SourceText:
        # As plain arrays: slicing a memmap object costs several times as much.
        pieces = [np.asarray(s.tokens) for s in self.shards.shards if s.source == name]
        ids = sum(len(piece) for piece in pieces)
        if ids < self._chunk:
            raise UserError(
                f"{self._directory}: source '{name}' has {ids} ids, fewer than one sample of "
                f"{self._chunk}; choose a shorter data.sequence_length, or take the source out "
                "of the recipe"
            )
        return SourceText(name, pieces)

    @property
    def tokens(self) -> dict[str, int]:
        """Ids per source, of the sources that are sampled."""
        return {name: len(text) for name, text in self._texts.items()}

    def chunk(self, sample: int) -> np.ndarray:
        """Returns the sequence_length + 1 ids of one sample, in the shards' own dtype."""
        name, rank = self._mixture.place(sample)
        text = self._texts[name]
        chunks = len(text) // self._chunk
        epoch, index = divmod(rank, chunks)
        epoch_key = hashlib.blake2b(b"%d" % epoch, digest_size=32, key=self._keys[name]).digest()
        return text.read(permute(index, chunks, epoch_key) * self._chunk, self._chunk)

    def batch(self, first: int, count: int) -> Batch:
        """Returns samples first … first + count - 1.

        Raises:
          UserError: the shards hold an id that is not below the vocabulary.
        """
        chunks = np.stack([self.chunk(sample) for sample in range(first, first + count)])
        lowest, highest = int(chunks.min()), int(chunks.max())
        if lowest < 0 or highest >= self._vocabulary:
            wrong = lowest if lowest < 0 else highest
            raise UserError(
                f"{self._directory}: the id {wrong} is outside the vocabulary of "
                f"{self._vocabulary}; the shards are damaged or were made with another "
                "vocabulary; write them again"
            )
        return make_batch(chunks, self.shards.separator, self.shards.pad)
