"""Encoding recovery: right characters whatever was declared and whatever is broken."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.charset_labels import codec_of_label, declared_in_page
from filters.encoding import (
    DecodedPage,
    UndecodableError,
    decode_page,
)

SIMPLIFIED = (
    "清晨的渡口还没有人，老船工把缆绳解开，又重新系好。他说水涨的时候船最容易走，绳子要留得短一些。"
    "村里的孩子放学以后喜欢坐在石阶上看他修船，问他河的那一边有什么。老人想了很久，才回答说，"
    "那边也有一个渡口，也有人在等船。后来桥修好了，渡口慢慢安静下来，船工的儿子去了城里工作，"
    "只有那条旧船还停在原来的地方。每年春天，他都要回来住几天，把船底刷上新的桐油。"
)
TRADITIONAL = (
    "清晨的渡口還沒有人，老船工把纜繩解開，又重新繫好。他說水漲的時候船最容易走，繩子要留得短一些。"
    "村裡的孩子放學以後喜歡坐在石階上看他修船，問他河的那一邊有什麼。老人想了很久，才回答說，"
    "那邊也有一個渡口，也有人在等船。後來橋修好了，渡口慢慢安靜下來，船工的兒子去了城裡工作，"
    "只有那條舊船還停在原來的地方。每年春天，他都要回來住幾天，把船底刷上新的桐油。"
)
JAPANESE = (
    "朝の渡し場にはまだ誰もいない。年老いた船頭はロープをほどき、もう一度結び直した。"
    "学校が終わると、村の子どもたちは石段に座って船の修理を眺めるのが好きだった。"
    "やがて橋ができて、渡し場は静かになり、古い船だけが元の場所に残っている。"
)
KOREAN = (
    "이른 아침 나루터에는 아직 아무도 없다. 늙은 뱃사공은 밧줄을 풀었다가 다시 묶었다. "
    "학교가 끝나면 마을 아이들은 돌계단에 앉아 배를 고치는 모습을 보는 것을 좋아했다. "
    "나중에 다리가 생기고 나루터는 조용해졌으며 오래된 배만 그 자리에 남아 있다."
)
TEXT_OF_CODEC = {
    "utf-8": SIMPLIFIED,
    "gb18030": SIMPLIFIED,
    "big5hkscs": TRADITIONAL,
    "cp932": JAPANESE,
    "euc_jp": JAPANESE,
    "cp949": KOREAN,
}


def html(text: str, charset: str | None = None) -> str:
    declaration = f'<meta charset="{charset}">' if charset else ""
    paragraphs = "".join(f'<p class="text">{part}</p>\n' for part in text.split("。"))
    return f"<!DOCTYPE html><html><head>{declaration}</head><body>{paragraphs}</body></html>\n"


def similarity(text: str, expected: str) -> float:
    """Share of the expected characters that are there, in order."""
    blocks = difflib.SequenceMatcher(None, text, expected, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) / len(expected)


@pytest.mark.parametrize("codec", TEXT_OF_CODEC)
def test_pages_are_read_whatever_is_declared(codec: str) -> None:
    for charset in (None, codec, "utf-8", "gb2312", "big5", "iso-8859-1", "no-such-charset"):
        text = html(TEXT_OF_CODEC[codec], charset)
        for header in (None, charset, "gbk", "utf-8", "???"):
            assert decode_page(text.encode(codec), header) == DecodedPage(text.encode(), codec, 0)


@pytest.mark.parametrize("codec", TEXT_OF_CODEC)
@pytest.mark.parametrize("bad", [b"\x80", b"\xff", b"\xc4", b"\xe5", b"\x8f", b"\xa1"])
def test_one_bad_byte_costs_a_few_characters(codec: str, bad: bytes) -> None:
    text = html(TEXT_OF_CODEC[codec])
    body = text.encode(codec)
    for place in range(100, len(body) - 20, 41):
        page = decode_page(body[:place] + bad + body[place:], None)
        assert page.encoding == codec
        lost = len(text) * (1 - similarity(page.text, text))
        # In the other East Asian encodings what follows is shifted up to the next ASCII byte.
        assert lost <= (6 if codec in ("utf-8", "gb18030", "big5hkscs") else 40)


@pytest.mark.parametrize("codec", TEXT_OF_CODEC)
def test_a_tail_cut_inside_a_character_costs_that_character(codec: str) -> None:
    body = TEXT_OF_CODEC[codec].encode(codec)
    for cut in range(1, 8):
        page = decode_page(body[:-cut], None)
        assert page.encoding == codec
        assert page.text.rstrip("\ufffd") in TEXT_OF_CODEC[codec]
        assert page.replaced <= 1


@pytest.mark.parametrize(("codec", "text"), [("gb18030", SIMPLIFIED), ("big5hkscs", TRADITIONAL)])
@pytest.mark.parametrize("length", [12, 20, 60])
def test_short_texts_are_read(codec: str, text: str, length: int) -> None:
    for start in range(0, len(text) - length, 9):
        part = text[start : start + length]
        assert decode_page(f"<title>{part}</title>".encode(codec), None).text[7:-8] == part


def test_rare_and_newer_characters() -> None:
    text = html(SIMPLIFIED + "方志里还有𡎚、㙍、鿍这样的字，价格是€5。")
    assert decode_page(text.encode("gb18030"), "gb2312") == DecodedPage(text.encode(), "gb18030", 0)
    hong_kong = html(TRADITIONAL + "呢度嘅嘢好食，佢哋成日嚟。")
    assert decode_page(hong_kong.encode("big5hkscs"), "big5") == DecodedPage(
        hong_kong.encode(), "big5hkscs", 0
    )


def test_the_full_width_space_of_old_editors() -> None:
    body = b"\xa3\xa0\xa3\xa0" + SIMPLIFIED.encode("gb18030")
    assert decode_page(body, None).text == "\u3000\u3000" + SIMPLIFIED


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_byte_order_marks_and_utf_16(encoding: str) -> None:
    text = html(SIMPLIFIED)
    page = decode_page(text.encode(encoding), "gbk")
    assert (page.text, page.replaced) == (text, 0)
    assert page.encoding == {"utf-8-sig": "utf-8", "utf-16": "utf-16-le"}.get(encoding, encoding)


@pytest.mark.parametrize("start", [b"\0", b"\xff\xfe", b"\xfe\xff", b"\0\0\0"])
def test_stray_bytes_at_the_start_do_not_make_it_utf_16(start: bytes) -> None:
    for codec in ("utf-8", "gb18030"):
        page = decode_page(start + html(SIMPLIFIED).encode(codec), None)
        assert page.encoding == codec
        assert page.text.endswith(html(SIMPLIFIED)[2:])


def test_a_byte_order_mark_before_other_bytes_is_no_order() -> None:
    body = b"\xef\xbb\xbf" + html(SIMPLIFIED).encode("gb18030")
    assert decode_page(body, None) == DecodedPage(html(SIMPLIFIED).encode(), "gb18030", 0)


@pytest.mark.parametrize(
    "text",
    [
        "<p>Le café était fermé, l’été à la plage… «déjà vu», 5 €</p>",
        "<p>Die Straße über die Brücke führt nach Süden. Schöne Grüße!</p>",
        "<p>© 2024 Example</p>",
    ],
)
@pytest.mark.parametrize("declared", [None, "utf-8", "gbk", "iso-8859-1"])
def test_western_pages(text: str, declared: str | None) -> None:
    assert decode_page(text.encode("cp1252"), declared) == DecodedPage(text.encode(), "cp1252", 0)


@pytest.mark.parametrize(
    ("codec", "label", "text"),
    [
        (
            "cp1251",
            "windows-1251",
            "Переправа утром была ещё пуста, старый паромщик отвязал канат.",
        ),
        ("koi8-r", "koi8-r", "Переправа утром была ещё пуста, старый паромщик отвязал канат."),
        ("cp874", "tis-620", "ท่าเรือยามเช้ายังไม่มีใคร คนพายเรือชราแก้เชือก"),
    ],
)
def test_other_single_byte_encodings_count_if_declared(codec: str, label: str, text: str) -> None:
    assert decode_page(html(text, label).encode(codec), None).text == html(text, label)
    assert decode_page(html(text).encode(codec), label).text == html(text)


def test_stray_bytes_in_plain_ascii_are_replaced() -> None:
    body = b"<p>plain text</p>" * 40 + b"\x93\xf9" + b"<p>more</p>" * 40
    page = decode_page(body, None)
    assert (page.encoding, page.text.replace("\ufffd", "")) == (
        "utf-8",
        body.replace(b"\x93\xf9", b"").decode(),
    )


def test_replacement_characters_of_the_page_itself_do_not_count() -> None:
    body = html("原文就有\ufffd这个字符。" + SIMPLIFIED).encode() + b"\xe4\xb8"
    assert decode_page(body, None).replaced == 1


@pytest.mark.parametrize(
    "body",
    [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) * 8,
        b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(range(256)) * 8,
        b"\xff\xfe\x80\x81" + bytes(range(256)) * 8,
        b"PK\x03\x04" + bytes(range(256)) * 8,
    ],
)
def test_bytes_that_are_no_text(body: bytes) -> None:
    with pytest.raises(UndecodableError):
        decode_page(body, None)


@pytest.mark.parametrize(
    ("label", "codec"),
    [
        ("GB2312", "gb18030"),
        (" x-gbk ", "gb18030"),
        ("Big5_HKSCS", "big5hkscs"),
        ("Shift_JIS", "cp932"),
        ("ks_c_5601-1987", "cp949"),
        ("ISO-8859-1", "cp1252"),
        ("iso-8859-2", "iso8859-2"),
        ("iso8859-15", "iso8859-15"),
        ("windows-1251", "cp1251"),
        ("cp1250", "cp1250"),
        ("'utf-8'", "utf-8"),
        ("utf8", "utf-8"),
        ("rot13", None),
        ("unicode_escape", None),
        ("base64", None),
        ("1251", None),
        ("", None),
    ],
)
def test_labels_of_the_web(label: str, codec: str | None) -> None:
    assert codec_of_label(label) == codec
    if codec:
        "".encode(codec)


@pytest.mark.parametrize(
    ("body", "label"),
    [
        (b'<meta charset="GBK">', "gbk"),
        (b"<META http-equiv=Content-Type content='text/html; charset = gb2312'>", "gb2312"),
        (b'<?xml version="1.0" encoding="Big5"?><rss>', "big5"),
        (b"<meta name=description content=charset>", None),
        (b"<p>charset=gbk</p>", None),
        (b"", None),
    ],
)
def test_declarations_in_pages(body: bytes, label: str | None) -> None:
    assert declared_in_page(body) == label


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=0))
def test_valid_utf_8_is_taken_as_it_is(text: str) -> None:
    body = text.encode()
    if not body.startswith(b"\xef\xbb\xbf"):
        assert decode_page(body, "gbk") == DecodedPage(text.encode(), "utf-8", 0)


@given(st.binary(max_size=400), st.sampled_from([None, "gbk", "utf-8", "windows-1251", "x"]))
def test_any_bytes_give_characters_or_a_clear_no(body: bytes, declared: str | None) -> None:
    try:
        page = decode_page(body, declared)
    except UndecodableError:
        return
    page.text.encode("utf-8")
    assert page.replaced >= 0
