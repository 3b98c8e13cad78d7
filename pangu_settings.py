"""Settings that people write: strict YAML, dotted overrides, one line for each mistake.

Both halves of the project read their settings through this module, so that a recipe and a
training configuration fail in the same words.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

# How many valid names a message lists when none is near.
MOST_CHOICES = 20


class UserError(Exception):
    """An error whose message is all that a user needs: what is wrong, where, and the way out."""


class SettingsError(UserError):
    """A settings file or override that cannot be used; the message has one line per mistake."""


class Settings(BaseModel):
    """Base of every block of settings: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


SettingsType = TypeVar("SettingsType", bound=Settings)


class _UniqueKeyLoader(yaml.SafeLoader):
    """Safe YAML in which a key written twice is an error instead of a silent overwrite."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key_node.value}' is written twice", key_node.start_mark
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Returns the mapping in a YAML file.

    Raises:
      SettingsError: the file is missing, is not YAML, or does not hold a mapping.
    """
    path = Path(path)
    try:
        # The loader derives from SafeLoader: no tags that build Python objects.
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
    except FileNotFoundError:
        near = nearest(path.name, (p.name for p in path.parent.glob("*.y*ml")))
        raise SettingsError(f"{path}: no such file{near}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise SettingsError(f"{path}{place}: not valid YAML: {problem}") from None
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: expected keys and values, found {type(content).__name__}")
    return content


def apply_overrides(content: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Returns a copy of content with each `a.b.c=value` of overrides put in place.

    A number in the path picks an element of a list (`sources.0.weight=2`). Values are YAML.

    Raises:
      SettingsError: an override has no `=`, or its path runs through a plain value.
    """
    result = copy.deepcopy(content)
    for override in overrides:
        path, equals, text = override.partition("=")
        if not equals:
            raise SettingsError(f"--set {override}: write it as path=value")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise SettingsError(f"--set {override}: '{text}' is not a YAML value") from None
        _put(result, path.strip().split("."), value, override)
    return result


def _put(target: Any, path: list[str], value: Any, override: str) -> None:
    head, *rest = path
    if isinstance(target, list):
        if not head.isdigit() or int(head) >= len(target):
            raise SettingsError(
                f"--set {override}: '{head}' is not an index below {len(target)} of that list"
            )
        if rest:
            _put(target[int(head)], rest, value, override)
        else:
            target[int(head)] = value
    elif isinstance(target, dict):
        if not rest:
            target[head] = value
            return
        if target.get(head) is None:
            target[head] = {}
        _put(target[head], rest, value, override)
    else:
        raise SettingsError(f"--set {override}: '{head}' lies below a plain value")


def validate(model: type[SettingsType], content: Mapping[str, Any], origin: str) -> SettingsType:
    """Returns content as an instance of model.

    Args:
      model: the settings class.
      content: plain mapping, as YAML gives it.
      origin: file name that messages begin with.

    Raises:
      SettingsError: one line per unknown key, wrong type or broken constraint, each with its
        dotted place and, for an unknown key, the nearest valid name.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        lines = [_explain(model, problem, origin) for problem in error.errors()]
        raise SettingsError("\n".join(dict.fromkeys(lines))) from None


def load(
    model: type[SettingsType], path: str | Path, overrides: Iterable[str] = ()
) -> SettingsType:
    """Reads, overrides and validates one settings file; raises SettingsError."""
    return validate(model, apply_overrides(read_yaml(path), overrides), str(path))


def _explain(model: type[BaseModel], problem: Any, origin: str) -> str:
    location = [part for part in problem["loc"] if not _is_union_label(part)]
    place = ".".join(str(part) for part in location) or "(top level)"
    if problem["type"] == "extra_forbidden":
        owner = _model_at(model, location[:-1])
        names = owner.model_fields if owner else ()
        near = nearest(str(location[-1]), names)
        return f"{origin}: {place}: unknown key{near}"
    if problem["type"] == "missing":
        return f"{origin}: {place}: missing"
    message = problem["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    given = problem.get("input")
    shown = "" if isinstance(given, Mapping | list) else f" (found {given!r})"
    return f"{origin}: {place}: {message}{shown}"


def _is_union_label(part: Any) -> bool:
    """pydantic adds the name of the union member it tried, such as `list[str]`, to the place."""
    return isinstance(part, str) and ("[" in part or part in ("str", "int", "float", "bool"))


def _model_at(model: type[BaseModel], location: Iterable[Any]) -> type[BaseModel] | None:
    """The settings class that a place within a model belongs to."""
    annotation: Any = model
    for part in location:
        owner = _only_model(annotation)
        if owner is not None:
            field = owner.model_fields.get(str(part))
            annotation = field.annotation if field else None
        else:
            # An element of a list or a value of a mapping.
            annotation = next(reversed(get_args(_without_none(annotation))), None)
    return _only_model(annotation)


def _only_model(annotation: Any) -> type[BaseModel] | None:
    """The settings class that an annotation such as `X` or `X | None` names directly."""
    annotation = _without_none(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return None


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        return members[0] if len(members) == 1 else annotation
    return annotation


def nearest(name: str, valid: Iterable[str]) -> str:
    """What to add to a message about an unknown name: the nearest valid one, or some of them."""
    choices = sorted(valid)
    close = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    if close:
        return f"; did you mean '{close[0]}'?"
    shown = ", ".join(choices[:MOST_CHOICES]) + (" …" if len(choices) > MOST_CHOICES else "")
    return f"; valid: {shown}" if choices else ""
