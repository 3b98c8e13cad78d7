"""The books close, or the run fails saying by how much they do not."""

from __future__ import annotations

import pytest

from pipeline.ledger import Books, BooksDoNotCloseError, check_handover, sum_books


def books(came_in: int, kept: int, dropped: int) -> Books:
    result = Books()
    result.came_in.add(came_in, came_in * 10, came_in * 30)
    result.kept.add(kept, kept * 10, kept * 30)
    result.count("dropped", "too_short").add(dropped, dropped * 10, dropped * 30)
    return result


def test_books_that_close_are_summed_by_source() -> None:
    total = sum_books([("a", books(3, 2, 1)), ("b", books(1, 1, 0)), ("a", books(5, 1, 4))], "s")
    assert total["a"].to_json() == {
        "in": {"documents": 8, "characters": 80, "bytes": 240},
        "kept": {"documents": 3, "characters": 30, "bytes": 90},
        "dropped": {"too_short": {"documents": 5, "characters": 50, "bytes": 150}},
        "merged": {},
        "dead": {},
        "removed": {},
    }


def test_a_lost_document_fails_the_stage() -> None:
    with pytest.raises(
        BooksDoNotCloseError, match=r"stage s, source a: 3 documents .*difference 1"
    ):
        sum_books([("a", books(3, 1, 1))], "s")


def test_removed_text_counts_characters_but_no_documents() -> None:
    cleaned = Books()
    cleaned.came_in.add(1, 100, 300)
    cleaned.kept.add(1, 90, 270)
    cleaned.count("removed", "cleaning").add(0, 10, 30)
    cleaned.check("clean")


def test_a_stage_must_take_in_what_the_one_before_kept() -> None:
    check_handover({"a": books(3, 2, 1)}, {"a": books(2, 2, 0)}, "next")
    with pytest.raises(BooksDoNotCloseError, match="kept 2 documents, but 3 came in"):
        check_handover({"a": books(3, 2, 1)}, {"a": books(3, 3, 0)}, "next")


def test_round_trip_through_json() -> None:
    before = books(3, 2, 1)
    assert Books.from_json(before.to_json()) == before
