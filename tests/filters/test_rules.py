"""Rules drop by the first broken limit and never take an unmeasured document for a good one."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.rules import Rule, apply_rules, explain_rule
from pangu_settings import SettingsError, validate

RULES = {
    "too_little_chinese": Rule(signal="chinese_share", min=0.6),
    "too_short": Rule(signal="characters", min=150),
    "sensitive": Rule(signal="sensitive_words", max=3),
}


def signals(*rows: tuple[float, int, int]) -> pa.RecordBatch:
    shares, lengths, words = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.record_batch(
        {
            "chinese_share": pa.array(shares, pa.float32()),
            "characters": pa.array(lengths, pa.int32()),
            "sensitive_words": pa.array(words, pa.int32()),
        }
    )


def test_first_broken_rule_is_the_reason() -> None:
    verdicts = apply_rules(RULES, signals((0.9, 500, 0), (0.1, 20, 9), (0.9, 20, 9), (0.9, 500, 9)))
    assert verdicts.kept.tolist() == [True, False, False, False]
    assert verdicts.rule.to_pylist() == [None, "too_little_chinese", "too_short", "sensitive"]
    assert verdicts.value.to_pylist() == [None, "0.1", "20", "9"]
    assert verdicts.limit.to_pylist() == [None, "0.6", "150", "3"]


def test_a_value_on_the_limit_passes_in_every_precision() -> None:
    shares = np.arange(0, 101) / 100
    table = pa.table({"share": pa.array(shares, pa.float32())})
    for share in shares.tolist():
        verdicts = apply_rules({"low": Rule(signal="share", min=share)}, table)
        assert verdicts.kept.sum() == (shares >= share).sum()
        verdicts = apply_rules({"high": Rule(signal="share", max=share)}, table)
        assert verdicts.kept.sum() == (shares <= share).sum()
    assert apply_rules({"high": Rule(signal="share", max=0.1)}, table).value[70].as_py() == "0.7"


def test_no_rules_and_no_documents() -> None:
    verdicts = apply_rules({}, signals((0.1, 1, 9)))
    assert verdicts.kept.tolist() == [True]
    assert verdicts.rule.to_pylist() == [None]
    empty = apply_rules(RULES, signals())
    assert (len(empty.kept), len(empty.rule), empty.rule.type) == (0, 0, pa.string())


def test_a_table_of_several_chunks() -> None:
    table = pa.Table.from_batches([signals((0.9, 500, 0)), signals((0.9, 20, 0))])
    assert apply_rules(RULES, table).rule.to_pylist() == [None, "too_short"]


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_document_that_was_not_measured_is_an_error(missing: float | None) -> None:
    table = pa.table({"chinese_share": pa.array([0.9, missing], pa.float32())})
    with pytest.raises(ValueError, match=r"chinese_share.*row 1"):
        apply_rules({"too_little_chinese": RULES["too_little_chinese"]}, table)
    with pytest.raises(ValueError, match="'characters' was not measured"):
        apply_rules({"too_short": RULES["too_short"]}, table)


def test_a_rule_on_words_drops_what_is_not_among_them() -> None:
    rules = {"language": Rule(signal="language", one_of=("zh", "yue"))}
    verdicts = apply_rules(rules, pa.table({"language": ["zh", "ja", "yue", ""]}))
    assert verdicts.kept.tolist() == [True, False, True, False]
    assert verdicts.value.to_pylist() == [None, "ja", None, ""]
    assert verdicts.limit.to_pylist() == [None, "zh, yue", None, "zh, yue"]
    assert explain_rule(rules["language"]) == "language not zh, yue"


def test_a_rule_that_does_not_fit_its_column_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"language < 1.*string"):
        apply_rules({"wrong": Rule(signal="language", min=1)}, pa.table({"language": ["zh"]}))
    with pytest.raises(ValueError, match=r"lines not zh.*int64"):
        apply_rules({"wrong": Rule(signal="lines", one_of=("zh",))}, pa.table({"lines": [3]}))


@pytest.mark.parametrize("limits", [{}, {"min": 1, "max": 2}, {"min": 1, "one_of": ["zh"]}])
def test_a_rule_has_one_limit(limits: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="either min, max or one_of"):
        validate(Rule, {"signal": "characters", **limits}, "recipe.yaml")


def test_rules_are_explained_as_what_drops_a_document() -> None:
    explained = [explain_rule(rule) for rule in RULES.values()]
    assert explained == ["chinese_share < 0.6", "characters < 150", "sensitive_words > 3"]


@given(st.lists(st.tuples(st.floats(0, 1, width=32), st.integers(0, 300), st.integers(0, 9))))
def test_columns_are_judged_as_rows_are(rows: list[tuple[float, int, int]]) -> None:
    expected = []
    for share, length, words in rows:
        broken = [np.float32(share) < np.float32(0.6), length < 150, words > 3]
        expected.append(next((name for name, hit in zip(RULES, broken, strict=True) if hit), None))
    verdicts = apply_rules(RULES, signals(*rows))
    assert verdicts.rule.to_pylist() == expected
    assert verdicts.kept.tolist() == [reason is None for reason in expected]
    assert verdicts.value.is_null().to_pylist() == verdicts.kept.tolist()
