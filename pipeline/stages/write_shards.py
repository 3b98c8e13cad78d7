"""Stage *shards*: the corpus as token ids, in files that trainers map into memory.

Where the recipe repeats documents of large clusters, each part writes those in passes, pass k the
documents that are written at least k times, so that copies lie far apart; then, in other shards,
the documents that are written once. The index lists all repeated shards of a source before the
others, so that what training holds out at the end of a source has no copy in front of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline import storage
from pipeline.ledger import Count
from pipeline.parts import Part, PartOutput
from pipeline.recipe import Recipe
from pipeline.repetition import times_written
from pipeline.stage import Outcome, Stage, StageRun, outcome_of_parts
from pipeline.stages.train_tokenizer import FOLDER as TOKENIZER_FOLDER
from pipeline.tables import read_batches, read_table, table_path
from tokenizer.shards import Repetitions, ShardFacts, write_index, write_shards
from tokenizer.tokenizer import Tokenizer

NAME = "shards"
FOLDER = "shards"


@dataclass(frozen=True)
class EncodePart:
    """Encodes one part's documents into shards of bounded size.

    Attributes:
      repeat_clusters: documents in a cluster, at least -> how often its document is written.
    """

    mix_folder: str
    tokenizer_path: str
    folder: str
    max_tokens: int
    repeat_clusters: Mapping[int, int]
    loaded: list[Tokenizer] = field(default_factory=list, compare=False)

    def setup(self) -> None:
        """Loads the vocabulary."""
        self.loaded[:] = [Tokenizer(self.tokenizer_path)]

    def process(self, part: Part, output: PartOutput) -> None:
        path = table_path(self.mix_folder, "corpus", part.name)
        sizes = read_table(path, ["cluster_size"]).column("cluster_size")
        most = int(self._times(sizes).max(initial=1))
        repetitions = Counter(documents=0, tokens=0)
        shards = []
        if most > 1:
            repeated = self._write(
                f"{part.name}.repeated", self._passes(path, most, output.books.kept, repetitions)
            )
            shards += [shard.model_copy(update={"repeated": True}) for shard in repeated]
        shards += self._write(part.name, self._documents(path, 1, 1, output.books.kept))
        output.books.came_in = _held(path)
        for shard in shards:
            for ending in ("bin", "idx"):
                facts = getattr(shard, ending)
                name = f"{FOLDER}/{shard.name}.{ending}"
                output.add_file(storage.ListedFile(name, facts.bytes, facts.sha256))
        output.facts["shards"] = [shard.model_dump() for shard in shards]
        output.facts["repetitions"] = dict(repetitions)

    def _write(self, stem: str, documents: Iterator[np.ndarray]) -> list[ShardFacts]:
        folder = storage.join(self.folder, FOLDER)
        return write_shards(folder, stem, documents, self.loaded[0].facts, self.max_tokens)

    def _times(self, sizes: pa.Array | pa.ChunkedArray) -> np.ndarray:
        return times_written(np.asarray(sizes), self.repeat_clusters)

    def _passes(
        self, path: str, most: int, kept: Count, repetitions: Counter[str]
    ) -> Iterator[np.ndarray]:
        """Yields documents that are written more than once, as often as they are written."""
        yield from self._documents(path, 2, most, kept)
        for number in range(2, most + 1):
            for ids in self._documents(path, number, most, Count()):
                repetitions.update(documents=1, tokens=ids.size + 1)
                yield ids

    def _documents(self, path: str, least: int, most: int, count: Count) -> Iterator[np.ndarray]:
        """Yields the ids of documents that are written `least` to `most` times; counts them."""
        columns = ["text", "characters", "text_bytes", "cluster_size"]
        for batch in read_batches(path, columns):
            times = self._times(batch.column("cluster_size"))
            chosen = batch.filter(pa.array((times >= least) & (times <= most)))
            for text in chosen.column("text").to_pylist():
                yield self.loaded[0].encode(text)
            _add(chosen, count)


def _add(documents: pa.RecordBatch, count: Count) -> None:
    sums = [np.asarray(documents.column(name)).sum() for name in ("characters", "text_bytes")]
    count.add(documents.num_rows, *sums)


def _held(path: str) -> Count:
    """What the corpus of a part holds."""
    count = Count()
    for batch in read_batches(path, ["characters", "text_bytes"]):
        _add(batch, count)
    return count


def _run(run: StageRun) -> Outcome:
    tokenizer_path = storage.join(run.inputs["tokenizer"], TOKENIZER_FOLDER, "tokenizer.model")
    transform = EncodePart(
        run.inputs["mix"],
        tokenizer_path,
        run.folder,
        run.recipe.shards.max_tokens,
        run.recipe.shards.repeat_clusters,
    )
    run.execution.map_parts(transform, run.parts, run.folder)
    books, files, facts = outcome_of_parts(NAME, run.folder, run.parts)
    shards: dict[str, list[ShardFacts]] = {source.name: [] for source in run.recipe.sources}
    repetitions = {source.name: Counter(documents=0, tokens=0) for source in run.recipe.sources}
    for part, part_facts in zip(run.parts, facts, strict=True):
        shards[part.source].extend(ShardFacts(**shard) for shard in part_facts["shards"])
        repetitions[part.source].update(part_facts["repetitions"])
    for of_source in shards.values():
        of_source.sort(key=lambda shard: not shard.repeated)
    index = write_index(
        storage.join(run.folder, FOLDER),
        Tokenizer(tokenizer_path).facts,
        shards,
        run.recipe.weights,
        {name: Repetitions(**count) for name, count in repetitions.items()},
    )
    index_path = f"{FOLDER}/index.json"
    files.append(storage.facts_of(storage.join(run.folder, index_path), index_path))
    return Outcome(books, files, {"tokens": index.tokens, "documents": index.documents})


def _settings(recipe: Recipe) -> Any:
    return {
        "shards": recipe.shards.model_dump(),
        "weights": recipe.weights,
    }


STAGE = Stage(
    name=NAME,
    module=__name__,
    needs=("mix", "tokenizer"),
    settings=_settings,
    run=_run,
    libraries=("sentencepiece", "jieba"),
    publishes={"shards": FOLDER},
)
