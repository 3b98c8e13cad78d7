"""Languages are told apart by scripts and function words, also in mixtures."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.kernels.line_statistics import line_statistics_of
from filters.kernels.text_batch import TextBatch
from filters.language import LANGUAGES, language_numbers

TEXT_FOLDER = Path(os.environ.get("PANGU_SHARED_DATA", "")) / "text"

CHINESE = "老桥经过两年的修缮，昨天上午重新开放了，他们一早就来到这里，说是要看看新桥。"
TRADITIONAL = "老橋經過兩年的修繕，昨天上午重新開放了，他們一早就來到這裡，說是要看看新橋。"
CANTONESE = "我哋尋日去咗睇嗰條舊橋，佢哋話整咗兩年，而家好靚，不過唔知幾時先至有得行上去。"
JAPANESE = "二年間の修繕を経て、古い橋は昨日の午前に再び開通し、住民たちが朝早くから集まった。"
KOREAN = "2년간의 수리를 거쳐 오래된 다리가 어제 오전에 다시 열려 주민들이 아침 일찍부터 모였다."
ENGLISH = "After two years of repairs the old bridge opened again yesterday morning."
RUSSIAN = "После двух лет ремонта старый мост вчера утром снова открыли для жителей."


def languages(texts: list[str]) -> list[str]:
    _, classes = line_statistics_of(TextBatch.from_strings(texts))
    return [LANGUAGES[number] for number in language_numbers(classes)]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (CHINESE, "zh"),
        (TRADITIONAL, "zh"),
        (CANTONESE, "yue"),
        (JAPANESE, "ja"),
        (KOREAN, "ko"),
        (ENGLISH, "other"),
        (RUSSIAN, "other"),
        ("", "other"),
        ("12:30 ★★★ --- 。。。", "other"),
        ("春江花月夜", "zh"),
        # A word of another language does not decide.
        (CHINESE + "他说：“佢哋呢？”", "zh"),
        (CHINESE + "日语叫「はし」。", "zh"),
        (CHINESE + "韩语叫「다리」。", "zh"),
        (CANTONESE + "這是他們說的。", "yue"),
        (CHINESE + " " + ENGLISH, "zh"),
        (ENGLISH * 4 + "老桥", "other"),
        (JAPANESE + ENGLISH, "ja"),
    ],
)
def test_language(text: str, language: str) -> None:
    assert languages([text]) == [language]


@given(st.sampled_from([ENGLISH, RUSSIAN]), st.integers(0, 20), st.integers(0, 20))
def test_chinese_counts_from_a_fifth_of_the_letters_on(foreign: str, many: int, few: int) -> None:
    hanzi, letters = CHINESE * few, foreign * many
    han = sum("\u4e00" <= c <= "\u9fff" for c in hanzi)
    total = han + sum(map(str.isalpha, letters))
    expected = "zh" if han and han >= 0.2 * total else "other"
    assert languages([hanzi + letters]) == [expected]


@pytest.mark.shared_data
@pytest.mark.skipif(not TEXT_FOLDER.is_dir(), reason="PANGU_SHARED_DATA does not name the texts")
@pytest.mark.parametrize("name", ["news", "ebook_classic_novels", "classical", "encyclopedia"])
def test_mandarin_and_classical_texts_are_chinese(name: str) -> None:
    with gzip.open(TEXT_FOLDER / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    found = Counter(languages(texts))
    assert found["zh"] >= 0.999 * len(texts)
    assert found["yue"] == 0
