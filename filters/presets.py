"""Presets: published sets of rules, each a versioned file in presets/ with the source of limits."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from filters.clean import CleanSettings
from filters.rules import Rule
from pangu_settings import Settings, SettingsError, nearest, read_yaml, validate

_FOLDER = Path(__file__).parent / "presets"


class PresetRule(Rule):
    """A rule and where it comes from."""

    source: str = Field(description="section of the publication, and what in the rule is ours")


class Preset(Settings):
    """A published set of rules."""

    name: str
    version: int = Field(ge=1, description="goes up whenever a rule changes")
    description: str
    source: str = Field(description="the publication")
    clean: CleanSettings = Field(
        default=CleanSettings(), description="steps of cleaning that the publication has or lacks"
    )
    words: dict[str, str] = Field(
        default_factory=dict, description="word lists that its rules need beyond the usual ones"
    )
    rules: dict[str, PresetRule] = Field(description="rule name -> rule; the first broken counts")
    deviations: list[str] = Field(description="what the publication leaves open or we do otherwise")


def preset_names() -> list[str]:
    """Returns the names of all presets."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def load_preset(name: str) -> Preset:
    """Returns the preset of that name.

    Raises:
      SettingsError: there is none; the message has the nearest name.
    """
    names = preset_names()
    if name not in names:
        raise SettingsError(f"no preset is called '{name}'{nearest(name, names)}")
    path = _FOLDER / f"{name}.yaml"
    return validate(Preset, read_yaml(path), str(path))
