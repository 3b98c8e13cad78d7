"""A document among its duplicates: who else is in its cluster, and in what two of them differ."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow.compute as pc

from pipeline import storage
from pipeline.commands.terminal import one_line
from pipeline.run_directory import RunDirectory
from pipeline.tables import read_table

MEMBERS_SHOWN = 10
# Of a comparison: lines of each text that are looked at, and lines that are shown.
LINES_COMPARED = 2_000
DIFFERENCES_SHOWN = 20
LINE_CHARACTERS = 200
# The longest stretch of a line within which single characters are compared: that takes time by the
# cube of its length.
CHARACTERS_COMPARED = 100
# Shown of what is the same before and after a difference.
CONTEXT = 12


def describe_cluster(run: RunDirectory, merge: dict[str, Any]) -> Iterator[str]:
    """Yields lines about the cluster of a document.

    Args:
      run: the run directory.
      merge: the document's row of the verdicts of the stage deduplicate.
    """
    if merge["older_run"]:
        yield (
            f"merged into {merge['merged_into']} of the older run {merge['older_run']} "
            f"({_how(merge)}); for that document: pangu inspect {merge['older_run']} "
            f"{merge['merged_into']}"
        )
        return
    if merge["cluster_size"] == 1:
        yield "unique"
        return
    if merge["merged_into"]:
        yield (
            f"merged into {merge['merged_into']} ({_how(merge)}); "
            f"{merge['cluster_size']} documents in the cluster"
        )
    else:
        yield f"kept as the best of {merge['cluster_size']} duplicates"
    others = [row for row in cluster_members(run, merge["cluster_id"]) if row["id"] != merge["id"]]
    for member in others[:MEMBERS_SHOWN]:
        yield f"{member['id']} {_how(member)}"
    if len(others) > MEMBERS_SHOWN:
        yield f"… {len(others) - MEMBERS_SHOWN} more"


def _how(row: dict[str, Any]) -> str:
    if not row["kind"]:
        return "kept"
    return row["kind"] + (f" {row['similarity']:.3f}" if row["similarity"] is not None else "")


def cluster_members(run: RunDirectory, cluster: str) -> list[dict[str, Any]]:
    """The rows of a cluster, which is called by the document that stays."""
    folder = storage.join(run.current_folder("deduplicate"), "clusters")
    members: list[dict[str, Any]] = []
    for name in storage.list_files(folder, ".parquet"):
        of_cluster = pc.field("cluster_id") == cluster
        members += read_table(storage.join(folder, name), where=of_cluster).to_pylist()
    return members


def compared_with(run: RunDirectory, merge: dict[str, Any]) -> str | None:
    """The member that a document is compared with: its survivor, or what it resembles least.

    None where it has no survivor in this run and resembles no member.
    """
    if merge["older_run"]:
        return None
    if merge["merged_into"]:
        return str(merge["merged_into"])
    others = [row for row in cluster_members(run, merge["cluster_id"]) if row["id"] != merge["id"]]
    different = [row for row in others if row["kind"] != "exact"]
    if not different:
        return None
    return str(min(different, key=lambda row: (row["similarity"] or 0.0, row["id"]))["id"])


def differences(first: str, second: str) -> Iterator[str]:
    """Yields the lines in which two texts differ, `-` for the first and `+` for the second.

    Within a pair of lines, what only one of them has stands in brackets.
    """
    found = _differences(first, second)
    lines = list(itertools.islice(found, DIFFERENCES_SHOWN))
    yield from lines or ["no difference"]
    if next(found, None) is not None:
        yield "… more differences"


def _differences(first: str, second: str) -> Iterator[str]:
    lines, others = (text.splitlines()[:LINES_COMPARED] for text in (first, second))
    matcher = difflib.SequenceMatcher(None, lines, others)
    for kind, start, end, other_start, other_end in matcher.get_opcodes():
        if kind == "equal":
            continue
        removed, added = lines[start:end], others[other_start:other_end]
        if len(removed) == len(added):
            for line, other in zip(removed, added, strict=True):
                marked = _marked(line, other)
                yield f"- {one_line(marked[0], LINE_CHARACTERS)}"
                yield f"+ {one_line(marked[1], LINE_CHARACTERS)}"
        else:
            yield from (f"- {one_line(line, LINE_CHARACTERS)}" for line in removed)
            yield from (f"+ {one_line(line, LINE_CHARACTERS)}" for line in added)


def _marked(line: str, other: str) -> tuple[str, str]:
    """Two lines with brackets around what differs; long stretches of the same are left out."""
    start = _same_at_start(line, other)
    end = _same_at_start(line[start:][::-1], other[start:][::-1])
    middle, other_middle = (text[start : len(text) - end] for text in (line, other))
    changes: Sequence[tuple[str, int, int, int, int]]
    changes = [("replace", 0, len(middle), 0, len(other_middle))]
    if max(len(middle), len(other_middle)) <= CHARACTERS_COMPARED:
        matcher = difflib.SequenceMatcher(None, middle, other_middle, autojunk=False)
        changes = matcher.get_opcodes()
    removed = added = _context(line[:start])
    for kind, first, last, other_first, other_last in changes:
        if kind == "equal":
            removed += _context(middle[first:last])
            added += _context(middle[first:last])
        else:
            removed += f"[{middle[first:last]}]" if last > first else ""
            added += f"[{other_middle[other_first:other_last]}]" if other_last > other_first else ""
    after = _context(line[len(line) - end :])
    return removed + after, added + after


def _same_at_start(line: str, other: str) -> int:
    """Characters that two lines have in common at their start."""
    pairs = enumerate(zip(line, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(line), len(other)))


def _context(same: str) -> str:
    return same if len(same) <= 2 * CONTEXT + 1 else f"{same[:CONTEXT]}…{same[-CONTEXT:]}"
