"""What each signal counts, on texts small enough to count by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.signals import HALF_QUALITY_CHARACTERS, Measurer

MEASURER = Measurer({"advertisement": ["加微信", "代开发票"], "sensitive": ["百家乐", "赌球"]})
SIGNALS = MEASURER.signals


def measure(text: str, title: str = "") -> dict[str, int | float]:
    return MEASURER.measure(title, text)


def test_every_signal_is_measured_and_described() -> None:
    assert list(measure("桥。")) == list(SIGNALS)
    assert all(signal.name == name for name, signal in SIGNALS.items())
    assert all(signal.description and signal.unit for signal in SIGNALS.values())
    for name, value in measure("桥。").items():
        assert isinstance(value, int if SIGNALS[name].dtype == "int32" else float)


def test_shares_are_of_visible_characters() -> None:
    # 4 hanzi, 2 Latin letters, 1 digit, 1 symbol, 2 marks: 10, and 3 that do not show
    found = measure("老桥 ab\n3开★放，。 ")
    assert found["characters"] == 13
    assert found["chinese_share"] == pytest.approx(0.4)
    assert found["latin_share"] == pytest.approx(0.2)
    assert found["digit_share"] == pytest.approx(0.1)
    assert found["symbol_share"] == pytest.approx(0.1)


@pytest.mark.parametrize("hanzi", ["桥", "橋", "〇", "々", "㐀", "𠀀", "豈"])
def test_hanzi_of_all_planes_are_chinese(hanzi: str) -> None:
    assert measure(hanzi)["chinese_share"] == 1


@pytest.mark.parametrize("other", ["か", "カ", "한", "、", "я", "\ue000"])
def test_what_is_not_chinese(other: str) -> None:
    assert measure(other)["chinese_share"] == 0


def test_lines_and_how_they_end() -> None:
    found = measure("春天来了。\n\n老桥\n他说：“走吧！”\n  \n等一等……")
    assert found["lines"] == 4
    assert found["mean_line_characters"] == pytest.approx((5 + 2 + 8 + 5) / 4)
    assert found["sentence_end_share"] == pytest.approx((5 + 8 + 5) / 20)


def test_repeated_lines_count_by_their_characters() -> None:
    assert measure("春天来了。\n老桥\n春天来了。")["duplicate_line_share"] == pytest.approx(5 / 12)


@pytest.mark.parametrize(
    ("title", "lines", "beyond"),
    [
        ("江岸长跑赛报名须知", ["江岸长跑赛报名须知"], 0),
        ("江岸长跑赛：报名须知", ["江岸长跑赛", "报名须知！"], 0),
        ("江岸長跑賽報名須知", ["江岸长跑赛　报名须知"], 0),
        ("江岸长跑赛", ["江岸长跑赛报名须知"], 9),
        ("江岸长跑赛", ["周日早上八点开始。"], 8),
        ("", ["江岸长跑赛。"], 5),
        ("江岸长跑赛", [], 0),
    ],
)
def test_beyond_title(title: str, lines: list[str], beyond: int) -> None:
    assert beyond_title_characters(title, lines) == beyond


def test_phrases_count_once_each_in_any_writing_and_also_in_the_title() -> None:
    found = measure("加微信，加微信，加微信！百家樂", title="代開發票")
    assert (found["advertisement_words"], found["sensitive_words"]) == (2, 1)
    assert measure("加 微 信")["advertisement_words"] == 0


def test_quality_prefers_the_fuller_and_the_cleaner_copy() -> None:
    prose = "白石渡老桥经过两年修缮，昨天上午重新开放。\n桥面换上了新的石板。"
    whole = measure(prose)["quality"]
    assert whole == pytest.approx(len(prose) / (len(prose) + HALF_QUALITY_CHARACTERS))
    assert measure(prose.split("\n")[0])["quality"] < whole
    assert measure(prose + "\n热门 推荐 更多 精彩 内容 请 看 这里")["quality"] < whole
    assert measure(prose + "\n" + prose)["quality"] < whole


def test_text_without_anything() -> None:
    assert set(measure("").values()) == {0}
    assert set(measure(" \n\u3000").values()) == {0, 3}


@given(st.text(max_size=200), st.text(max_size=30))
@settings(max_examples=300, deadline=None)
def test_any_text_has_numbers_in_range(text: str, title: str) -> None:
    found = MEASURER.measure(title, text)
    assert all(math.isfinite(value) and value >= 0 for value in found.values())
    for name in SIGNALS:
        if name.endswith("_share") or name == "quality":
            assert 0 <= found[name] <= 1
    assert found == MEASURER.measure(title, text)
