"""Stage *decide*: the recipe's rules over the signals. Columns only: a changed limit is cheap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from filters.classifier_settings import SCORE_SUFFIX
from filters.rules import Rule, apply_rules
from pipeline.parts import Part, PartOutput
from pipeline.recipe import Recipe
from pipeline.stage import Outcome, Stage, StageRun, outcome_of_parts
from pipeline.stages import classify
from pipeline.tables import read_batches, read_table, table_path

NAME = "decide"
VERDICTS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("kept", pa.bool_(), nullable=False),
        pa.field("rule", pa.string(), nullable=False),
        pa.field("value", pa.string(), nullable=False),
        pa.field("limit", pa.string(), nullable=False),
        pa.field("quality", pa.float32(), nullable=False),
        pa.field("characters", pa.int64(), nullable=False),
        pa.field("text_bytes", pa.int64(), nullable=False),
    ]
)
ROWS = 65_536


@dataclass(frozen=True)
class DecidePart:
    """Applies the rules of its source to one part's signals."""

    folders: Mapping[str, str]
    rules: Mapping[str, Mapping[str, Rule]]

    def setup(self) -> None:
        """Nothing to load."""

    def process(self, part: Part, output: PartOutput) -> None:
        output.open_table("verdicts", VERDICTS)
        rules = self.rules[part.source]
        signals = sorted({rule.signal for rule in rules.values()})
        columns = list(dict.fromkeys(["id", "quality", "characters", "text_bytes", *signals]))
        for batch in read_signals(self.folders, part.name, columns):
            verdicts = apply_rules(rules, batch)
            characters = batch.column("characters").cast(pa.int64())
            self._count(verdicts.rule, characters, batch.column("text_bytes"), output)
            arrays = [
                batch.column("id"),
                pa.array(verdicts.kept),
                verdicts.rule.fill_null(""),
                verdicts.value.fill_null(""),
                verdicts.limit.fill_null(""),
                batch.column("quality"),
                characters,
                batch.column("text_bytes"),
            ]
            output.write("verdicts", pa.RecordBatch.from_arrays(arrays, schema=VERDICTS), VERDICTS)

    def _count(
        self, rules: pa.Array, characters: pa.Array, sizes: pa.Array, output: PartOutput
    ) -> None:
        lengths, weights = np.asarray(characters), np.asarray(sizes)
        output.books.came_in.add(len(lengths), lengths.sum(), weights.sum())
        reasons = np.asarray(rules.fill_null("").to_pylist(), dtype=object)
        for reason in sorted(set(reasons)):
            chosen = reasons == reason
            count = output.books.count("dropped", reason) if reason else output.books.kept
            count.add(chosen.sum(), lengths[chosen].sum(), weights[chosen].sum())


def read_signals(
    folders: Mapping[str, str], part: str, columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Yields chosen columns of one part's signals, scores of classifiers among them.

    Args:
      folders: of the stages measure and classify, by name.
      part: name of the part.
      columns: `id` first, then any of the signals of the run.
    """
    scores = [name for name in columns if name.endswith(SCORE_SUFFIX)]
    measured = [name for name in columns if name not in scores]
    table = None
    if scores:
        path = table_path(folders[classify.NAME], "scores", part)
        table = read_table(path, ["id", *scores]).combine_chunks()
    first = 0
    for batch in read_batches(table_path(folders["measure"], "signals", part), measured, ROWS):
        if table is not None:
            here = table.slice(first, batch.num_rows)
            if not here.column("id").combine_chunks().equals(batch.column("id")):
                raise AssertionError(f"part {part}: rows of measure and classify are not aligned")
            for name in scores:
                batch = batch.append_column(name, here.column(name).combine_chunks())
            first += batch.num_rows
        yield batch


def _settings(recipe: Recipe) -> Any:
    # A list, not a mapping: the order of rules decides which one is named as the reason.
    return {
        source.name: [
            [name, rule.model_dump(exclude_none=True)]
            for name, rule in recipe.rules_of(source).items()
        ]
        for source in recipe.sources
    }


def _run(run: StageRun) -> Outcome:
    rules = {source.name: run.recipe.rules_of(source) for source in run.recipe.sources}
    run.execution.map_parts(DecidePart(run.inputs, rules), run.parts, run.folder)
    books, files, _ = outcome_of_parts(NAME, run.folder, run.parts)
    return Outcome(books, files)


STAGE = Stage(
    name=NAME,
    module=__name__,
    needs=("measure", classify.NAME),
    settings=_settings,
    run=_run,
)
