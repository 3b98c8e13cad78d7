"""Recipes: those that are shipped, their order, and what can be changed from outside."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

import pangu
from filters.presets import load_preset, preset_names
from filters.rules import Rule
from pangu_settings import SettingsError
from pipeline.recipe import find_inputs, load_recipe

RECIPES = Path(__file__).parent.parent.parent / "recipes"


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_recipe_loads(path: Path) -> None:
    assert load_recipe(path).name == path.stem


def test_recipe_of_the_paper() -> None:
    recipe = load_recipe(RECIPES / "pangu_alpha.yaml")
    assert recipe.weights == {
        "public_datasets": 27.99,
        "encyclopedia": 23,
        "ebooks": 18,
        "common_crawl": 10,
        "news": 22,
    }
    rules = {source.name: list(recipe.rules_of(source)) for source in recipe.sources}
    assert rules["ebooks"] == ["sensitive"]
    assert rules["news"] == []
    assert rules["common_crawl"] == list(load_preset("pangu_alpha").rules)
    assert recipe.tokenizer.vocabulary_size == 40_000
    assert recipe.tokenizer.algorithm == "bpe"


def write(folder: Path, **content: object) -> Path:
    path = folder / "recipe.yaml"
    base = {"name": "x", "sources": [{"name": "a", "paths": ["*.jsonl"]}]}
    path.write_text(yaml.safe_dump({**base, **content}, sort_keys=False), encoding="utf-8")
    return path


def test_rules_keep_the_order_in_which_they_are_written(tmp_path: Path) -> None:
    rules = {name: {"signal": "characters", "min": 1} for name in ("zeta", "alpha", "midway")}
    recipe = load_recipe(write(tmp_path, filters=None, rules=rules), ["rules.zeta.min=3"])
    assert list(recipe.rules) == ["zeta", "alpha", "midway"]
    assert recipe.rules["zeta"].min == 3


def test_preset_rules_can_be_changed_added_and_removed(tmp_path: Path) -> None:
    changes = {
        "too_short": {"min": 200},
        "title_only": None,
        "many_digits": {"signal": "digit_share", "max": 0.3},
    }
    recipe = load_recipe(write(tmp_path, rules=changes))
    assert recipe.rules["too_short"].min == 200
    assert recipe.rules["too_short"].signal == "characters"
    assert "title_only" not in recipe.rules
    assert list(recipe.rules)[-1] == "many_digits"


def test_limit_of_another_kind_takes_the_place_of_the_presets(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path), ["rules.too_short.max=9000"])
    assert recipe.rules["too_short"] == Rule(signal="characters", max=9000)
    assert load_recipe(write(tmp_path), ["rules.too_short.min=200"]).rules["too_short"].min == 200


@pytest.mark.parametrize("name", preset_names())
def test_preset_brings_rules_cleaning_and_word_lists(tmp_path: Path, name: str) -> None:
    preset = load_preset(name)
    recipe = load_recipe(write(tmp_path, filters=name))
    assert recipe.rules == {
        name: Rule.model_validate(rule.model_dump(include=set(Rule.model_fields)))
        for name, rule in preset.rules.items()
    }
    assert recipe.clean == preset.clean
    assert recipe.words == preset.words


def test_cleaning_and_word_lists_of_a_preset_can_be_changed(tmp_path: Path) -> None:
    changes = {
        "clean": {"navigation": True},
        "words": {"mine": ["builtin", "mine.txt"], "sensitive": None},
        "rules": {"bad_words": None, "mine": {"signal": "mine_hits", "max": 2}},
    }
    recipe = load_recipe(write(tmp_path, filters="c4_zh", **changes))
    assert recipe.clean.navigation
    assert recipe.clean.sentence_lines_only
    assert recipe.words == {"mine": ["builtin", "mine.txt"]}
    assert recipe.rules["mine"].signal == "mine_hits"


def test_personal_data_to_be_dropped_becomes_the_last_rule(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path), ["personal_data.identity=drop"])
    assert list(recipe.rules)[-1] == "personal_identity"
    assert recipe.rules["personal_identity"] == Rule(signal="personal_identity", max=0)
    own = load_recipe(
        write(tmp_path), ["personal_data.identity=drop", "rules.personal_identity.max=3"]
    )
    assert own.rules["personal_identity"].max == 3


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({"preset": "pangu_alpha"}, "preset: unknown key; a preset is named by 'filters'"),
        ({"filters": "c4_hz"}, "filters: no preset is called 'c4_hz'; did you mean 'c4_zh'?"),
        ({"filters": None, "rules": {"a": {"signal": "advertisment_words", "max": 1}}}, "not meas"),
        ({"words": {"Mine": "builtin"}}, "words.Mine"),
        (
            {"words": {"mine": "m.txt"}, "rules": {"a": {"signal": "mine_word", "max": 1}}},
            "did you mean 'mine_words'?",
        ),
        ({"rules": {"a": {"signal": "characters", "one_of": ["zh"]}}}, "judged by min or max"),
        ({"rules": {"too_short": 200}}, "rules.too_short: "),
        ({"rules": [1]}, "rules: "),
        ({"personal_data": {"phon": "drop"}}, "personal_data.phon: unknown key; did you mean"),
    ],
)
def test_mistakes_are_answered_with_the_way_out(
    tmp_path: Path, content: dict[str, object], line: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_recipe(write(tmp_path, **content))
    assert line in str(caught.value)


def test_schema_accepts_recipes_as_people_write_them_and_marks_mistakes(tmp_path: Path) -> None:
    result = CliRunner().invoke(pangu.program, ["plan", "--schema"])
    schema = json.loads(result.output)
    check = jsonschema.Draft202012Validator(schema)
    for path in RECIPES.glob("*.yaml"):
        check.validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    partial = write(tmp_path, rules={"too_short": {"min": 200}, "title_only": None})
    check.validate(yaml.safe_load(partial.read_text(encoding="utf-8")))
    for mistake in ({"preset": "c4_zh"}, {"rules": {"a": {"mn": 2}}}, {"words": {"B": "b"}}):
        wrong = yaml.safe_load(write(tmp_path, **mistake).read_text(encoding="utf-8"))
        assert not check.is_valid(wrong), mistake


def test_files_are_named_as_the_recipe_spells_them(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.jsonl"):
        (tmp_path / name).write_text("")
    recipe = load_recipe(write(tmp_path))
    assert [file for _, file in find_inputs(recipe)] == ["a.jsonl", "b.jsonl"]
    absolute = write(tmp_path, sources=[{"name": "a", "paths": [f"{tmp_path}/a.jsonl"]}])
    assert [file for _, file in find_inputs(load_recipe(absolute))] == [f"{tmp_path}/a.jsonl"]


def test_file_named_by_two_patterns_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("")
    sources = [{"name": "a", "paths": ["*.jsonl", "a.jsonl"]}]
    assert len(find_inputs(load_recipe(write(tmp_path, sources=sources)))) == 1
