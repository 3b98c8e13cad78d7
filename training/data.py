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

The end of each source can be held out for validation; no document is then in both, nor is a copy
of one: documents that are written several times come first, and none of them is held out.

Positions and attention restart after each separator, and nothing is learned where the input is
padding (released PanGu-α training code).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pangu_settings import UserError
from tokenizer import ShardSet
from training.sample_order import Mixture, permute

# Of a source that is too small for the validation samples asked for, this part is held out.
LARGEST_HELD_OUT_PART = 10


class SourceText:
    """All ids of one source, as one long row over its shards."""

    def __init__(self, pieces: list[np.ndarray]) -> None:
        self._pieces = pieces
        self._ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

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


class Corpus:
    """A directory of shards, opened for a model of some vocabulary.

    Attributes:
      shards: the opened shards.
      index_sha256: digest of the index, and so (it holds the shards' digests) of all ids.
      texts: the ids of each source that has a weight, by name.
    """

    def __init__(self, directory: Path, vocabulary: int) -> None:
        """Opens the shards; the cost does not depend on how many ids there are.

        Raises:
          UserError: they cannot be read, hold ids for a larger vocabulary, or have no source
            with a weight.
        """
        self.directory = directory
        self.shards = ShardSet.open(directory)
        self.index_sha256 = hashlib.sha256((directory / "index.json").read_bytes()).hexdigest()
        self._vocabulary = vocabulary
        if self.shards.vocabulary_size > vocabulary:
            raise UserError(
                f"model.vocabulary is {vocabulary}, but the shards in {directory} were made with "
                f"{self.shards.vocabulary_size} pieces; "
                f"set model.vocabulary to {self.shards.vocabulary_size}"
            )
        self.weights = {name: w for name, w in self.shards.sources.items() if w > 0}
        if not self.weights:
            raise UserError(f"{directory}: no source has a weight above 0; nothing to train on")
        # As plain arrays: slicing a memmap object costs several times as much.
        pieces: dict[str, list[np.ndarray]] = {name: [] for name in self.weights}
        self.ids_seen_once = dict.fromkeys(self.weights, 0)
        """Of each source, how many ids at its end belong to documents that have no copy."""
        for shard in self.shards.shards:
            if shard.source in pieces:
                pieces[shard.source].append(np.asarray(shard.tokens))
                if shard.facts.repeated:
                    self.ids_seen_once[shard.source] = 0
                else:
                    self.ids_seen_once[shard.source] += len(shard.tokens)
        self.texts = {name: SourceText(parts) for name, parts in pieces.items()}

    def verify(self, part: int, parts: int) -> None:
        """Reads every parts-th shard whole and compares it with the index; see Shard.verify.

        Raises:
          ShardError: a shard is not what the index says.
        """
        for shard in self.shards.shards[part::parts]:
            shard.verify()

    def batch(self, chunks: Iterable[np.ndarray]) -> Batch:
        """Returns chunks of ids as a batch.

        Raises:
          UserError: an id is not below the vocabulary.
        """
        rows = np.stack(list(chunks))
        lowest, highest = int(rows.min()), int(rows.max())
        if lowest < 0 or highest >= self._vocabulary:
            wrong = lowest if lowest < 0 else highest
            raise UserError(
                f"{self.directory}: the id {wrong} is outside the vocabulary of "
                f"{self._vocabulary}; the shards are damaged or were made with another "
                "vocabulary; write them again"
            )
        return make_batch(rows, self.shards.separator, self.shards.pad)


class Samples:
    """All samples of a corpus that are trained on, by number."""

    def __init__(
        self,
        corpus: Corpus,
        sequence_length: int,
        seed: int,
        held_out: Mapping[str, int] | None = None,
    ) -> None:
        """Lays the samples out.

        Args:
          corpus: the shards.
          sequence_length: input ids of a sample.
          seed: chooses the order of samples.
          held_out: for each source, how many chunks at its end are not trained on.

        Raises:
          UserError: a source is smaller than one sample.
        """
        self.corpus = corpus
        self._chunk = sequence_length + 1
        self._mixture = Mixture(corpus.weights)
        self._keys: dict[str, bytes] = {}
        self._chunks: dict[str, int] = {}
        for name in self._mixture.sources:
            ids = len(corpus.texts[name]) - self._chunk * (held_out or {}).get(name, 0)
            if ids < self._chunk:
                raise UserError(
                    f"{corpus.directory}: source '{name}' has {ids} ids, fewer than one sample of "
                    f"{self._chunk}; choose a shorter data.sequence_length, or take the source "
                    "out of the recipe"
                )
            self._chunks[name] = ids // self._chunk
            self._keys[name] = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=32).digest()

    def chunk(self, sample: int) -> np.ndarray:
        """Returns the sequence_length + 1 ids of one sample, in the shards' own dtype."""
        name, rank = self._mixture.place(sample)
        chunks = self._chunks[name]
        epoch, index = divmod(rank, chunks)
        epoch_key = hashlib.blake2b(b"%d" % epoch, digest_size=32, key=self._keys[name]).digest()
        start = permute(index, chunks, epoch_key) * self._chunk
        return self.corpus.texts[name].read(start, self._chunk)

    def batch(self, first: int, count: int) -> Batch:
        """Returns samples first … first + count - 1.

        Raises:
          UserError: the shards hold an id that is not below the vocabulary.
        """
        return self.corpus.batch(self.chunk(sample) for sample in range(first, first + count))


class ValidationSamples:
    """Chunks at the end of each source that are never trained on."""

    def __init__(self, corpus: Corpus, sequence_length: int, most: int) -> None:
        """Chooses them.

        Args:
          corpus: the shards.
          sequence_length: input ids of a sample.
          most: samples of each source; fewer where that is more than a tenth of the source.
        """
        self.corpus = corpus
        self._chunk = sequence_length + 1
        self.held_out: dict[str, int] = {}
        """Chunks at the end of each source that training must leave alone."""
        self._starts: dict[str, int] = {}
        self.counts: dict[str, int] = {}
        """Samples of each source; sources that are too small to hold any out are missing."""
        for name, text in corpus.texts.items():
            # A document that is written again further in front would be learned by heart.
            seen_once = corpus.ids_seen_once[name] // self._chunk
            chunks = min(most, len(text) // self._chunk // LARGEST_HELD_OUT_PART, seen_once)
            if chunks == 0:
                continue
            self.held_out[name] = chunks
            start = len(text) - chunks * self._chunk
            # The document that began before is left to training. One that fills all of the rest
            # is not: its end is then what there is to validate on.
            ends = np.flatnonzero(text.read(start, len(text) - start) == corpus.shards.separator)
            if len(ends) and len(text) - (start + int(ends[0]) + 1) >= self._chunk:
                start += int(ends[0]) + 1
            self._starts[name] = start
            self.counts[name] = (len(text) - start) // self._chunk

    def batch(self, source: str, first: int, count: int) -> Batch:
        """Returns samples first … first + count - 1 of a source.

        Samples that the source does not have are all padding and weigh nothing, so that every
        process can be given as many as the others.

        Raises:
          UserError: the shards hold an id that is not below the vocabulary.
        """
        text, start = self.corpus.texts[source], self._starts[source]
        nothing = np.full(self._chunk, self.corpus.shards.pad)
        return self.corpus.batch(
            text.read(start + sample * self._chunk, self._chunk)
            if sample < self.counts[source]
            else nothing
            for sample in range(first, first + count)
        )
