"""Which addresses name one page."""

from __future__ import annotations

import pytest

from filters.addresses import page_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://example.cn", "https://example.cn/"),
        ("https://Example.CN/a", "https://example.cn/a"),
        ("https://example.cn:443/a", "http://example.cn:80/a"),
        ("https://example.cn/a#top", "https://example.cn/a"),
        (" https://example.cn/a?b=1", "https://example.cn/a?b=1"),
        ("https://新闻.cn/春天", "https://新闻.cn/春天#二"),
    ],
)
def test_the_same_page(one: str, other: str) -> None:
    assert page_of(one) == page_of(other) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://example.cn/a", "https://example.cn/a/"),
        ("https://example.cn/a", "https://example.cn/A"),
        ("https://example.cn/a", "https://m.example.cn/a"),
        ("https://example.cn:8080/a", "https://example.cn/a"),
        ("https://example.cn/a?page=1", "https://example.cn/a?page=2"),
        ("https://example.cn/a?from=x", "https://example.cn/a"),
        ("ftp://example.cn/a", "https://example.cn/a"),
        ("https://me@example.cn/a", "https://example.cn/a"),
    ],
)
def test_different_pages(one: str, other: str) -> None:
    assert page_of(one) != page_of(other)


@pytest.mark.parametrize("url", ["http://[::1/a", "http://example.cn:port/", "urn:isbn:1", "春天"])
def test_what_cannot_be_parsed_is_left_as_it_is(url: str) -> None:
    assert page_of(url) == url


def test_no_address() -> None:
    assert page_of("") == ""
