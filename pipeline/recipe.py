"""The recipe: a YAML file that says what corpus to build. One typed schema, defaults filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, StringConstraints, ValidationError, field_validator, model_validator

from filters.classifier_settings import ClassifierSettings, score_names
from filters.clean import CleanSettings
from filters.decontamination_settings import Decontaminate
from filters.duplicate_settings import Deduplicate
from filters.line_duplicate_settings import DeduplicateLines
from filters.personal_data import PersonalDataSettings
from filters.personal_data_kinds import PERSONAL_DATA
from filters.presets import load_preset
from filters.rules import LIMITS, Rule
from filters.signal_definitions import SIGNALS, all_signals
from pangu_settings import (
    Settings,
    SettingsError,
    apply_overrides,
    nearest,
    read_yaml,
    validate,
)
from pipeline import storage
from pipeline.reading.extract_settings import ExtractSettings
from tokenizer.shards import DEFAULT_MAX_TOKENS
from tokenizer.vocabulary import VocabularySettings

Format = Literal["auto", "warc", "wet", "html", "parquet", "jsonl", "text"]
BUILTIN = "builtin"
# The names of word lists and classifiers become names of columns.
ColumnName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
# Signals that the clean stage counts and the measure stage carries on.
CARRIED_SIGNALS = ("traditional_share", *(f"personal_{kind}" for kind in PERSONAL_DATA))


class Source(Settings):
    """One named input of a recipe."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", description="used in file names")
    paths: list[str] = Field(
        min_length=1,
        description="files or patterns (*, **), local or with a protocol such as s3://",
    )
    format: Format = "auto"
    weight: float = Field(
        1.0, ge=0, description="share of training samples, relative to the others"
    )
    rules: Literal["all"] | list[str] = Field(
        "all", description="which of the recipe's rules apply to this source"
    )
    clean: bool = Field(True, description="whether the clean stage rewrites its text")
    text_field: str = Field("text", description="JSONL, Parquet: field that holds the text")
    url_field: str = Field("url", description="JSONL, Parquet: field that holds the address")
    title_field: str = Field("title", description="JSONL, Parquet: field that holds the title")
    text_documents: Literal["file", "blank_line"] = Field(
        "blank_line", description="text files: what separates documents"
    )


class Shards(Settings):
    """Size of the pretraining shards, and documents that they hold more than once."""

    max_tokens: int = Field(DEFAULT_MAX_TOKENS, ge=1, description="most tokens in one .bin file")
    repeat_clusters: dict[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1, le=100)]] = Field(
        default_factory=dict,
        description="documents in a cluster of duplicates, at least -> how often the one that "
        "stays is written; the largest size that is reached decides; once where none is",
    )


class Pretrain(Settings):
    """Settings of `pangu train` for RUN/pretrain.yaml; its own documentation explains the keys."""

    model: dict[str, Any] = Field(default_factory=lambda: {"preset": "350M"})
    data: dict[str, Any] = Field(default_factory=dict)
    optimisation: dict[str, Any] = Field(default_factory=lambda: {"steps": 10_000})
    layout: dict[str, Any] = Field(default_factory=dict)
    checkpoint: dict[str, Any] = Field(default_factory=dict)
    logging: dict[str, Any] = Field(default_factory=dict)


class Report(Settings):
    """What the report shows."""

    examples: int = Field(3, ge=0, le=50, description="sampled documents for each drop reason")


