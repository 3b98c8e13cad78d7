"""The recipe's schema for editors, which then complete keys and mark mistakes while one writes."""

from __future__ import annotations

from typing import Any

from pipeline.recipe import Recipe


def recipe_schema() -> dict[str, Any]:
    """JSON Schema of a recipe as people write it.

    It allows what loading fills in or takes away: a rule of the preset may be given in part, and
    null removes a rule or a word list.
    """
    schema = Recipe.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["$defs"]["Rule"].pop("required")
    rules, words = (schema["properties"][block] for block in ("rules", "words"))
    rules["additionalProperties"] = _or_null(rules["additionalProperties"])
    words["patternProperties"] = {
        pattern: _or_null(value) for pattern, value in words["patternProperties"].items()
    }
    for block in ("words", "classifiers"):
        schema["properties"][block]["additionalProperties"] = False
    return schema


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}
