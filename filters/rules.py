"""Rules: a signal and a limit. Applied to columns of signals, they say which documents are kept.

Measuring knows no limits and deciding reads no text, so a changed limit costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from pangu_settings import Settings

LIMITS = ("min", "max", "one_of")


class Rule(Settings):
    """Drops a document whose signal is below `min`, above `max`, or not among `one_of`."""

    signal: str = Field(description="name of a measured signal")
    min: float | None = None
    max: float | None = None
    one_of: tuple[str, ...] | None = Field(
        None, min_length=1, description="for signals that are words, such as language"
    )

    @model_validator(mode="after")
    def _has_one_limit(self) -> Rule:
        if sum(getattr(self, name) is not None for name in LIMITS) != 1:
            raise ValueError(
                f"the rule on '{self.signal}' needs either min, max or one_of, and only one of them"
            )
        return self

    @property
    def limit(self) -> float | None:
        """The number that a value is compared with; None for a rule with `one_of`."""
        return self.min if self.min is not None else self.max


@dataclass(frozen=True)
class Verdicts:
    """What a set of rules decided on n documents.

    Attributes:
      kept: bool (n,).
      rule: Arrow string (n,): name of the first rule that a document breaks; null where kept.
      value: Arrow string (n,): the signal that this rule looked at, a number in its shortest
        decimal form; null where kept.
      limit: Arrow string (n,): the limit of this rule; null where kept.
    """

    kept: np.ndarray
    rule: pa.Array
    value: pa.Array
    limit: pa.Array


def apply_rules(rules: Mapping[str, Rule], signals: pa.RecordBatch | pa.Table) -> Verdicts:
    """Decides on documents by their signals.

    Args:
      rules: rule name -> rule. Where a document breaks several, the first one is its reason.
      signals: a row for each document, a column for each signal that a rule looks at: words for
        a rule with `one_of`, numbers for any other.

    Raises:
      ValueError: a signal's column is missing, is of the wrong type, or has a null or NaN: a
        document that was not measured must never count as one that passed.
    """
    broken = np.full(signals.num_rows, -1)
    value = np.full(signals.num_rows, None, object)
    for index, rule in enumerate(rules.values()):
        column = _measured(signals, rule)
        first = breaks(rule, column) & (broken < 0)
        broken[first] = index
        value[first] = column.filter(pa.array(first)).cast(pa.string()).to_pylist()
    chosen = pa.array(np.where(broken < 0, len(rules), broken))  # the last one is null
    names = pa.array([*rules, None], pa.string())
    limits = pa.array([*map(limit_shown, rules.values()), None], pa.string())
    return Verdicts(
        broken < 0, names.take(chosen), pa.array(value, pa.string()), limits.take(chosen)
    )


def breaks(rule: Rule, column: pa.Array) -> np.ndarray:
    """Which values of a signal break a rule: bool (n,).

    Args:
      rule: the rule.
      column: strings for a rule with `one_of`, else numbers; no nulls.
    """
    if rule.one_of is not None:
        allowed = pa.array(rule.one_of, pa.string())
        return ~np.asarray(pc.is_in(column.cast(pa.string()), allowed), bool)
    values = np.asarray(column)
    # In the column's own precision: a share of 0.7 stored as float32 is not below 0.7.
    bound = values.dtype.type(rule.limit) if values.dtype.kind == "f" else rule.limit
    broken: np.ndarray = values < bound if rule.min is not None else values > bound
    return broken


def explain_rule(rule: Rule) -> str:
    """Returns when a rule drops a document, as in "chinese_share < 0.6"."""
    if rule.one_of is not None:
        return f"{rule.signal} not {limit_shown(rule)}"
    return f"{rule.signal} {'<' if rule.min is not None else '>'} {limit_shown(rule)}"


def limit_shown(rule: Rule) -> str:
    """The limit of a rule as people and tables read it: "0.6", "150", "zh, yue"."""
    if rule.one_of is not None:
        return ", ".join(rule.one_of)
    limit = float(rule.limit or 0)
    return str(int(limit)) if limit.is_integer() else str(limit)


def _measured(signals: pa.RecordBatch | pa.Table, rule: Rule) -> pa.Array:
    name = rule.signal
    if name not in signals.schema.names:
        raise ValueError(f"the signal '{name}' was not measured; columns: {signals.schema.names}")
    column = signals.column(name)
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    is_number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    if is_number != (rule.one_of is None):
        raise ValueError(f"the rule '{explain_rule(rule)}' cannot judge a column of {column.type}")
    missing = np.asarray(pc.is_null(column, nan_is_null=True), bool)
    if missing.any():
        raise ValueError(f"the signal '{name}' has no value in row {np.flatnonzero(missing)[0]}")
    return column