class Recipe(Settings):
    """Everything that decides what a run builds."""

    name: str
    description: str = ""
    root: str = Field(".", description="folder that relative paths start from")
    filters: str | None = Field(
        "pangu_alpha", description="preset of rules, cleaning and word lists; null for none"
    )
    sources: list[Source] = Field(min_length=1)
    extract: ExtractSettings = ExtractSettings()
    clean: CleanSettings = CleanSettings()
    personal_data: PersonalDataSettings = PersonalDataSettings()
    words: dict[ColumnName, str | list[str]] = Field(
        default_factory=dict,
        description="list name -> `builtin`, a UTF-8 file with one phrase a line, or several; over "
        "those of the preset; null removes one",
    )
    classifiers: dict[ColumnName, ClassifierSettings] = Field(
        default_factory=dict,
        description="classifier name -> a model, or what to train one on; rules judge <name>_score",
    )
    rules: dict[str, Rule] = Field(
        default_factory=dict,
        description="rule name -> signal and limit, over those of the preset; null removes one",
    )
    deduplicate: Deduplicate = Deduplicate()
    deduplicate_lines: DeduplicateLines = DeduplicateLines()
    decontaminate: Decontaminate = Decontaminate()
    tokenizer: VocabularySettings = VocabularySettings()
    shards: Shards = Shards()
    pretrain: Pretrain = Pretrain()
    report: Report = Report()

    @model_validator(mode="before")
    @classmethod
    def _personal_data_may_be_a_rule(cls, content: Any) -> Any:
        if not isinstance(content, dict) or not isinstance(content.get("rules", {}), dict):
            return content
        try:
            rules = PersonalDataSettings.model_validate(content.get("personal_data", {})).rules()
        except ValidationError:
            return content  # validation of the block itself names the mistake
        given = content.get("rules", {})
        dropping = {name: rule.model_dump(exclude_none=True) for name, rule in rules.items()}
        changed = {name: given[name] for name in dropping if name in given}
        return {**content, "rules": {**given, **_over(dropping, changed)}}

    @field_validator("sources")
    @classmethod
    def _names_differ(cls, sources: list[Source]) -> list[Source]:
        names = [source.name for source in sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"two sources are called '{twice[0]}'; every source needs its own name"
            )
        if not any(source.weight > 0 for source in sources):
            raise ValueError("every source has weight 0; nothing would be trained on")
        return sources

    @model_validator(mode="after")
    def _rules_name_known_things(self) -> Recipe:
        signals = self.signal_names()
        for name, rule in self.rules.items():
            if rule.signal not in signals:
                raise ValueError(
                    f"rules.{name}.signal: '{rule.signal}' is not measured"
                    f"{nearest(rule.signal, signals)}"
                )
            is_word = rule.signal in SIGNALS and SIGNALS[rule.signal].dtype == "string"
            if is_word != (rule.one_of is not None):
                limits = "one_of" if is_word else "min or max"
                raise ValueError(f"rules.{name}: '{rule.signal}' is judged by {limits}")
        for source in self.sources:
            for name in source.rules if isinstance(source.rules, list) else ():
                if name not in self.rules:
                    raise ValueError(
                        f"source '{source.name}' asks for the rule '{name}', which the recipe does "
                        f"not have{nearest(name, self.rules)}"
                    )
        return self

    @model_validator(mode="after")
    def _classifiers_learn_from_known_sources(self) -> Recipe:
        sources = [source.name for source in self.sources]
        for name, classifier in self.classifiers.items():
            if classifier.train is not None:
                try:
                    classifier.train.check_sources(sources)
                except ValueError as error:
                    raise ValueError(f"classifiers.{name}.train.{error}") from None
        return self

    def signal_names(self) -> list[str]:
        """Every signal that a run of this recipe has and a rule may look at."""
        measured = all_signals(self.words)
        return [*measured, *CARRIED_SIGNALS, *score_names(self.classifiers)]

    @property
    def weights(self) -> dict[str, float]:
        """Share of the training samples of each source, relative to the others."""
        return {source.name: source.weight for source in self.sources}

    def rules_of(self, source: Source) -> dict[str, Rule]:
        """The rules that apply to a source, in the recipe's order."""
        if source.rules == "all":
            return dict(self.rules)
        return {name: rule for name, rule in self.rules.items() if name in source.rules}


