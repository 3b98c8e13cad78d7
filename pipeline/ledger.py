"""The books of a stage: what came in, and how every document of it ended.

For each source: in = kept + Σ dropped(rule) + Σ merged(kind) + Σ dead(error) + Σ removed(how), in
documents, in characters and in bytes. `removed` is text taken out of documents that stay, so it
counts no documents. `in` is counted where documents are read, the outcomes where they are decided,
so a document that vanishes between the two shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

UNITS = ("documents", "characters", "bytes")
OUTCOMES = ("dropped", "merged", "dead", "removed")


class BooksDoNotCloseError(AssertionError):
    """A stage lost or invented documents: a defect of this program, never of the input."""


@dataclass
class Count:
    """Documents, characters and bytes (of the raw page in `extract`, of UTF-8 text later)."""

    documents: int = 0
    characters: int = 0
    bytes: int = 0

    def add(self, documents: int = 1, characters: int = 0, bytes: int = 0) -> None:
        self.documents += int(documents)
        self.characters += int(characters)
        self.bytes += int(bytes)

    def to_json(self) -> dict[str, int]:
        return {unit: getattr(self, unit) for unit in UNITS}


@dataclass
class Books:
    """The books of one source in one stage."""

    came_in: Count = field(default_factory=Count)
    kept: Count = field(default_factory=Count)
    outcomes: dict[str, dict[str, Count]] = field(
        default_factory=lambda: {outcome: {} for outcome in OUTCOMES}
    )

    def count(self, outcome: str, reason: str) -> Count:
        """The count of one reason, such as ("dropped", rule) or ("merged", kind)."""
        return self.outcomes[outcome].setdefault(reason, Count())

    def merge(self, other: Books) -> None:
        """Adds the books of another part of the same source."""
        self.came_in.add(**other.came_in.to_json())
        self.kept.add(**other.kept.to_json())
        for outcome, reasons in other.outcomes.items():
            for reason, count in reasons.items():
                self.count(outcome, reason).add(**count.to_json())

    def check(self, place: str) -> None:
        """Raises BooksDoNotCloseError, naming place and difference, unless the sums are equal."""
        out = Count(**self.kept.to_json())
        for reasons in self.outcomes.values():
            for count in reasons.values():
                out.add(**count.to_json())
        for unit in UNITS:
            came_in, ended = getattr(self.came_in, unit), getattr(out, unit)
            if came_in != ended:
                raise BooksDoNotCloseError(
                    f"{place}: {came_in} {unit} came in, but {ended} are accounted for "
                    f"(difference {came_in - ended})"
                )

    def to_json(self) -> dict[str, Any]:
        return {
            "in": self.came_in.to_json(),
            "kept": self.kept.to_json(),
            **{
                outcome: {reason: count.to_json() for reason, count in sorted(reasons.items())}
                for outcome, reasons in self.outcomes.items()
            },
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Books:
        books = cls(Count(**content["in"]), Count(**content["kept"]))
        for outcome in OUTCOMES:
            for reason, count in content[outcome].items():
                books.count(outcome, reason).add(**count)
        return books


def sum_books(parts: Iterable[tuple[str, Books]], stage: str) -> dict[str, Books]:
    """Sums the books of parts by source and checks each sum.

    Args:
      parts: (source, books) of every part of a stage.
      stage: its name, for the message.

    Raises:
      BooksDoNotCloseError: see Books.check.
    """
    total: dict[str, Books] = {}
    for source, books in parts:
        total.setdefault(source, Books()).merge(books)
    for source, books in total.items():
        books.check(f"stage {stage}, source {source}")
    return dict(sorted(total.items()))


def check_handover(earlier: Mapping[str, Books], later: Mapping[str, Books], stage: str) -> None:
    """Raises BooksDoNotCloseError unless a stage took in what the stage before it kept.

    Bytes are not compared: `extract` counts those of pages, the stages after it those of text.
    """
    for source in {*earlier, *later}:
        for unit in ("documents", "characters"):
            kept = getattr(earlier.get(source, Books()).kept, unit)
            came_in = getattr(later.get(source, Books()).came_in, unit)
            if kept != came_in:
                raise BooksDoNotCloseError(
                    f"stage {stage}, source {source}: the stage before kept {kept} {unit}, "
                    f"but {came_in} came in"
                )
