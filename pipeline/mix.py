"""Stage *mix*: the corpus as people use it, and how often each source's documents are seen.

Kept documents go to `corpus`, every other document with its reason to `dropped`, unreadable input
to `dead_letters`. The mixture turns the sources' weights (PanGu-α Table 4) into shares and epochs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import storage
from pipeline.documents import CORPUS, DEAD_LETTERS, DROPPED, EXCERPT_CHARACTERS, ORIGIN
from pipeline.ledger import Books
from pipeline.parts import Part, PartOutput
from pipeline.recipe import Recipe
from pipeline.stage import Outcome, Stage, StageRun, outcome_of_parts
from pipeline.tables import read_batches, read_table, table_path

NAME = "mix"
MIXTURE = "mixture.json"


@dataclass(frozen=True)
class AssemblePart:
    """Joins text, verdict and cluster of each document of a part; rows are aligned by design."""

    folders: Mapping[str, str]
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
        for documents, verdicts, merges in self._rows(part):
            kept = merges.column("kept").combine_chunks()
            chosen = documents.filter(kept)
            self._write_corpus(chosen, verdicts.filter(kept), merges.filter(kept), output)
            others = pc.invert(kept)
            self._write_dropped(
                documents.filter(others), verdicts.filter(others), merges.filter(others), output
            )

    def _rows(self, part: Part) -> Iterator[tuple[pa.RecordBatch, pa.Table, pa.Table]]:
        verdicts = read_table(table_path(self.folders["decide"], "verdicts", part.name))
        merges = read_table(table_path(self.folders["deduplicate"], "verdicts", part.name))
        columns = [*(column.name for column in ORIGIN), "captured_at", "text"]
        first = 0
        for batch in read_batches(
            table_path(self.folders["clean"], "documents", part.name), columns
        ):
            here = verdicts.slice(first, batch.num_rows)
            if not here.column("id").combine_chunks().equals(batch.column("id")):
                raise AssertionError(f"part {part.name}: rows of clean and decide are not aligned")
            yield batch, here, merges.slice(first, batch.num_rows)
            first += batch.num_rows

    def _write_corpus(
        self, documents: pa.RecordBatch, verdicts: pa.Table, merges: pa.Table, output: PartOutput
    ) -> None:
        characters = np.asarray(verdicts.column("characters"))
        size = int(np.asarray(verdicts.column("text_bytes")).sum())
        output.books.came_in.add(documents.num_rows, characters.sum(), size)
        output.books.kept.add(
            documents.num_rows,
            sum(len(text) for text in documents.column("text").to_pylist()),
            size,
        )
        columns = {
            **{name: documents.column(name) for name in ("id", "url", "title", "source")},
            "captured_at": documents.column("captured_at"),
            "text": documents.column("text"),
            "characters": verdicts.column("characters").combine_chunks(),
            "text_bytes": verdicts.column("text_bytes").combine_chunks(),
            "quality": verdicts.column("quality").combine_chunks(),
            "cluster_id": merges.column("cluster_id").combine_chunks(),
            "cluster_size": merges.column("cluster_size").combine_chunks(),
        }
        arrays = [columns[field.name] for field in CORPUS]
        output.write("corpus", pa.RecordBatch.from_arrays(arrays, schema=CORPUS), CORPUS)

    def _write_dropped(
        self, documents: pa.RecordBatch, verdicts: pa.Table, merges: pa.Table, output: PartOutput
    ) -> None:
        rows = []
        joined = zip(documents.to_pylist(), verdicts.to_pylist(), merges.to_pylist(), strict=True)
        for document, verdict, merge in joined:
            merged = bool(merge["merged_into"])
            rows.append(
                {
                    **{column.name: document[column.name] for column in ORIGIN},
                    "stage": "deduplicate" if merged else "decide",
                    "verdict": "merged" if merged else "dropped",
                    "rule": merge["kind"] if merged else verdict["rule"],
                    "value": _similarity(merge)
                    if merged
                    else self._shown(verdict["rule"], verdict["value"]),
                    "limit": "" if merged else self._shown(verdict["rule"], verdict["limit"]),
                    "merged_into": merge["merged_into"],
                    "characters": verdict["characters"],
                    "quality": verdict["quality"],
                    "excerpt": document["text"][:EXCERPT_CHARACTERS],
                }
            )
        output.write("dropped", pa.RecordBatch.from_pylist(rows, schema=DROPPED), DROPPED)

    def _shown(self, rule: str, value: str) -> str:
        return f"{self.rule_signals[rule]} {value}"


def _similarity(merge: Mapping[str, Any]) -> str:
    """How similar a merged document is to the one that stays, where that was computed."""
    return "" if merge["similarity"] is None else f"similarity {merge['similarity']:.3f}"


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
    run.execution.map_parts(AssemblePart(dict(run.inputs), rule_signals), run.parts, run.folder)
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
    needs=("extract", "clean", "decide", "deduplicate"),
    settings=_settings,
    run=_run,
    publishes={"corpus": "corpus", "dropped": "dropped", "dead_letters": "dead_letters"},
)
