"""Stage *shards*: the corpus as token ids, in files that trainers map into memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline import storage
from pipeline.parts import Part, PartOutput
from pipeline.recipe import Recipe
from pipeline.stage import Outcome, Stage, StageRun, outcome_of_parts
from pipeline.stages.train_tokenizer import FOLDER as TOKENIZER_FOLDER
from pipeline.tables import read_batches, table_path
from tokenizer.shards import ShardFacts, write_index, write_shards
from tokenizer.tokenizer import Tokenizer

NAME = "shards"
FOLDER = "shards"


@dataclass(frozen=True)
class EncodePart:
    """Encodes one part's documents, in order, into shards of bounded size."""

    mix_folder: str
    tokenizer_path: str
    folder: str
    max_tokens: int
    loaded: list[Tokenizer] = field(default_factory=list, compare=False)

    def setup(self) -> None:
        """Loads the vocabulary."""
        self.loaded[:] = [Tokenizer(self.tokenizer_path)]

    def process(self, part: Part, output: PartOutput) -> None:
        shards = write_shards(
            storage.join(self.folder, FOLDER),
            part.name,
            self._documents(part, output),
            self.loaded[0].facts,
            self.max_tokens,
        )
        for shard in shards:
            for ending in ("bin", "idx"):
                facts = getattr(shard, ending)
                path = f"{FOLDER}/{shard.name}.{ending}"
                output.add_file(storage.ListedFile(path, facts.bytes, facts.sha256))
        output.facts["shards"] = [shard.model_dump() for shard in shards]

    def _documents(self, part: Part, output: PartOutput) -> Iterator[np.ndarray]:
        path = table_path(self.mix_folder, "corpus", part.name)
        for batch in read_batches(path, ["text", "characters", "text_bytes"]):
            sums = [int(np.asarray(batch.column(c)).sum()) for c in ("characters", "text_bytes")]
            output.books.came_in.add(batch.num_rows, *sums)
            for text in batch.column("text").to_pylist():
                yield self.loaded[0].encode(text)
            output.books.kept.add(batch.num_rows, *sums)


def _run(run: StageRun) -> Outcome:
    tokenizer_path = storage.join(run.inputs["tokenizer"], TOKENIZER_FOLDER, "tokenizer.model")
    transform = EncodePart(
        run.inputs["mix"], tokenizer_path, run.folder, run.recipe.shards.max_tokens
    )
    run.execution.map_parts(transform, run.parts, run.folder)
    books, files, facts = outcome_of_parts(NAME, run.folder, run.parts)
    shards: dict[str, list[ShardFacts]] = {source.name: [] for source in run.recipe.sources}
    for part, part_facts in zip(run.parts, facts, strict=True):
        shards[part.source].extend(ShardFacts(**shard) for shard in part_facts["shards"])
    index = write_index(
        storage.join(run.folder, FOLDER),
        Tokenizer(tokenizer_path).facts,
        shards,
        run.recipe.weights,
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
