"""What the stages between deduplication and the corpus take away: documents, and spans of texts.

A stage that the recipe has switched on writes two tables for each part: `verdicts`, whose row n is
the document of row n everywhere, and `cuts`, in characters of the text as the stage *clean* left
it. Texts stay where they are until the stage *mix* applies both; a stage that is off writes
neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import storage
from pipeline.tables import read_table, table_path

# In the order in which they run.
STAGES = ("deduplicate_lines", "decontaminate")

VERDICTS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        # False also for documents that an earlier stage dropped or merged.
        pa.field("kept", pa.bool_(), nullable=False),
        # "" unless this stage dropped the document.
        pa.field("rule", pa.string(), nullable=False),
        pa.field("value", pa.string(), nullable=False),
        pa.field("limit", pa.string(), nullable=False),
    ]
)
# Sorted by row and start, without overlaps, and only of documents that are still kept.
CUTS = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("start", pa.int32(), nullable=False),
        pa.field("end", pa.int32(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)


class Span(NamedTuple):
    """Characters start to end of a text, and why they are taken out."""

    start: int
    end: int
    reason: str


class Dropped(NamedTuple):
    """Why a document was dropped, and by which stage."""

    stage: str
    rule: str
    value: str
    limit: str


def cut(text: str, spans: Iterable[Span]) -> tuple[str, list[Span]]:
    """Takes spans out of a text, and with a line that is taken out wholly its line break.

    Args:
      text: as the stage clean left it.
      spans: in any order; where two overlap, the one that begins first counts.

    Returns:
      what remains, and the spans that were taken out: in order, without overlaps.
    """
    taken: list[Span] = []
    pieces: list[str] = []
    place = 0
    for start, end, reason in sorted(spans):
        if text[end : end + 1] == "\n" and (start == 0 or text[start - 1] == "\n"):
            end += 1
        start = max(start, place)
        if start < end:
            pieces.append(text[place:start])
            taken.append(Span(start, end, reason))
            place = end
    kept = "".join([*pieces, text[place:]])
    if not taken or taken[-1].end < len(text):
        return kept, taken
    # The last line went, so the break before it separates nothing any more.
    stripped = kept.rstrip("\n")
    return stripped, _with_breaks_before_end(text, taken, len(kept) - len(stripped))


def _with_breaks_before_end(text: str, taken: list[Span], breaks: int) -> list[Span]:
    """The spans, with so many more line breaks taken out, the last ones that were left."""
    taken = list(taken)
    index = len(taken) - 1
    for _ in range(breaks):
        # Spans that touch leave nothing between them.
        while index > 0 and taken[index - 1].end == taken[index].start:
            index -= 1
        taken[index] = taken[index]._replace(start=taken[index].start - 1)
    return taken


@dataclass(frozen=True)
class Removals:
    """What the stages took away from the documents of one part.

    Attributes:
      kept: bool (rows,), documents that are still there.
      dropped: row -> why, for documents that one of the stages dropped.
      cuts: table CUTS of all stages, sorted by row.
    """

    kept: np.ndarray
    dropped: Mapping[int, Dropped]
    cuts: pa.Table

    def spans(self, first: int, count: int) -> dict[int, list[Span]]:
        """Spans to take out by row, for the rows first to first + count - 1 that have any."""
        rows = np.asarray(self.cuts.column("row"))
        start, stop = np.searchsorted(rows, [first, first + count])
        found: dict[int, list[Span]] = {}
        for entry in self.cuts.slice(start, stop - start).to_pylist():
            row = entry.pop("row")
            found.setdefault(row, []).append(Span(**entry))
        return found


def read_removals(
    folders: Mapping[str, str], stages: Sequence[str], part: str, kept: np.ndarray
) -> Removals:
    """Reads what some stages took away from a part.

    Args:
      folders: of the stages, by name.
      stages: names of those that are on, in order (`stages_on`).
      part: name of the part.
      kept: bool (rows,), documents that deduplication kept.
    """
    dropped: dict[int, Dropped] = {}
    cuts = [CUTS.empty_table()]
    for stage in stages:
        verdicts = read_table(table_path(folders[stage], "verdicts", part))
        here = np.flatnonzero(np.asarray(pc.not_equal(verdicts.column("rule"), "")))
        reasons = verdicts.select(["rule", "value", "limit"]).take(pa.array(here))
        for row, reason in zip(here.tolist(), reasons.to_pylist(), strict=True):
            dropped[row] = Dropped(stage, **reason)
        kept = np.asarray(verdicts.column("kept"))
        cuts.append(read_table(table_path(folders[stage], "cuts", part)))
    by_row = pa.concat_tables(cuts).sort_by([("row", "ascending"), ("start", "ascending")])
    return Removals(kept, dropped, by_row)


def stages_on(folders: Mapping[str, str]) -> tuple[str, ...]:
    """Those of STAGES that the recipe has switched on, in order.

    Args:
      folders: of finished stages, by name.
    """
    return tuple(
        name
        for name in STAGES
        if name in folders and storage.exists(storage.join(folders[name], "verdicts"))
    )
