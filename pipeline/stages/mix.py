"""Stage *mix*: the corpus as people use it, and how often each source's documents are seen.

Kept documents go to `corpus` without the spans that were cut, every other document with its reason
to `dropped`, unreadable input to `dead_letters`. The mixture turns the sources' weights (PanGu-α
Table 4) into shares and epochs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline import cuts, storage
from pipeline.cuts import Dropped, Removals, Span
from pipeline.documents import CORPUS, DEAD_LETTERS, DROPPED, EXCERPT_CHARACTERS, ORIGIN
from pipeline.ledger import Books
from pipeline.parts import Part, PartOutput
from pipeline.recipe import Recipe
from pipeline.stage import Outcome, Stage, StageRun, outcome_of_parts
from pipeline.tables import read_batches, read_table, table_path

NAME = "mix"
MIXTURE = "mixture.json"


@dataclass(frozen=True)
class _Rows:
    """Some rows of a part, and what is known of each.

    Attributes:
      numbers: int64 (rows,), their places in the part.
      removals: what was taken away from the whole part.
    """

    documents: pa.RecordBatch
    verdicts: pa.Table
    merges: pa.Table
    numbers: np.ndarray
    removals: Removals

    @property
    def kept(self) -> np.ndarray:
        """bool (rows,): which of them are in the corpus."""
        return self.removals.kept[self.numbers]

    def chosen(self, which: np.ndarray) -> _Rows:
        """Those rows for which `which` is true."""
        mask = pa.array(which)
        tables = (self.verdicts.filter(mask), self.merges.filter(mask))
        return _Rows(self.documents.filter(mask), *tables, self.numbers[which], self.removals)

    def spans(self) -> Iterator[tuple[int, list[Span]]]:
        """Yields (place among the rows, spans to take out) of those that have any."""
        if not len(self.numbers):
            return
        first = int(self.numbers[0])
        found = self.removals.spans(first, int(self.numbers[-1]) - first + 1)
        for place, number in enumerate(self.numbers.tolist()):
            if number in found:
                yield place, found[number]


@dataclass(frozen=True)
class AssemblePart:
    """Joins text, verdicts, cluster and cuts of each document of a part; their rows are aligned.

    Attributes:
      folders: of the stages, by name.
      cutting: those that took documents or spans away after deduplication, in order.
      rule_signals: the signal that each rule looks at.
    """

    folders: Mapping[str, str]
    cutting: tuple[str, ...]
    rule_signals: Mapping[str, str]

    def setup(self) -> None:
        """Nothing to load."""

    def process(self, part: Part, output: PartOutput) -> None:
        for table, schema in (
            ("corpus", CORPUS),
            ("dropped", DROPPED),
            ("dead_letters", DEAD_LETTERS),
        ):
            output.open_table(table, schema)
        for table in ("dropped", "dead_letters"):
            path = table_path(self.folders["extract"], table, part.name)
            for batch in read_batches(path):
                output.write(table, batch, batch.schema)
        for rows in self._rows(part):
            self._write_corpus(rows.chosen(rows.kept), output)
            self._write_dropped(rows.chosen(~rows.kept), output)

    def _rows(self, part: Part) -> Iterator[_Rows]:
        verdicts = read_table(table_path(self.folders["decide"], "verdicts", part.name))
        merges = read_table(table_path(self.folders["deduplicate"], "verdicts", part.name))
        removals = cuts.read_removals(
            self.folders, self.cutting, part.name, np.asarray(merges.column("kept"))
        )
        columns = [*(column.name for column in ORIGIN), "captured_at", "text"]
        first = 0
        for batch in read_batches(
            table_path(self.folders["clean"], "documents", part.name), columns
        ):
            size = batch.num_rows
            here = verdicts.slice(first, size)
            if not here.column("id").combine_chunks().equals(batch.column("id")):
                raise AssertionError(f"part {part.name}: rows of clean and decide are not aligned")
            numbers = np.arange(first, first + size)
            yield _Rows(batch, here, merges.slice(first, size), numbers, removals)
            first += size

    def _write_corpus(self, rows: _Rows, output: PartOutput) -> None:
        documents, verdicts, merges = rows.documents, rows.verdicts, rows.merges
        characters, sizes = (
            np.asarray(verdicts.column(name)).copy() for name in ("characters", "text_bytes")
        )
        output.books.came_in.add(documents.num_rows, characters.sum(), sizes.sum())
        texts = documents.column("text").to_pylist()
        for place, spans in rows.spans():
            texts[place], taken = cuts.cut(texts[place], spans)
            for span in taken:
                removed = documents.column("text")[place].as_py()[span.start : span.end]
                size = len(removed.encode())
                characters[place] -= len(removed)
                sizes[place] -= size
                output.books.count("removed", span.reason).add(0, len(removed), size)
        output.books.kept.add(documents.num_rows, sum(map(len, texts)), sizes.sum())
        columns = {
            **{name: documents.column(name) for name in ("id", "url", "title", "source")},
            "captured_at": documents.column("captured_at"),
            "text": pa.array(texts, pa.string()),
            "characters": pa.array(characters),
            "text_bytes": pa.array(sizes),
            "quality": verdicts.column("quality").combine_chunks(),
            "cluster_id": merges.column("cluster_id").combine_chunks(),
            "cluster_size": merges.column("cluster_size").combine_chunks(),
        }
        arrays = [columns[field.name] for field in CORPUS]
        output.write("corpus", pa.RecordBatch.from_arrays(arrays, schema=CORPUS), CORPUS)

    def _write_dropped(self, rows: _Rows, output: PartOutput) -> None:
        joined = zip(
            rows.documents.to_pylist(),
            rows.verdicts.to_pylist(),
            rows.merges.to_pylist(),
            rows.numbers.tolist(),
            strict=True,
        )
        written = []
        for document, verdict, merge, number in joined:
            merged = bool(merge["merged_into"])
            reason = rows.removals.dropped.get(number)
            if merged:
                reason = Dropped("deduplicate", merge["kind"], _likeness(merge), "")
            elif reason is None:
                reason = Dropped(
                    "decide",
                    verdict["rule"],
                    self._shown(verdict["rule"], verdict["value"]),
                    self._shown(verdict["rule"], verdict["limit"]),
                )
            written.append(
                {
                    **{column.name: document[column.name] for column in ORIGIN},
                    **reason._asdict(),
                    "verdict": "merged" if merged else "dropped",
                    "merged_into": merge["merged_into"],
                    "characters": verdict["characters"],
                    "quality": verdict["quality"],
                    "excerpt": document["text"][:EXCERPT_CHARACTERS],
                }
            )
        output.write("dropped", pa.RecordBatch.from_pylist(written, schema=DROPPED), DROPPED)

    def _shown(self, rule: str, value: str) -> str:
        return f"{self.rule_signals[rule]} {value}"


def _likeness(merge: Mapping[str, Any]) -> str:
    """How similar a merged document is to the one that stays, and that one's run if it is older."""
    similarity = merge["similarity"]
    found = [] if similarity is None else [f"similarity {similarity:.3f}"]
    return ", ".join([*found, *([f"in {merge['older_run']}"] if merge["older_run"] else [])])


