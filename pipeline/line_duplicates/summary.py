"""What was taken out, for people: the lines that stand in most documents, and some others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from filters.addresses import host_of
from filters.line_duplicates import RULES, SITE_LINE
from pipeline.duplicates.inputs import Inputs, NumberedPart
from pipeline.line_duplicates.choosing import LARGEST, SAMPLED
from pipeline.stages.measure import unpacked
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
    line, url = line_at(inputs, parts, group["document"], group["number"])
    return {
        "line": line[:MOST_CHARACTERS],
        "documents": group["documents"],
        # A repeated paragraph is of no one host.
        "host": host_of(url) if rule == SITE_LINE else "",
    }


def line_at(
    inputs: Inputs, parts: Sequence[NumberedPart], document: int, number: int
) -> tuple[str, str]:
    """Reads one line of one document, both by number; returns it and the document's address."""
    firsts = [numbered.first for numbered in parts]
    numbered = parts[int(np.searchsorted(firsts, document, side="right")) - 1]
    row, name = document - numbered.first, numbered.part.name
    signals = read_rows(table_path(inputs.measure, "signals", name), [row], ["paragraph_places"])
    places, _ = unpacked(signals.column("paragraph_places").combine_chunks(), "<i4")
    start, end = places.reshape(-1, 2)[number].tolist()
    documents = read_rows(table_path(inputs.clean, "documents", name), [row], ["url", "text"])
    (found,) = documents.to_pylist()
    return found["text"][start:end], found["url"]