def load_recipe(path: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """Reads a recipe, puts overrides and the preset's rules in place, and checks it.

    Args:
      path: YAML file. Relative paths in it start from its own folder unless it names a `root`.
      overrides: `path=value` each, such as `rules.too_short.min=200` or `sources.0.weight=2`.

    Raises:
      SettingsError: one line for each mistake.
    """
    content = _with_preset(apply_overrides(read_yaml(path), overrides), str(path))
    folder = str(Path(path).resolve().parent)
    root = str(content.get("root", "."))
    is_absolute = "://" in root or Path(root).is_absolute()
    content["root"] = root if is_absolute else str((Path(folder) / root).resolve())
    return validate(Recipe, content, str(path))


def recipe_of_preset(name: str, overrides: Iterable[str] = ()) -> Recipe:
    """A preset as a recipe without input files, for what works without a run.

    Raises:
      SettingsError: there is no such preset, or an override is wrong.
    """
    content = {"name": name, "filters": name, "sources": [{"name": "documents", "paths": ["-"]}]}
    return validate(Recipe, _with_preset(apply_overrides(content, overrides), name), name)


def _with_preset(content: dict[str, Any], origin: str) -> dict[str, Any]:
    """What the preset says, under what the recipe itself says."""
    if "preset" in content:
        raise SettingsError(f"{origin}: preset: unknown key; a preset is named by 'filters'")
    name = content.get("filters", Recipe.model_fields["filters"].default)
    if name is None:
        return content
    try:
        preset = load_preset(str(name))
    except SettingsError as error:
        raise SettingsError(f"{origin}: filters: {error}") from None
    rules = {
        rule_name: rule.model_dump(include=set(Rule.model_fields), exclude_none=True)
        for rule_name, rule in preset.rules.items()
    }
    return {
        **content,
        "clean": _over(preset.clean.model_dump(exclude_unset=True), content.get("clean")),
        "words": _over(preset.words, content.get("words")),
        "rules": _over(rules, content.get("rules")),
    }


def _over(base: Mapping[str, Any], given: Any) -> Any:
    """A block of the preset with the recipe's own keys over it; null takes a key away."""
    if given is not None and not isinstance(given, dict):
        return given  # validation names the mistake
    result = dict(base)
    for key, value in (given or {}).items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = _changed_rule(result[key], value)
        else:
            result[key] = value
    return result


def _changed_rule(rule: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    # A limit of another kind takes the place of the preset's.
    replaced = LIMITS if any(name in change for name in LIMITS) else ()
    return {**{key: value for key, value in rule.items() if key not in replaced}, **change}


def recipe_of_run(path: str) -> Recipe:
    """The resolved recipe in a run directory.

    Raises:
      UserError: there is none.
    """
    place = storage.join(path, "recipe.yaml")
    with storage.open_read(place) as file:
        return validate(Recipe, yaml.safe_load(file.read()), place)


def resolve(root: str, path: str) -> str:
    """A path of a recipe as one that can be opened: relative ones start from root."""
    if "://" in path or Path(path).is_absolute():
        return path
    if path.startswith("~"):
        return str(Path(path).expanduser())
    return storage.join(root, path)


def find_inputs(recipe: Recipe) -> list[tuple[Source, str]]:
    """Every input file of a recipe: (source, file as the recipe names it), sources in order.

    The name of a file keeps the recipe's own spelling (relative stays relative), so that ids do
    not change when a recipe and its data move together.

    Raises:
      SettingsError: a pattern names no file.
    """
    return [
        (source, name)
        for index, source in enumerate(recipe.sources)
        for name in find_files(recipe.root, source.paths, f"sources.{index}.paths")
    ]


def find_files(root: str, patterns: Iterable[str], place: str) -> list[str]:
    """The files that patterns of a recipe name, sorted, each spelled like its pattern.

    Args:
      root: folder that relative patterns start from.
      patterns: as the recipe has them.
      place: of the patterns in the recipe, for the message.

    Raises:
      SettingsError: a pattern names no file.
    """
    names: set[str] = set()
    for position, pattern in enumerate(patterns):
        target = resolve(root, pattern)
        matches = storage.glob(target)
        if not matches:
            raise SettingsError(
                f"{place}.{position}: '{pattern}' names no file (looked for {target})"
                f"{_way_out(target)}"
            )
        names.update(_spelled_like(pattern, target, match) for match in matches)
    return sorted(names)


def _way_out(target: str) -> str:
    folder, _, name = target.rpartition("/")
    neighbours = [] if "://" in target else storage.list_files(folder)
    return nearest(name, neighbours) or "; check the path, or fetch the data first"


def _spelled_like(pattern: str, target: str, match: str) -> str:
    prefix = target[: len(target) - len(pattern)] if target.endswith(pattern) else ""
    return match.removeprefix(prefix)
