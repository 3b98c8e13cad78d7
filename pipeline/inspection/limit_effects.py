"""What another limit would do: shares of documents and characters that a rule removes at any limit.

Reads the columns of signals that a finished run has already measured; texts are read only of the
few documents that are shown. Some 40 bytes of memory for each document.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from filters.rules import Rule, breaks
from pangu_settings import UserError, nearest
from pipeline import storage
from pipeline.recipe import Recipe
from pipeline.run_directory import RunDirectory
from pipeline.stages import decide
from pipeline.tables import read_rows, table_path

# Samples are drawn from this share of the documents on either side of a limit, those next to it.
NEAR_SHARE = 0.05
MOST_NEAR = 300
# The share of documents that a limit of the table should remove.
REMOVED_SHARES = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
CURVE_POINTS = 200


@dataclass(frozen=True)
class Question:
    """A rule whose limit is in question.

    Attributes:
      name: of the rule or the signal; names files.
      rule: signal, side and present limit.
      present: the present limit as a number; None for a signal that no rule looks at, and for
        rules on words.
      sources: names of the sources that it is asked of.
      others: the other rules of each of these sources.
    """

    name: str
    rule: Rule
    present: float | None
    sources: tuple[str, ...]
    others: Mapping[str, Mapping[str, Rule]]


@dataclass(frozen=True)
class Measured:
    """What is known of n documents, sorted by the value of the signal.

    Attributes:
      parts: names of the parts that were read.
      values: (n,) of the signal's own type; strings for a rule on words.
      characters: int64 (n,) of the text.
      source: int32 (n,), index into the sources of the question.
      part: int32 (n,), index into `parts`; `row`: int32 (n,), the row in that part.
      others_drop: bool (n,): whether any other rule drops the document.
      keys: uint64 (n,), by which samples are drawn.
    """

    parts: tuple[str, ...]
    values: np.ndarray
    characters: np.ndarray
    source: np.ndarray
    part: np.ndarray
    row: np.ndarray
    others_drop: np.ndarray
    keys: np.ndarray


@dataclass(frozen=True)
class Effect:
    """What a rule removes at one limit, as shares of all documents or characters.

    Attributes:
      limit: the number, or for a rule on words the word that would not be allowed.
      alone: documents that no other rule drops.
      by_source: documents of each source, in the order of the question's sources.
    """

    limit: float | str
    documents: float
    characters: float
    alone: float
    by_source: tuple[float, ...]


@dataclass(frozen=True)
class Sample:
    """A document near a limit."""

    id: str
    url: str
    title: str
    text: str
    value: str


def ask(recipe: Recipe, name: str, side: str | None = None) -> Question:
    """Finds the rule, or the signal, that a question is about.

    Args:
      recipe: of the run.
      name: of a rule of the recipe, or of a signal that was measured.
      side: "min" or "max", for a signal that is no rule's name.

    Raises:
      UserError: there is no such rule or signal, or a signal comes without a side.
    """
    rule = recipe.rules.get(name)
    if rule is None:
        signals = recipe.signal_names()
        if name not in signals:
            raise UserError(
                f"'{name}' is neither a rule nor a signal of this run"
                f"{nearest(name, [*recipe.rules, *signals])}"
            )
        if side is None:
            raise UserError(
                f"'{name}' is a signal: say with --min or --max which values a rule would drop"
            )
        rule = Rule.model_validate({"signal": name, side: 0})
    elif side is not None and getattr(rule, side) is None:
        raise UserError(f"the rule '{name}' has no {side}; leave out --{side}")
    in_recipe = name in recipe.rules
    of_source = {source.name: recipe.rules_of(source) for source in recipe.sources}
    asked = {n: rules for n, rules in of_source.items() if not in_recipe or name in rules}
    if not asked:
        raise UserError(f"no source of this run has the rule '{name}'")
    others = {n: {r: rules[r] for r in rules if r != name} for n, rules in asked.items()}
    return Question(name, rule, rule.limit if in_recipe else None, tuple(asked), others)


def measure_effects(run: RunDirectory, question: Question) -> Measured:
    """Reads the columns that a question needs.

    Raises:
      UserError: the run has not come to the stage that measures them, or no document is there.
    """
    pieces: list[tuple[np.ndarray, ...]] = []
    parts: list[str] = []
    for part, batches in _parts(run, question):
        first = 0
        for batch in batches:
            source = batch.column("source")[0].as_py()  # a part is of one source
            if source in question.sources:
                dropped = np.zeros(batch.num_rows, bool)
                for rule in question.others[source].values():
                    dropped |= breaks(rule, batch.column(rule.signal))
                pieces.append(
                    (
                        batch.column(question.rule.signal).to_numpy(zero_copy_only=False),
                        np.asarray(batch.column("characters"), np.int64),
                        np.full(batch.num_rows, question.sources.index(source), np.int32),
                        np.full(batch.num_rows, len(parts), np.int32),
                        np.arange(first, first + batch.num_rows, dtype=np.int32),
                        dropped,
                        _sampling_keys(batch.column("id")),
                    )
                )
            first += batch.num_rows
        parts.append(part)
    if not pieces:
        raise UserError(f"{run.path}: no document of {', '.join(question.sources)} was measured")
    columns = [np.concatenate(column) for column in zip(*pieces, strict=True)]
    values, keys = columns[0], columns[-1]
    # Equal values in the order of a hash, so that the nearest to a limit are a fair sample.
    order = np.lexsort((keys, values.astype(str) if values.dtype == object else values))
    return Measured(tuple(parts), *(column[order] for column in columns))


def effects(question: Question, measured: Measured, limits: Sequence[float]) -> list[Effect]:
    """What the rule would remove at each limit."""
    rule, values = question.rule, measured.values
    characters = np.concatenate([[0], np.cumsum(measured.characters)])
    alone = np.concatenate([[0], np.cumsum(~measured.others_drop)])
    by_source = [values[measured.source == index] for index in range(len(question.sources))]
    found = []
    for limit in limits:
        first, after = removed_range(rule, values, limit)
        ranges = [removed_range(rule, of, limit) for of in by_source]
        found.append(
            Effect(
                limit,
                (after - first) / len(values),
                float((characters[after] - characters[first]) / max(1, characters[-1])),
                float((alone[after] - alone[first]) / len(values)),
                tuple(
                    (end - start) / max(1, len(of))
                    for of, (start, end) in zip(by_source, ranges, strict=True)
                ),
            )
        )
    return found


def effects_of_words(question: Question, measured: Measured) -> list[Effect]:
    """For a rule on words: what not allowing each word removes, the most frequent first."""
    found = []
    for word in dict.fromkeys(measured.values.tolist()):
        chosen = measured.values == word
        of_source = np.bincount(measured.source, minlength=len(question.sources))
        gone = np.bincount(measured.source[chosen], minlength=len(question.sources))
        total = max(1, int(measured.characters.sum()))
        found.append(
            Effect(
                word,
                float(chosen.mean()),
                int(measured.characters[chosen].sum()) / total,
                float((chosen & ~measured.others_drop).mean()),
                tuple((gone / np.maximum(1, of_source)).tolist()),
            )
        )
    return sorted(found, key=lambda effect: (-effect.documents, effect.limit))


def removed_range(rule: Rule, values: np.ndarray, limit: float) -> tuple[int, int]:
    """(first, after) of ascending values that a rule removes at a limit, as `breaks` would."""
    # In the column's own precision: a share of 0.7 stored as float32 is not below 0.7.
    bound = values.dtype.type(limit) if values.dtype.kind == "f" else limit
    if rule.min is not None:
        return 0, int(np.searchsorted(values, bound, "left"))
    return int(np.searchsorted(values, bound, "right")), len(values)


def table_limits(question: Question, measured: Measured) -> list[float]:
    """Limits worth a row: those that remove few, some and many documents, and the present one."""
    values = measured.values
    different = np.unique(values)
    if len(different) <= len(REMOVED_SHARES):
        return sorted({*map(float, different), *_present(question)})
    from_below = question.rule.min is not None
    shares = REMOVED_SHARES if from_below else [1 - share for share in REMOVED_SHARES]
    places = [min(len(values) - 1, int(share * len(values))) for share in shares]
    limits = {float(f"{float(values[place]):.3g}") for place in places}
    return sorted({*limits, *_present(question)})


def _present(question: Question) -> list[float]:
    return [] if question.present is None else [question.present]


def curve_limits(measured: Measured) -> list[float]:
    """Limits for a picture: every value there is, or so many spread evenly over the documents."""
    values = np.unique(measured.values)
    if len(values) > CURVE_POINTS:
        places = np.linspace(0, len(measured.values) - 1, CURVE_POINTS).astype(int)
        values = np.unique(measured.values[places])
    return [float(value) for value in values]


def samples(
    run: RunDirectory, question: Question, measured: Measured, limit: float, count: int
) -> tuple[list[Sample], list[Sample]]:
    """Documents next to a limit: those that the rule removes there, and those that it leaves.

    They are chosen by their ids, so the same run gives the same documents.
    """
    first, after = removed_range(question.rule, measured.values, limit)
    removed = np.arange(first, after)
    if question.rule.min is not None:
        left = np.arange(after, len(measured.values))
        near = removed[-_width(removed, count) :], left[: _width(left, count)]
    else:
        left = np.arange(first)
        near = removed[: _width(removed, count)], left[-_width(left, count) :]
    removed_samples, left_samples = (_read_samples(run, measured, rows, count) for rows in near)
    return removed_samples, left_samples


def samples_of_word(run: RunDirectory, measured: Measured, word: str, count: int) -> list[Sample]:
    """Documents whose signal is a word, chosen by their ids."""
    return _read_samples(run, measured, np.flatnonzero(measured.values == word), count)


def _width(side: np.ndarray, count: int) -> int:
    """How many documents count as next to the limit."""
    return max(1, count, min(MOST_NEAR, int(NEAR_SHARE * len(side))))


def _read_samples(
    run: RunDirectory, measured: Measured, near: np.ndarray, count: int
) -> list[Sample]:
    folder = run.current_folder("clean")
    chosen = near[np.argsort(measured.keys[near])[:count]]
    found = []
    for place in chosen.tolist():
        path = table_path(folder, "documents", measured.parts[measured.part[place]])
        columns = ["id", "url", "title", "text"]
        (row,) = read_rows(path, [int(measured.row[place])], columns).to_pylist()
        value = measured.values[place]
        shown = value if isinstance(value, str) else f"{value:.6g}"
        found.append(Sample(**row, value=shown))
    return found


def _parts(run: RunDirectory, question: Question) -> Iterator[tuple[str, Iterator[pa.RecordBatch]]]:
    """Every measured part of the run and the columns that the question needs of it."""
    rules = [rule for rules in question.others.values() for rule in rules.values()]
    signals = {question.rule.signal, *(rule.signal for rule in rules)}
    columns = ["id", "source", "characters", *sorted(signals - {"characters"})]
    finished = {manifest["stage"] for manifest in run.current_manifests()}
    if not {"measure", "classify"} <= finished:
        raise UserError(f"{run.path}: its documents are not measured yet; go on with pangu run")
    folders = {stage: run.current_folder(stage) for stage in ("measure", "classify")}
    for name in storage.list_files(storage.join(folders["measure"], "signals"), ".parquet"):
        part = name.removesuffix(".parquet")
        yield part, decide.read_signals(folders, part, columns)


def _sampling_keys(ids: pa.Array) -> np.ndarray:
    """uint64 (n,): the first half of each id, which is itself a hash."""
    return np.frombuffer(bytes.fromhex("".join(ids.to_pylist())), ">u8")[::2].astype(np.uint64)
