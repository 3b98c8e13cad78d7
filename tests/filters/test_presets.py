"""Presets are complete and say where their limits come from; PanGu-α's keeps to the paper."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest

from filters.presets import load_preset, preset_names
from filters.rules import apply_rules, explain_rule
from filters.signals import SIGNALS, Measurer
from filters.word_lists import load_word_list
from pangu_settings import SettingsError

PROSE = "白石渡老桥经过两年修缮，昨天上午重新开放，许多老人一早就来到桥头等候。" * 6
DOCUMENTS = {
    "kept": [("老桥重新开放", PROSE), ("", PROSE)],
    "title_only": [("老桥重新开放", "老桥重新开放"), ("老桥", ""), ("老桥", "2019年9月")],
    "too_little_chinese": [("Old bridge", "The old bridge opened again yesterday. " * 9)],
    "too_short": [("停水通知", "因管道检修，周日上午八点至十点停水，请提前储水。")],
    "advertisement": [("票据", PROSE + "代开发票，欢迎来电"), ("[BT下载]老桥", PROSE + ".torrent")],
    "sensitive": [("娱乐", PROSE + "百家乐、赌球、老虎机、六合彩")],
}


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_complete(name: str) -> None:
    preset = load_preset(name)
    assert preset.name == name
    assert preset.rules
    assert preset.deviations
    assert {rule.signal for rule in preset.rules.values()} <= set(SIGNALS)
    assert all(rule.source for rule in preset.rules.values())


def test_limits_of_the_paper() -> None:
    rules = {name: explain_rule(rule) for name, rule in load_preset("pangu_alpha").rules.items()}
    # The order counts: the first broken rule is the reason.
    assert list(rules.items()) == list(
        {
            "title_only": "beyond_title_characters < 10",
            "too_little_chinese": "chinese_share < 0.6",
            "too_short": "characters < 150",
            "advertisement": "advertisement_words > 1",
            "sensitive": "sensitive_words > 3",
        }.items()
    )


def test_every_rule_fires_where_it_should_and_nowhere_else() -> None:
    measurer = Measurer(load_word_list("advertisement"), load_word_list("sensitive"))
    documents = [(title, text) for group in DOCUMENTS.values() for title, text in group]
    rows = [measurer.measure(title, text) for title, text in documents]
    signals = pa.table({name: pa.array([row[name] for row in rows]) for name in SIGNALS})
    verdicts = apply_rules(load_preset("pangu_alpha").rules, signals)
    reasons = Counter(reason or "kept" for reason in verdicts.rule.to_pylist())
    assert reasons == {reason: len(group) for reason, group in DOCUMENTS.items()}
    assert set(DOCUMENTS) == {"kept", *load_preset("pangu_alpha").rules}


def test_one_phrase_of_each_list_does_not_drop_an_honest_page() -> None:
    measurer = Measurer(load_word_list("advertisement"), load_word_list("sensitive"))
    row = measurer.measure("防骗提醒", PROSE + "代开发票是违法行为，网上赌场也是。")
    table = pa.table({name: [row[name]] for name in SIGNALS})
    assert apply_rules(load_preset("pangu_alpha").rules, table).kept.all()


def test_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean 'pangu_alpha'"):
        load_preset("pangu-alpha")
