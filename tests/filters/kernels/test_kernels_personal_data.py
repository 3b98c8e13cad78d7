"""The kernel calls the same lines candidates as the reference."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from filters.kernels.personal_data import candidate_lines, is_candidate
from filters.kernels.text_batch import TextBatch

# What candidates are made of, more often than chance would have it.
PIECES = st.one_of(
    st.sampled_from(
        ["vx", "V信", "we", "chat", "wechat", "Weixin", "ixin", "扣扣", "企鹅", "薇信"]
    ),
    st.sampled_from(["微信", "威", "加", "加V", "0013800", "\r", "𠮷", "\x00", "b_c-1", "联系"]),
    st.sampled_from("138 -.:@＠aFgQqwx号：\n_%文"),
)
TEXTS = st.lists(st.lists(PIECES, max_size=24).map("".join), max_size=5)


def expected(texts: list[str]) -> list[tuple[int, str]]:
    return [
        (number, line)
        for number, text in enumerate(texts)
        for line in text.split("\n")
        if is_candidate(line)
    ]


def found(texts: list[str]) -> list[tuple[int, str]]:
    batch = TextBatch.from_strings(texts)
    everything = "".join(texts)
    return [(text, everything[start:end]) for text, start, end in candidate_lines(batch).tolist()]


@given(TEXTS)
@example(["1234-5678 901", "12.3-4.5.6", "1.2.3.4", "12345678901", "a@b", "::f:", "微信：abcde"])
@example(["微信是号码为加我的abcde", "Q", "we", "1.", "a@", "加", ":::"])
def test_the_kernel_finds_the_candidates_of_the_reference(texts: list[str]) -> None:
    assert found(texts) == expected(texts)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), max_size=4))
def test_on_any_characters(texts: list[str]) -> None:
    assert found(texts) == expected(texts)


def test_more_candidates_than_there_is_room_for_at_first() -> None:
    texts = ["\n".join(f"{number:011}" for number in range(150)), "", "13800138000"]
    assert found(texts) == expected(texts)
    assert len(found(texts)) == 151


def test_no_texts() -> None:
    assert candidate_lines(TextBatch.from_strings([])).shape == (0, 3)
