"""Counting Chinese in raw bytes: the kernel equals its reference, and no Chinese page is missed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.chinese_prefilter import chinese_in_bytes
from filters.kernels.chinese_bytes import count_chinese, count_chinese_reference

TEXT = "清晨的渡口还没有人，老船工把缆绳解开，又重新系好。"
TRADITIONAL = "清晨的渡口還沒有人，老船工把纜繩解開，又重新繫好。"
MANY = 10**6

# Bytes at which the rules turn, so that generated pages meet them often.
BYTES = st.sampled_from(
    [
        *(b"&#xX;0149aFg<p \n"),
        *(0x7F, 0x80, 0x81, 0xA1, 0xBF, 0xC2, 0xC3, 0xDF, 0xE0, 0xE3, 0xE4, 0xE9, 0xEA),
        *(0xEF, 0xF0, 0xF4, 0xF5, 0xFE, 0xFF),
    ]
)
PAGES = st.lists(
    st.one_of(
        st.lists(BYTES, max_size=30).map(bytes),
        st.sampled_from([b"&#20013;", b"&#x4E2D;", b"&nbsp;", b"<p class='text'>", b" " * 70]),
        st.sampled_from([TEXT.encode(), TEXT.encode("gbk"), TRADITIONAL.encode("big5")]),
    ),
    max_size=12,
).map(b"".join)


@given(PAGES, st.sampled_from([1, 3, 10, MANY]))
def test_kernel_equals_reference_on_generated_pages(body: bytes, enough: int) -> None:
    assert count_chinese(body, enough) == count_chinese_reference(body, enough)


@given(st.binary(max_size=300))
def test_kernel_equals_reference_on_any_bytes(body: bytes) -> None:
    assert count_chinese(body, MANY) == count_chinese_reference(body, MANY)


@pytest.mark.parametrize("codec", ["utf-8", "gb18030", "gbk", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_line_of_chinese_is_seen_in_every_encoding(codec: str) -> None:
    page = f"<html><head><title>{TEXT}</title></head><body></body></html>"
    assert chinese_in_bytes(page.encode(codec), 10) == 10


def test_big5_is_seen() -> None:
    assert chinese_in_bytes(f"<p>{TRADITIONAL}</p>".encode("big5"), 10) == 10


@pytest.mark.parametrize("form", ["&#{};", "&#x{:x};", "&#X{:X};", "&#{} "])
def test_character_references_are_seen(form: str) -> None:
    page = "".join(form.format(ord(character)) for character in TEXT).encode()
    assert chinese_in_bytes(page, MANY) == sum("一" <= character <= "鿿" for character in TEXT)


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        ("A Morning at the Old Pier &amp; more &#169; &#8211; &#x20AC;", "utf-8"),
        ("L’été à la plage était fermé… «déjà vu», Äpfel über Öl", "cp1252"),
        ("Переправа утром была ещё пуста, старый паромщик отвязал канат.", "utf-8"),
        ("ท่าเรือยามเช้ายังไม่มีใคร คนพายเรือชราแก้เชือก", "utf-8"),
        ("이른 아침 나루터에는 아직 아무도 없다.", "utf-8"),
        ("", "utf-8"),
    ],
)
def test_pages_without_chinese_show_none(text: str, codec: str) -> None:
    assert chinese_in_bytes((text * 20).encode(codec), MANY) == 0


def test_counting_stops_where_there_is_enough() -> None:
    assert chinese_in_bytes(TEXT.encode() * 1000, 10) == 10
