"""Reading samples with the tables of encodings: kernels equal references, tables equal codecs."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.encoding import _COMMON_OF_CODEC, _character_table, _is_punctuation, _reading_table
from filters.kernels.alignment import take_out_stray_bytes, take_out_stray_bytes_reference
from filters.kernels.charset import (
    Reading,
    read_utf8,
    read_utf8_reference,
    read_with_table,
    read_with_table_reference,
    take_sample,
    take_sample_reference,
)
from filters.kernels.double_byte import double_byte_to_utf8, double_byte_to_utf8_reference

CODECS = sorted(_COMMON_OF_CODEC)
TEXTS = {
    "gb18030": "清晨的渡口还没有人，老船工把缆绳解开，又重新系好。𡎚㙍 €",
    "big5hkscs": "清晨的渡口還沒有人，老船工把纜繩解開，又重新繫好。嘅嘢",
    "cp949": "이른 아침 나루터에는 아직 아무도 없다. 뷁",
    "cp932": "朝の渡し場にはまだ誰もいない。ｶﾀｶﾅ 鰯",
    "euc_jp": "朝の渡し場にはまだ誰もいない。ｶﾀｶﾅ 鰯丂",
}
BYTES = st.lists(
    st.sampled_from(
        [
            *b"\n 09@A~",
            *(0x7F, 0x80, 0x81, 0x8E, 0x8F, 0x90, 0x9F, 0xA0, 0xA1, 0xB1, 0xBF, 0xC1, 0xC2, 0xD6),
            *(0xD0, 0xE0, 0xE4, 0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xFE, 0xFF),
        ]
    ),
    max_size=60,
).map(bytes)
MIXED = st.lists(
    st.one_of(BYTES, st.sampled_from([t.encode(codec) for codec, t in TEXTS.items()])), max_size=4
).map(b"".join)


def _instead(codec: str) -> dict[int, str]:
    """The full-width space of old editors, as `filters.encoding` reads it."""
    return {0xE5E5: "\u3000"} if codec == "gb18030" else {}


@given(MIXED, st.integers(1, 40), st.integers(1, 60))
def test_sample_kernel_equals_reference(body: bytes, run_bytes: int, sample_bytes: int) -> None:
    expected = take_sample_reference(body, run_bytes, sample_bytes)
    assert take_sample(body, run_bytes, sample_bytes) == expected


@pytest.mark.parametrize("codec", CODECS)
@given(sample=MIXED)
def test_reading_kernel_equals_reference(codec: str, sample: bytes) -> None:
    table = _reading_table(codec)
    assert read_with_table(sample, table) == read_with_table_reference(sample, table)


@given(MIXED)
def test_utf8_kernel_equals_reference(sample: bytes) -> None:
    assert read_utf8(sample) == read_utf8_reference(sample)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_every_utf8_text_is_readable(text: str) -> None:
    assert read_utf8(text.encode()).rare == 0


@pytest.mark.parametrize("codec", CODECS)
@given(body=MIXED)
def test_alignment_kernel_equals_reference(codec: str, body: bytes) -> None:
    table = _reading_table(codec)
    assert take_out_stray_bytes(body, table) == take_out_stray_bytes_reference(body, table)


@pytest.mark.parametrize("codec", CODECS)
@given(body=MIXED)
def test_conversion_equals_reference_and_codec(codec: str, body: bytes) -> None:
    table = _character_table(codec)
    utf8 = double_byte_to_utf8(body, table)
    assert utf8 == double_byte_to_utf8_reference(body, table)
    if utf8 is not None:
        assert utf8 == body.decode(codec).translate(_instead(codec)).encode()


@pytest.mark.parametrize("codec", CODECS)
def test_every_pair_is_converted_as_the_codec_does(codec: str) -> None:
    table = _character_table(codec)
    for lead in range(0x81, 0xFF):
        for trail in range(0x40, 0xFF):
            body = bytes((lead, trail))
            utf8 = double_byte_to_utf8(body, table)
            if utf8 is not None:
                assert utf8 == body.decode(codec).translate(_instead(codec)).encode()


@pytest.mark.parametrize("codec", CODECS)
def test_ordinary_text_is_converted_by_the_kernel(codec: str) -> None:
    text = TEXTS[codec].replace("𡎚㙍 €", "").replace("丂", "")
    assert double_byte_to_utf8(text.encode(codec), _character_table(codec)) == text.encode()


@pytest.mark.parametrize("codec", CODECS)
def test_tables_say_what_the_codec_says(codec: str) -> None:
    sample = f" {TEXTS[codec]} ".encode(codec)
    counts: Counter[bool] = Counter()
    for character in TEXTS[codec]:
        if character > "\x7f" and not _is_punctuation(character):
            counts[character in _COMMON_OF_CODEC[codec]] += 1
    expected = Reading(counts[True], counts[False], 0)
    assert read_with_table(sample, _reading_table(codec)) == expected


def test_samples_come_from_all_over_a_page() -> None:
    runs = [f"{number:03}".encode() + "段".encode() for number in range(500)]
    sample = take_sample(b"<p>".join(runs), 512, 300)
    assert 300 <= len(sample) <= 700
    page = b"<p>" * 5000 + "清".encode("gbk") + b"<p>" * 5000
    assert take_sample(page, 512, 300) == "清".encode("gbk") + b" "


def test_a_stray_byte_costs_at_most_the_two_characters_beside_it() -> None:
    table = _reading_table("gb18030")
    text = "老船工把绳子解开又重新系好他说水涨的时候船最容易走".encode("gb18030")
    for place, stray in itertools.product(range(0, len(text), 2), (0x81, 0xB5, 0xFE)):
        body = text[:place] + bytes((stray,)) + text[place:]
        repaired = take_out_stray_bytes(body, table).decode("gb18030", "replace")
        kept = Counter(text.decode("gb18030")) - Counter(repaired)
        assert sum(kept.values()) <= 2
