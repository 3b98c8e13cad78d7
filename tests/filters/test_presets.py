"""Presets are complete, say where limits come from, and every rule drops what it is meant to."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest
from preset_documents import documents

from filters.clean import Cleaner
from filters.kernels.text_batch import TextBatch
from filters.presets import load_preset, preset_names
from filters.rules import apply_rules, explain_rule
from filters.signals import Measurer, all_signals
from filters.word_lists import load_word_list
from pangu_settings import SettingsError


def signals_of(name: str, titles_and_texts: list[tuple[str, str]]) -> pa.Table:
    """Documents as cleaning and measuring leave them under a preset."""
    preset = load_preset(name)
    titles, texts = zip(*titles_and_texts, strict=True)
    cleaned = Cleaner(preset.clean).clean_batch(TextBatch.from_strings(texts))
    measurer = Measurer({words: load_word_list(words) for words in preset.words})
    measured = measurer.measure_batch(TextBatch.from_strings(titles), cleaned.texts)
    share = cleaned.traditional / cleaned.hanzi.clip(1)
    columns = dict(zip(measured.schema.names, measured.columns, strict=True))
    return pa.table({**columns, "traditional_share": pa.array(share, pa.float32())})


def reasons_of(name: str) -> dict[str, str]:
    made = documents()
    verdicts = apply_rules(load_preset(name).rules, signals_of(name, list(made.values())))
    return dict(zip(made, (rule or "kept" for rule in verdicts.rule.to_pylist()), strict=True))


# How many of `documents` each rule drops: the whole dictionary, so that a rule that stops firing,
# or fires elsewhere, is seen.
COUNTS: dict[str, dict[str, int]] = {
    "c4_zh": {
        "kept": 14,
        "language": 8,
        "too_few_lines": 19,
        "bad_words": 3,
        "duplicate_lines": 2,
        "duplicate_line_characters": 1,
        "top_words": 5,
        "repeated_5_words": 1,
        "repeated_6_words": 1,
        "repeated_7_words": 3,
    },
    "chinesewebtext": {
        "kept": 30,
        "too_short": 17,
        "short_lines": 2,
        "too_little_chinese": 3,
        "traditional": 1,
        "sensitive": 1,
        "repeated": 3,
    },
    "fineweb2_zh": {
        "kept": 24,
        "language": 3,
        "duplicate_lines": 2,
        "top_2_words": 4,
        "repeated_5_words": 4,
        "repeated_6_words": 1,
        "repeated_7_words": 1,
        "few_sentence_ends": 5,
        "duplicate_line_characters": 1,
        "many_line_breaks": 5,
        "too_short": 2,
        "too_long": 1,
        "hashes": 1,
        "ellipses": 2,
        "no_stop_words": 1,
    },
    "map_cc": {
        "kept": 31,
        "language": 3,
        "too_short": 5,
        "too_long": 2,
        "hashes": 1,
        "ellipses": 1,
        "brackets": 1,
        "digits": 1,
        "more_lines": 2,
        "no_punctuation": 1,
        "few_characters": 1,
        "entropy": 1,
        "top_2_characters": 1,
        "top_3_characters": 4,
        "top_4_characters": 1,
        "repeated": 1,
    },
    "pangu_alpha": {
        "kept": 34,
        "title_only": 2,
        "too_little_chinese": 4,
        "too_short": 10,
        "repeated_sentences": 3,
        "advertisement": 1,
        "spam": 1,
        "sensitive": 2,
    },
}


@pytest.mark.parametrize("name", preset_names())
def test_every_reason_has_exactly_the_expected_count(name: str) -> None:
    assert dict(Counter(reasons_of(name).values())) == COUNTS[name]


@pytest.mark.parametrize("name", preset_names())
def test_every_rule_fires(name: str) -> None:
    assert set(load_preset(name).rules) == set(COUNTS[name]) - {"kept"}


def test_limits_of_the_paper() -> None:
    rules = {name: explain_rule(rule) for name, rule in load_preset("pangu_alpha").rules.items()}
    # The order counts: the first broken rule is the reason.
    assert list(rules.items()) == list(
        {
            "title_only": "beyond_title_characters < 10",
            "too_little_chinese": "chinese_share < 0.6",
            "too_short": "characters < 150",
            "repeated_sentences": "repeated_short_sentence_share > 0.2",
            "advertisement": "advertisement_words > 1",
            "spam": "spam_words > 1",
            "sensitive": "sensitive_words > 3",
        }.items()
    )


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_complete(name: str) -> None:
    preset = load_preset(name)
    assert preset.name == name
    assert preset.deviations
    assert all(rule.source for rule in preset.rules.values())
    measured = {*all_signals(preset.words), "traditional_share"}
    assert {rule.signal for rule in preset.rules.values()} <= measured


@pytest.mark.parametrize("name", ["pangu_alpha", "chinesewebtext", "map_cc", "fineweb2_zh"])
def test_honest_texts_are_kept(name: str) -> None:
    honest = [text for text in documents() if text.startswith(("encyclopedia", "story"))]
    reasons = reasons_of(name)
    assert len(honest) > 8
    dropped = {text: reasons[text] for text in honest if reasons[text] != "kept"}
    assert all(reason.startswith("too_short") for reason in dropped.values()), dropped


def test_one_phrase_of_each_list_does_not_drop_an_honest_page() -> None:
    made = documents()["encyclopedia: 青瓷"]
    text = made[1] + "代开发票是违法行为，网上赌场和备用网址也要当心。"
    assert apply_rules(
        load_preset("pangu_alpha").rules, signals_of("pangu_alpha", [("防骗提醒", text)])
    ).kept.all()


def test_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean 'pangu_alpha'"):
        load_preset("pangu-alpha")
