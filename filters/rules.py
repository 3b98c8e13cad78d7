"""Rules: a signal and a limit. Applied to columns of signals, they say which documents are kept.

Measuring knows no limits and deciding reads no text, so a changed limit costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from pangu_settings import Settings


class Rule(Settings):
    """Drops a document whose signal is below `min`, or one whose signal is above `max`."""

    signal: str = Field(description="name of a measured signal")
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _has_one_limit(self) -> Rule:
        if (self.min is None) == (self.max is None):
            raise ValueError(f"the rule on '{self.signal}' needs either min or max, and not both")
        return self

    @property
    def limit(self) -> float:
        """The limit, on whichever side it is."""
        return self.min if self.min is not None else self.max  # type: ignore[return-value]


@dataclass(frozen=True)
class Verdicts:
    """What a set of rules decided on n documents.

    Attributes:
      kept: bool (n,).
      rule: Arrow string (n,): name of the first rule that a document breaks; null where kept.
      value: float64 (n,): the signal that this rule looked at; NaN where kept.
      limit: float64 (n,): the limit of this rule; NaN where kept.
    """

    kept: np.ndarray
    rule: pa.Array
    value: np.ndarray
    limit: np.ndarray


def apply_rules(rules: Mapping[str, Rule], signals: pa.RecordBatch | pa.Table) -> Verdicts:
    """Decides on documents by their signals.

    Args:
      rules: rule name -> rule. Where a document breaks several, the first one is its reason.
      signals: a row for each document, a numeric column for each signal that a rule looks at.

    Raises:
      ValueError: a signal's column is missing, or has a null or NaN: a document that was not
        measured must never count as one that passed.
    """
    broken = np.full(signals.num_rows, -1)
    value = np.full(signals.num_rows, np.nan)
    limit = np.full(signals.num_rows, np.nan)
    for index, rule in enumerate(rules.values()):
        measured = _measured(signals, rule.signal)
        # In the column's own precision: a share of 0.7 stored as float32 is not below 0.7.
        bound = measured.dtype.type(rule.limit) if measured.dtype.kind == "f" else rule.limit
        breaks = measured < bound if rule.min is not None else measured > bound
        first = breaks & (broken < 0)
        broken[first] = index
        value[first] = _shortest_decimal(measured[first])
        limit[first] = rule.limit
    names = pa.array([*rules, None], pa.string())  # index -1 is the last: null
    reasons = names.take(pa.array(np.where(broken < 0, len(rules), broken)))
    return Verdicts(broken < 0, reasons, value, limit)


def explain_rule(rule: Rule) -> str:
    """Returns when a rule drops a document, as in "chinese_share < 0.6"."""
    return f"{rule.signal} {'<' if rule.min is not None else '>'} {rule.limit:g}"


def _measured(signals: pa.RecordBatch | pa.Table, name: str) -> np.ndarray:
    if name not in signals.schema.names:
        raise ValueError(f"the signal '{name}' was not measured; columns: {signals.schema.names}")
    column = signals.column(name)
    values: np.ndarray = column.to_numpy(zero_copy_only=False)  # nulls become NaN
    missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
    if missing.any():
        row = int(np.flatnonzero(missing)[0])
        raise ValueError(f"the signal '{name}' has no value in row {row}")
    return values


def _shortest_decimal(values: np.ndarray) -> np.ndarray:
    """float64 that print as short as the stored numbers do: float32 0.7 as 0.7, not 0.69999999."""
    return np.array([float(str(value)) for value in values])
