"""What each signal counts, on texts small enough to count by hand; batches equal the reference."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.kernels.text_batch import TextBatch
from filters.signals import HALF_QUALITY_CHARACTERS, SIGNALS, Measurer, all_signals

LISTS = {"advertisement": ["加微信", "代开发票"], "sensitive": ["百家乐", "赌球"]}
MEASURER = Measurer(LISTS)
KINDS = {"int32": int, "float32": float, "string": str}


def measure(text: str, title: str = "") -> dict[str, Any]:
    return MEASURER.measure(title, text)


def test_every_signal_is_measured_and_described() -> None:
    signals = all_signals(LISTS)
    assert list(measure("桥。")) == list(signals) == MEASURER.schema.names
    assert list(signals)[: len(SIGNALS)] == list(SIGNALS)
    assert all(signal.name == name for name, signal in signals.items())
    assert all(signal.description and signal.unit for signal in signals.values())
    for name, value in measure("桥。").items():
        assert isinstance(value, KINDS[signals[name].dtype])


def test_shares_are_of_visible_characters() -> None:
    # 4 hanzi, 2 Latin letters, 1 digit, 1 symbol, 2 marks: 10, and 3 that do not show
    found = measure("老桥 ab\n3开★放，。 ")
    assert found["characters"] == 13
    assert found["chinese_share"] == pytest.approx(0.4)
    assert found["latin_share"] == pytest.approx(0.2)
    assert found["digit_share"] == pytest.approx(0.1)
    assert found["symbol_share"] == pytest.approx(0.1)
    assert found["punctuation_share"] == pytest.approx(0.2)
    assert found["newline_share"] == pytest.approx(1 / 13)


@pytest.mark.parametrize(
    ("name", "text", "share"),
    [
        ("kana_share", "かなカナﾊー漢字", 0.75),
        ("hangul_share", "한국 漢字", 0.5),
        ("hash_share", "##＃桥", 0.75),
        ("bracket_share", "【桥】", 2 / 3),
        ("ellipsis_share", "桥…桥...桥..桥。。。。", 8 / 14),
        ("url_share", "见www.a.cn/b，http://c", 18 / 20),
        ("unique_character_share", "桥桥老老", 0.5),
        ("duplicate_lines_share", "老桥\n老桥\n新桥", 1 / 3),
        ("short_line_share", "一二三四五六七八九\n一二三四五六七八九十", 0.5),
        ("more_line_share", "点击展开\n查看更多>>\nRead More\n未完…\n更多内容", 0.8),
        ("navigation_share", "首页\n新闻，体育", 2 / 7),
        ("sentence_end_line_share", "走。\n“走！”\n走", 2 / 3),
        ("repeated_short_sentence_share", "点击下载。点击下载！点击下载", 8 / 14),
    ],
)
def test_one_share(name: str, text: str, share: float) -> None:
    assert measure(text)[name] == pytest.approx(share)


def test_entropy_is_in_bits() -> None:
    assert measure("一二三四五六七八")["character_entropy"] == pytest.approx(3)
    assert measure("一一一一")["character_entropy"] == 0


def test_repeated_runs_of_characters() -> None:
    found = measure("一二三四五一二三四五六七八九十")
    assert found["top_2gram_share"] == pytest.approx(4 / 15)
    assert found["top_4gram_share"] == pytest.approx(8 / 15)
    assert found["duplicate_5gram_share"] == pytest.approx(5 / 15)
    assert found["duplicate_6gram_share"] == 0


def test_white_space_does_not_hide_repetition() -> None:
    assert measure("一二三四五\n一二 三四五")["duplicate_5gram_share"] == pytest.approx(0.5)


@pytest.mark.parametrize("hanzi", ["桥", "橋", "〇", "々", "㐀", "𠀀", "豈", "的", "嘅"])
def test_hanzi_of_all_planes_are_chinese(hanzi: str) -> None:
    assert measure(hanzi)["chinese_share"] == 1


@pytest.mark.parametrize("other", ["か", "カ", "한", "、", "я", "\ue000"])
def test_what_is_not_chinese(other: str) -> None:
    assert measure(other)["chinese_share"] == 0


def test_lines_and_how_they_end() -> None:
    found = measure("春天来了。\n\n老桥\n他说：“走吧！”\n  \n等一等……")
    assert found["lines"] == 4
    assert found["mean_line_characters"] == pytest.approx((5 + 2 + 8 + 5) / 4)
    assert found["longest_line_characters"] == 8
    assert found["sentence_end_share"] == pytest.approx((5 + 8 + 5) / 20)


def test_repeated_lines_count_by_their_characters() -> None:
    assert measure("春天来了。\n老桥\n春天来了。")["duplicate_line_share"] == pytest.approx(5 / 12)


@pytest.mark.parametrize(
    ("title", "text", "beyond"),
    [
        ("江岸长跑赛报名须知", "江岸长跑赛报名须知", 0),
        ("江岸长跑赛：报名须知", "江岸长跑赛\n报名须知！", 0),
        ("江岸長跑賽報名須知", "江岸长跑赛　报名须知", 0),
        ("江岸长跑赛", "江岸长跑赛报名须知", 9),
        ("江岸长跑赛", "周日早上八点开始。", 8),
        ("", "江岸长跑赛。", 5),
        ("江岸长跑赛", "", 0),
    ],
)
def test_beyond_title(title: str, text: str, beyond: int) -> None:
    assert measure(text, title)["beyond_title_characters"] == beyond


def test_phrases_count_in_any_writing_and_also_in_the_title() -> None:
    found = measure("加微信，加微信，加微信！百家樂", title="代開發票")
    assert (found["advertisement_words"], found["advertisement_hits"]) == (2, 4)
    assert (found["sensitive_words"], found["sensitive_hits"]) == (1, 1)
    assert measure("加 微 信")["advertisement_words"] == 0


def test_quality_prefers_the_fuller_and_the_cleaner_copy() -> None:
    prose = "白石渡老桥经过两年修缮，昨天上午重新开放。\n桥面换上了新的石板。"
    whole = measure(prose)["quality"]
    assert whole == pytest.approx(len(prose) / (len(prose) + HALF_QUALITY_CHARACTERS))
    assert measure(prose.split("\n")[0])["quality"] < whole
    assert measure(prose + "\n热门 推荐 更多 精彩 内容 请 看 这里")["quality"] < whole
    assert measure(prose + "\n" + prose)["quality"] < whole


def test_text_without_anything() -> None:
    assert set(measure("").values()) == {0, "other"}
    blank = measure(" \n\u3000")
    assert {name for name, value in blank.items() if value not in (0, "other")} == {
        "characters",
        "newline_share",
    }


_TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=200),
    st.text("老桥加微信。！，a1 \n", max_size=200),
)


@given(st.lists(st.tuples(st.text("老桥加微信", max_size=9), _TEXTS), max_size=5))
@settings(max_examples=150)
def test_batch_equals_reference_and_numbers_are_in_range(documents: list[tuple[str, str]]) -> None:
    titles, texts = ([pair[side] for pair in documents] for side in (0, 1))
    batch = MEASURER.measure_batch(TextBatch.from_strings(titles), TextBatch.from_strings(texts))
    assert batch.schema == MEASURER.schema
    for document, row in zip(documents, batch.to_pylist(), strict=True):
        expected = MEASURER.measure(*document)
        # The logarithms of two libraries may differ in the last bit.
        assert row.pop("character_entropy") == pytest.approx(expected.pop("character_entropy"))
        assert row == expected
    for name, signal in MEASURER.signals.items():
        for value in batch.column(name).to_pylist():
            if signal.dtype != "string":
                assert math.isfinite(value)
                assert value >= 0
            if name.endswith("_share") or name == "quality":
                assert value <= 1


def test_a_result_does_not_depend_on_the_batch() -> None:
    texts = ["春天来了。老桥", "春天来了。", "", "加微信\n" * 500, "abc"]
    whole = MEASURER.measure_batch(
        TextBatch.from_strings([""] * len(texts)), TextBatch.from_strings(texts)
    )
    single = [
        MEASURER.measure_batch(TextBatch.from_strings([""]), TextBatch.from_strings([text]))
        for text in texts
    ]
    assert pa.Table.from_batches([whole]) == pa.Table.from_batches(single).combine_chunks()
