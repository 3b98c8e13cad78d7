"""Recipes: those that are shipped, their order, and what can be changed from outside."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from filters.presets import load_preset
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
