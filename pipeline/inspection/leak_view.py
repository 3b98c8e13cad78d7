"""Which texts of evaluation sets a document held, for `pangu inspect`."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow.compute as pc

from pipeline.commands.terminal import one_line
from pipeline.tables import read_batches, table_path

SHOWN = 5
EXCERPT_CHARACTERS = 60
_COLUMNS = ["id", "set", "item", "items", "found", "of", "excerpt"]


def describe_leaks(folder: str, part: str, id: str) -> Iterator[str]:
    """Yields a line for each text that was found in a document, those held most of first.

    Args:
      folder: of the stage *decontaminate*, which looked for some.
      part: of the document.
      id: of the document.
    """
    rows = [
        row
        for batch in read_batches(table_path(folder, "leaks", part), _COLUMNS)
        for row in batch.filter(pc.equal(batch.column("id"), id)).to_pylist()
    ]
    rows.sort(key=lambda row: -row["found"] / row["of"])
    for row in rows[:SHOWN]:
        others = f" and {row['items'] - 1:,} more" if row["items"] > 1 else ""
        excerpt = one_line(row["excerpt"], EXCERPT_CHARACTERS)
        yield (
            f"holds {row['found']} of {row['of']} n-grams of a passage of {row['set']}, "
            f"{row['item']}{others}: {excerpt}"
        )
    if len(rows) > SHOWN:
        yield f"and {len(rows) - SHOWN:,} other texts of evaluation sets"
