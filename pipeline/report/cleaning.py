"""Lines that cleaning took out, brought together from all sources for the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from filters.clean import REMOVAL_REASONS
from filters.personal_data import PersonalDataMasker, PersonalDataSettings
from pipeline.inspection.removed_lines import RemovedLines
from pipeline.report.content import RemovedForReason, shorten

SHOWN_LINES = 10
# Less than is kept of a line: a number that is cut in two there is not recognised any more.
LINE_CHARACTERS = 120


def removed_for_reasons(by_source: Mapping[str, Any]) -> tuple[RemovedForReason, ...]:
    """What cleaning took out, by reason, most lines first; reasons without lines are left out.

    The lines were taken out before personal data were looked for, and a recipe may leave those
    where they are; a page that people pass on shows none of them.

    Args:
      by_source: source -> what `RemovedLines.to_json` gave.
    """
    of_sources = {name: RemovedLines.from_json(found) for name, found in by_source.items()}
    together = RemovedLines()
    for removed in of_sources.values():
        together.merge(removed)
    masker = PersonalDataMasker(PersonalDataSettings())
    found = []
    for reason in REMOVAL_REASONS:
        if not together.counts[reason]:
            continue
        counts = [(name, removed.counts[reason]) for name, removed in of_sources.items()]
        by_count = sorted(((n, c) for n, c in counts if c), key=lambda entry: (-entry[1], entry[0]))
        # Ornaments go before lines do, so that some are empty when they are taken out.
        lines = list(filter(None, together.samples[reason].values()))[:SHOWN_LINES]
        samples = tuple(shorten(masker.mask(line).text, LINE_CHARACTERS) for line in lines)
        total = together.counts[reason]
        found.append(RemovedForReason(reason, total, tuple(by_count), samples))
    return tuple(sorted(found, key=lambda entry: (-entry.lines, entry.reason)))
