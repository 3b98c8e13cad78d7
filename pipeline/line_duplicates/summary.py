"""What was taken out, for people: the lines that stand in most documents, and some others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from filters.addresses import host_of
from filters.line_duplicates import RULES, SITE_LINE
from pipeline.duplicates.inputs import Inputs, NumberedPart
from pipeline.line_duplicates.choosing import LARGEST, SAMPLED
from pipeline.measure import unpacked
from pipeline.tables import read_rows, table_path

# Shown of one line.
MOST_CHARACTERS = 200


def summary_of_groups(
    of_blocks: Sequence[Mapping[str, Any]], inputs: Inputs, parts: Sequence[NumberedPart]
) -> dict[str, dict[str, Any]]:
    """Of each rule: different lines that it is about, the largest groups, and a sample.

    Args:
      of_blocks: facts of each block, as ChooseLines leaves them.
      inputs: the documents' columns.
      parts: all documents.
    """
    found: dict[str, dict[str, Any]] = {}
    for rule in RULES:
        of_rule = [groups[rule] for groups in of_blocks]
        largest = _best(of_rule, "largest", LARGEST, lambda g: (-g["documents"], *_key(g)))
        samples = _best(of_rule, "samples", SAMPLED, _key)
        found[rule] = {
            "different_lines": sum(groups["lines"] for groups in of_rule),
            "largest": [_shown(group, rule, inputs, parts) for group in largest],
            "samples": [_shown(group, rule, inputs, parts) for group in samples],
        }
    return found


def _key(group: Mapping[str, int]) -> tuple[int, ...]:
    return group["hash"], group["host"]


def _best(
    of_rule: Sequence[Mapping[str, Any]],
    name: str,
    most: int,
    key: Callable[[Mapping[str, int]], tuple[int, ...]],
) -> list[Mapping[str, int]]:
    return sorted((group for groups in of_rule for group in groups[name]), key=key)[:most]


def _shown(
    group: Mapping[str, int], rule: str, inputs: Inputs, parts: Sequence[NumberedPart]
) -> dict[str, Any]:
    """The text of a line, where it is read from one of its documents."""
    firsts = [numbered.first for numbered in parts]
    numbered = parts[int(np.searchsorted(firsts, group["document"], side="right")) - 1]
    row, name = group["document"] - numbered.first, numbered.part.name
    signals = read_rows(table_path(inputs.measure, "signals", name), [row], ["paragraph_places"])
    places, _ = unpacked(signals.column("paragraph_places").combine_chunks(), "<i4")
    start, end = places.reshape(-1, 2)[group["number"]].tolist()
    documents = read_rows(table_path(inputs.clean, "documents", name), [row], ["url", "text"])
    (document,) = documents.to_pylist()
    shown = {
        "line": document["text"][start:end][:MOST_CHARACTERS],
        "documents": group["documents"],
    }
    # A repeated paragraph is of no one host.
    return {**shown, "host": host_of(document["url"]) if rule == SITE_LINE else ""}
