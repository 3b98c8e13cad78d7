"""Which lines that documents share go, and who keeps one: the reference, and all at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.kernels.paragraph_hashes import LEAST_CHARACTERS, paragraph_hashes
from filters.kernels.repeated_hashes import may_be_repeated, repeated_hashes
from filters.line_duplicate_settings import CorpusWide, DeduplicateLines, PerHost
from filters.line_duplicates import (
    REPEATED_PARAGRAPH,
    RULES,
    SITE_LINE,
    Lines,
    Page,
    explain,
    lines_to_remove,
    removed_lines,
    repeated_lines,
    repetition,
)

NOTICE = "本站所有资源均收集自互联网"
PARAGRAPH = "春眠不觉晓处处闻啼鸟夜来风雨声花落知多少"
HOST = DeduplicateLines(per_host=PerHost(enabled=True, min_documents=3, min_share=0.5))
WIDE = DeduplicateLines(corpus_wide=CorpusWide(enabled=True, min_documents=2, min_characters=20))


def own(number: int) -> str:
    """A line that no other page has."""
    return f"第{number:04d}页自己的一行文字内容"


def site(pages: int, notices: int, host: str = "a.cn") -> list[Page]:
    first = 10 * ord(host[:1] or "-")
    return [Page(host, [own(first + n), *([NOTICE] * (n < notices))]) for n in range(pages)]


def test_a_line_on_many_pages_of_a_host_goes() -> None:
    assert lines_to_remove(site(6, 3), HOST) == {(page, 1): SITE_LINE for page in range(3)}


def test_a_line_on_too_few_pages_or_too_small_a_share_of_them_stays() -> None:
    assert lines_to_remove(site(4, 2), HOST) == {}
    assert lines_to_remove(site(7, 3), HOST) == {}


def test_hosts_are_looked_at_one_by_one_and_documents_without_one_not_at_all() -> None:
    pages = [*site(3, 2), *site(2, 2, "b.cn"), *site(4, 4, "")]
    assert lines_to_remove(pages, HOST) == {}


def test_a_short_line_stays() -> None:
    pages = [Page("a.cn", ["待续", own(n)]) for n in range(5)]
    assert lines_to_remove(pages, HOST) == {}


def test_a_line_twice_on_a_page_counts_once_and_goes_twice() -> None:
    twice = Page("a.cn", [NOTICE, NOTICE])
    assert lines_to_remove([twice, *site(2, 1)], HOST) == {}
    assert len(lines_to_remove([twice, *site(2, 2)], HOST)) == 4


def test_a_paragraph_stays_in_the_article_and_goes_from_the_list() -> None:
    pages = [
        Page("list.cn", [PARAGRAPH, "另一篇文章的开头一段" * 2, own(1)]),
        Page("article.cn", [PARAGRAPH, own(2), own(3)]),
        Page("other.cn", ["另一篇文章的开头一段" * 2, own(4), own(5)]),
    ]
    assert lines_to_remove(pages, WIDE) == {
        (0, 0): REPEATED_PARAGRAPH,
        (0, 1): REPEATED_PARAGRAPH,
    }


def test_equals_keep_a_paragraph_in_the_first_of_them() -> None:
    pages = [Page("", [PARAGRAPH, own(n)]) for n in range(3)]
    assert set(lines_to_remove(pages, WIDE)) == {(1, 0), (2, 0)}


def test_the_copies_that_go_as_site_lines_do_not_count_as_repeated_paragraphs() -> None:
    settings = DeduplicateLines(
        per_host=HOST.per_host, corpus_wide=CorpusWide(enabled=True, min_characters=10)
    )
    pages = [*site(3, 3), *site(2, 2, "b.cn")]
    assert set(lines_to_remove(pages, settings).values()) == {SITE_LINE}
    pages += site(1, 1, "c.cn")
    removed = lines_to_remove(pages, settings)
    assert {place: rule for place, rule in removed.items() if place[0] > 2} == {
        (4, 1): REPEATED_PARAGRAPH,
        (5, 1): REPEATED_PARAGRAPH,
    }


def all_at_once(
    pages: Sequence[Page], settings: DeduplicateLines, seed: int
) -> dict[tuple[int, int], str]:
    """What `repeated_lines` and `removed_lines` make of the same pages, in some order of rows."""
    lines = [[line for line in page.lines if len(line) >= LEAST_CHARACTERS] for page in pages]
    rows = [
        (value, len(line), ord(pages[page].host or "\0"), page, number)
        for page, of_page in enumerate(lines)
        for number, (line, value) in enumerate(zip(of_page, paragraph_hashes(of_page), strict=True))
    ]
    np.random.default_rng(seed).shuffle(rows)
    columns = list(zip(*rows, strict=True)) or [()] * 5
    dtypes = (np.uint64, np.uint32, np.uint64, np.uint64, np.uint32)
    given = Lines(*(np.array(c, dtype) for c, dtype in zip(columns, dtypes, strict=True)))
    hosts = [ord(page.host or "\0") for page in pages]
    repeated = repeated_lines(
        given, settings, lambda wanted: np.array([hosts.count(host) for host in wanted])
    )
    assert (np.diff(repeated.groups) >= 0).all()
    sums = np.zeros(len(pages))
    np.add.at(sums, repeated.lines.documents.astype(int), repeated.lines.letters)
    letters = np.maximum(1, [sum(map(len, of_page)) for of_page in lines])
    repetitions = repetition(sums, letters)[repeated.lines.documents.astype(int)]
    gone = removed_lines(repeated, repetitions, settings)
    places = zip(repeated.lines.documents.tolist(), repeated.lines.numbers.tolist(), strict=True)
    return {
        place: RULES[rule]
        for place, rule, goes in zip(places, repeated.rules.tolist(), gone, strict=True)
        if goes
    }


LINES = st.lists(st.sampled_from([NOTICE, PARAGRAPH, "待续", own(1), own(2)]), max_size=5)
PAGES = st.lists(st.builds(Page, st.sampled_from(["", "a", "b"]), LINES), max_size=9)
KEEP = st.sampled_from(["one", "none"])
SETTINGS = st.builds(
    DeduplicateLines,
    per_host=st.builds(
        PerHost,
        enabled=st.booleans(),
        min_documents=st.integers(2, 4),
        min_share=st.sampled_from([0.0, 0.3, 0.6, 1.0]),
        min_characters=st.sampled_from([10, 14]),
        keep=KEEP,
    ),
    corpus_wide=st.builds(
        CorpusWide,
        enabled=st.booleans(),
        min_documents=st.integers(2, 4),
        min_characters=st.sampled_from([10, 20]),
        keep=KEEP,
    ),
)


@given(PAGES, SETTINGS, st.integers(0, 9))
def test_all_at_once_equals_the_reference(
    pages: list[Page], settings: DeduplicateLines, seed: int
) -> None:
    assert all_at_once(pages, settings, seed) == lines_to_remove(pages, settings)


@given(PAGES, SETTINGS)
def test_rules_that_keep_one_never_take_the_last_copy(
    pages: list[Page], settings: DeduplicateLines
) -> None:
    rules = {
        name: {**block, "keep": "one"}
        for name, block in settings.model_dump().items()
        if isinstance(block, dict)
    }
    settings = DeduplicateLines.model_validate(settings.model_dump() | rules)
    removed = lines_to_remove(pages, settings)
    for page in pages:
        kept = {
            line
            for number, other in enumerate(pages)
            for place, line in enumerate(line for line in other.lines if len(line) >= 10)
            if (number, place) not in removed
        }
        assert {line for line in page.lines if len(line) >= 10} <= kept


@given(st.lists(st.integers(0, 2**64 - 1), max_size=50), st.lists(st.integers(0, 5), max_size=9))
def test_no_repeated_hash_is_missed(hashes: list[int], again: list[int]) -> None:
    hashes += [hashes[place] for place in again if place < len(hashes)]
    found = may_be_repeated(np.array(hashes, np.uint64))
    assert [f or not r for f, r in zip(found, repeated_hashes(hashes), strict=True)].count(0) == 0


@pytest.mark.parametrize("count", [1000, 100_000])
def test_few_hashes_are_taken_for_repeated(count: int) -> None:
    hashes = np.random.default_rng(1).integers(0, 2**64, count, np.uint64)
    assert may_be_repeated(hashes).mean() < 0.15


def test_by_default_what_a_document_keeps_is_enough_to_keep_the_document() -> None:
    default = DeduplicateLines()
    assert default.min_remaining_characters <= default.corpus_wide.min_characters


def test_settings_explain_themselves() -> None:
    assert explain(DeduplicateLines()) == []
    assert len(explain(DeduplicateLines(per_host=PerHost(enabled=True)))) == 1
