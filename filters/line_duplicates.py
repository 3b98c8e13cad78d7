"""Which lines that several documents share are taken out, and which document keeps one.

Two rules. *Site lines* stand on many pages of one host: boilerplate that cleaning did not know.
*Repeated paragraphs* stand in several documents of any hosts: quotations, excerpts on list pages,
copies of a part of a text. Where a rule leaves one copy, it stays in the document that repeats
others least (`repetition`): an article keeps its paragraphs, and lists that quote it lose them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from filters.kernels.paragraph_hashes import LEAST_CHARACTERS
from filters.kernels.repeated_hashes import may_be_repeated
from filters.line_duplicate_settings import CorpusWide, DeduplicateLines, PerHost

SITE_LINE, REPEATED_PARAGRAPH = "site_line", "repeated_paragraph"
RULES = (SITE_LINE, REPEATED_PARAGRAPH)


@dataclass(frozen=True)
class Lines:
    """Lines of at least LEAST_CHARACTERS letters and digits, one a row.

    Two lines are the same if hash and length are: of 20 billion lines, those of a billion pages,
    about eleven pairs of different ones share a 64-bit hash, and one in fifty of these a length.

    Attributes:
      hashes: uint64 (n,), of their letters and digits, folded.
      letters: uint32 (n,), how many these are.
      hosts: uint64 (n,), of their documents; 0 where a document has none.
      documents: uint64 (n,), numbers of their documents.
      numbers: uint32 (n,), which line of its document each is.
    """

    hashes: np.ndarray
    letters: np.ndarray
    hosts: np.ndarray
    documents: np.ndarray
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.hashes)

    def chosen(self, rows: np.ndarray) -> Lines:
        """Some of the rows: int64 or bool."""
        return Lines(*(getattr(self, column.name)[rows] for column in fields(self)))


@dataclass(frozen=True)
class Repeated:
    """Lines that a rule is about.

    Attributes:
      lines: n of them; those of one group are the same line, of one host where it is a site line.
      rules: uint8 (n,), places in RULES.
      groups: int64 (n,), rising: which group each is of.
      counts: int64 (n,), documents of that group.
    """

    lines: Lines
    rules: np.ndarray
    groups: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True)
class Page:
    """A document for the reference: its host, "" for none, and its lines, folded."""

    host: str
    lines: Sequence[str]


def lines_to_remove(
    pages: Sequence[Page], settings: DeduplicateLines
) -> dict[tuple[int, int], str]:
    """The reference of `repeated_lines` and `removed_lines` together.

    Returns:
      (page, line) -> the rule by which it goes. A line's number counts those of at least
      LEAST_CHARACTERS only.
    """
    lines = [[line for line in page.lines if len(line) >= LEAST_CHARACTERS] for page in pages]
    places: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for page, of_page in enumerate(lines):
        for number, line in enumerate(of_page):
            places[line].append((page, number))
    # (rule, line, host) -> where it stands
    groups: dict[tuple[str, str, str], list[tuple[int, int]]] = {}
    for line, found in places.items():
        for host in {pages[page].host for page, _ in found} - {""}:
            here = [place for place in found if pages[place[0]].host == host]
            documents = len({page for page, _ in here})
            of_host = sum(page.host == host for page in pages)
            if _is_site_line(settings.per_host, documents, of_host, len(line)):
                groups[SITE_LINE, line, host] = here
                found = [place for place in found if place not in here]
        documents = len({page for page, _ in found})
        if _is_repeated_paragraph(settings.corpus_wide, documents, len(line)):
            groups[REPEATED_PARAGRAPH, line, ""] = found
    repeated = [0] * len(pages)
    for (_, line, _), found in groups.items():
        for page, _ in found:
            repeated[page] += len(line)
    letters = [sum(map(len, of_page)) for of_page in lines]
    removed: dict[tuple[int, int], str] = {}
    for (rule, _, _), found in groups.items():
        block = settings.per_host if rule == SITE_LINE else settings.corpus_wide
        keeper = None
        if block.keep == "one":
            pages_with = {page for page, _ in found}
            keeper = min(pages_with, key=lambda p: (repetition(repeated[p], letters[p]), p))
        removed |= {place: rule for place in found if place[0] != keeper}
    return removed


def repetition(repeated: Any, letters: Any) -> Any:
    """How much a document repeats others: its letters in repeated lines, times their share of all.

    Neither factor alone tells an article from lists: a short article may stand wholly on a page of
    ten, whose share is then smaller; a page with the first paragraph of one article has no more
    repeated letters than the article.

    Args:
      repeated: number, or array of numbers, of letters in repeated lines.
      letters: the same for all lines of at least LEAST_CHARACTERS; none may be 0.
    """
    return repeated * (repeated / letters)


def _is_site_line(rule: PerHost, documents: int, of_host: int, letters: int) -> bool:
    return (
        rule.enabled
        and letters >= rule.min_characters
        and documents >= rule.min_documents
        and documents / of_host >= rule.min_share
    )


def _is_repeated_paragraph(rule: CorpusWide, documents: int, letters: int) -> bool:
    return rule.enabled and letters >= rule.min_characters and documents >= rule.min_documents


def repeated_lines(
    lines: Lines, settings: DeduplicateLines, host_sizes: Callable[[np.ndarray], np.ndarray]
) -> Repeated:
    """Finds the lines that stand in as many documents as a rule asks for.

    Args:
      lines: with any of them all its equals, in any order.
      settings: of the recipe.
      host_sizes: documents of each of some hosts, uint64 (hosts,) -> int64 (hosts,).

    Returns:
      Those lines, in an order that depends on the lines alone.
    """
    lines = lines.chosen(lines.letters >= settings.min_characters)
    lines = lines.chosen(may_be_repeated(lines.hashes))
    by = (lines.numbers, lines.documents, lines.hosts, lines.letters, lines.hashes)
    lines = lines.chosen(np.lexsort(by))
    is_new_line = _changes(lines.hashes) | _changes(lines.letters)
    is_new_host = is_new_line | _changes(lines.hosts)
    is_new_document = is_new_host | _changes(lines.documents)
    of_line, of_host = np.cumsum(is_new_line) - 1, np.cumsum(is_new_host) - 1
    counts = np.bincount(of_host[is_new_document], minlength=1)[of_host]
    is_site = _site_lines(lines, counts, settings.per_host, host_sizes)
    elsewhere = np.bincount(of_line[is_new_document & ~is_site], minlength=len(lines) + 1)[of_line]
    wide = settings.corpus_wide
    is_wide = (
        ~is_site
        & wide.enabled
        & (lines.letters >= wide.min_characters)
        & (elsewhere >= wide.min_documents)
    )
    chosen = np.flatnonzero(is_site | is_wide)
    rules = is_wide[chosen].astype(np.uint8)
    # A group of either kind by one number; site lines of a line come before and after its others.
    of_group = np.where(is_wide, of_line, len(lines) + of_host)[chosen]
    numbers, firsts, groups = np.unique(of_group, return_index=True, return_inverse=True)
    rank = np.empty(len(numbers), np.int64)
    rank[np.argsort(firsts, kind="stable")] = np.arange(len(numbers))
    groups = rank[groups.reshape(-1)]
    order = np.argsort(groups, kind="stable")
    chosen = chosen[order]
    found = np.where(is_wide, elsewhere, counts)[chosen]
    return Repeated(lines.chosen(chosen), rules[order], groups[order], found)


def _changes(column: np.ndarray) -> np.ndarray:
    """bool (n,): whether a row differs from the one before it."""
    is_new = np.ones(len(column), np.bool_)
    is_new[1:] = column[1:] != column[:-1]
    return is_new


def _site_lines(
    lines: Lines,
    counts: np.ndarray,
    rule: PerHost,
    host_sizes: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    is_site = (
        np.full(len(lines), rule.enabled)
        & (lines.hosts != 0)
        & (lines.letters >= rule.min_characters)
        & (counts >= rule.min_documents)
    )
    rows = np.flatnonzero(is_site)
    if len(rows):
        is_site[rows] = counts[rows] / host_sizes(lines.hosts[rows]) >= rule.min_share
    return is_site


def removed_lines(
    repeated: Repeated, repetitions: np.ndarray, settings: DeduplicateLines
) -> np.ndarray:
    """Which of the repeated lines go: bool (n,).

    Args:
      repeated: whole groups.
      repetitions: float64 (n,), `repetition` of the document of each line.
      settings: of the recipe.
    """
    documents = repeated.lines.documents
    best_first = np.lexsort((documents, repetitions, repeated.groups))
    is_first = _changes(repeated.groups[best_first])
    keeper = documents[best_first][is_first][np.cumsum(_changes(repeated.groups)) - 1]
    keep = np.array([block.keep == "one" for block in (settings.per_host, settings.corpus_wide)])
    return ~(keep[repeated.rules] & (documents == keeper))


def explain(settings: DeduplicateLines) -> list[str]:
    """What the settings mean, a line each; none if nothing is taken out."""
    lines = []
    stays = {"one": "; one document keeps it", "none": ""}
    host, wide = settings.per_host, settings.corpus_wide
    if host.enabled:
        lines.append(
            f"take out lines of {host.min_characters} letters and more that stand on "
            f"{host.min_documents} pages and {host.min_share:.0%} of a host{stays[host.keep]}"
        )
    if wide.enabled:
        lines.append(
            f"take out paragraphs of {wide.min_characters} letters and more that stand in "
            f"{wide.min_documents} documents{stays[wide.keep]}"
        )
    return lines
