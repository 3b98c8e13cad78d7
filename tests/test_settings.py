"""Mistakes in settings: one line each, with the place and the nearest valid name."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

from pangu_settings import Settings, SettingsError, apply_overrides, load, read_yaml


class Limit(Settings):
    signal: str
    minimum: float = 0.0


class Example(Settings):
    name: str
    sizes: list[int] = Field(default_factory=list)
    limits: dict[str, Limit] = Field(default_factory=dict)
    limit: Limit | None = None


def write(folder: Path, text: str) -> Path:
    path = folder / "example.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("nmae: x\nname: y", "nmae: unknown key; did you mean 'name'?"),
        ("name: x\nsizes: [1, b]", "sizes.1: input should be a valid integer"),
        ("{}", "name: missing"),
        ("name: x\nlimits: {a: {signal: s, minimun: 1}}", "did you mean 'minimum'?"),
        ("name: x\nlimit: {signall: s}", "limit.signall: unknown key; did you mean 'signal'?"),
        ("name: x\nname: y", "the key 'name' is written twice"),
        ("- a\n- b", "expected keys and values, found list"),
        ("name: [", "not valid YAML"),
        ("name: !!python/object/apply:os.system ['true']", "not valid YAML"),
    ],
)
def test_mistake_is_one_line_with_file_and_place(tmp_path: Path, text: str, line: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        load(Example, path)
    message = str(caught.value)
    assert line in message
    assert all(str(path) in part for part in message.splitlines())


def test_two_mistakes_are_two_lines(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(Example, write(tmp_path, "nmae: x\nsizes: 3"))
    assert len(str(caught.value).splitlines()) == 3


def test_missing_file_names_its_neighbour(tmp_path: Path) -> None:
    write(tmp_path, "name: x")
    with pytest.raises(SettingsError, match=r"no such file; did you mean 'example\.yaml'\?"):
        read_yaml(tmp_path / "exampel.yaml")


def test_overrides_reach_into_lists_and_mappings() -> None:
    content = {"sizes": [1, 2], "limits": {"a": {"minimum": 1}}}
    result = apply_overrides(content, ["sizes.1=5", "limits.a.minimum=2.5", "name=甲", "b.c=[1]"])
    assert result == {
        "sizes": [1, 5],
        "limits": {"a": {"minimum": 2.5}},
        "name": "甲",
        "b": {"c": [1]},
    }
    assert content["sizes"] == [1, 2]


@pytest.mark.parametrize("override", ["name", "sizes.9=1", "name.x=1", "sizes=[1"])
def test_override_that_cannot_apply_says_so(override: str) -> None:
    with pytest.raises(SettingsError, match="--set"):
        apply_overrides({"name": "x", "sizes": [1]}, [override])