def mixture(
    weights: Mapping[str, float], characters: Mapping[str, int], documents: Mapping[str, int]
) -> dict[str, Any]:
    """What the weights mean for a corpus.

    Args:
      weights: of each source; only their ratios matter.
      characters: that each source holds.
      documents: that each source holds.

    Returns:
      For each source: weight, documents, characters, `share` of the samples, and `epochs`: how
      often its documents are seen while as many characters are sampled as the corpus holds.
    """
    available = {name: weights[name] for name in weights if characters.get(name, 0) > 0}
    total_weight = sum(available.values())
    total_characters = sum(characters.values())
    result = {}
    for name, weight in weights.items():
        held = characters.get(name, 0)
        share = weight / total_weight if name in available and total_weight else 0.0
        result[name] = {
            "weight": weight,
            "documents": documents.get(name, 0),
            "characters": held,
            "share": round(share, 6),
            "epochs": round(share * total_characters / held, 4) if held else 0.0,
        }
    return result


def _settings(recipe: Recipe) -> Any:
    return {
        "weights": recipe.weights,
        "rule_signals": {name: rule.signal for name, rule in recipe.rules.items()},
    }


def _run(run: StageRun) -> Outcome:
    rule_signals = {name: rule.signal for name, rule in run.recipe.rules.items()}
    transform = AssemblePart(dict(run.inputs), cuts.stages_on(run.inputs), rule_signals)
    run.execution.map_parts(transform, run.parts, run.folder)
    books, files, _ = outcome_of_parts(NAME, run.folder, run.parts)

    def held(unit: str) -> dict[str, int]:
        return {
            source.name: getattr(books.get(source.name, Books()).kept, unit)
            for source in run.recipe.sources
        }

    mixed = mixture(run.recipe.weights, held("characters"), held("documents"))
    path = storage.join(run.folder, MIXTURE)
    files.append(storage.write_json(path, mixed, MIXTURE))
    return Outcome(books, files, {"mixture": mixed})


STAGE = Stage(
    name=NAME,
    module=__name__,
    needs=("extract", "clean", "decide", "deduplicate", *cuts.STAGES),
    settings=_settings,
    run=_run,
    publishes={"corpus": "corpus", "dropped": "dropped", "dead_letters": "dead_letters"},
)
