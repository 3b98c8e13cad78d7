"""The life of one document of a run: where it was read, what each stage found, how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc

from filters.rules import Rule, explain_rule
from pangu_settings import UserError
from pipeline import cuts, storage
from pipeline.commands.terminal import one_line
from pipeline.inspection.cluster_view import compared_with, describe_cluster, differences
from pipeline.inspection.leak_view import describe_leaks
from pipeline.recipe import recipe_of_run
from pipeline.repetition import times_written
from pipeline.run_directory import CURRENT, RunDirectory
from pipeline.tables import read_rows, read_table, table_path

SHORTEST_PREFIX = 6
TITLE_CHARACTERS = 200
CUT_CHARACTERS = 80


@dataclass(frozen=True)
class Place:
    """Where a document was found: table of the extract stage, part and row."""

    table: str
    part: str
    row: int
    id: str


def find_document(run: RunDirectory, wanted: str) -> Place:
    """Finds a document by id, by the start of its id, or by its exact URL.

    Raises:
      UserError: there is none, or the start of an id fits several.
    """
    found: list[Place] = []
    folder = run.current_folder("extract")
    by_url = "://" in wanted
    if not by_url and len(wanted) < SHORTEST_PREFIX:
        raise UserError(f"'{wanted}': give at least {SHORTEST_PREFIX} digits of an id, or a URL")
    for table in ("documents", "dropped"):
        for name in storage.list_files(storage.join(folder, table), ".parquet"):
            part = name.removesuffix(".parquet")
            columns = read_table(table_path(folder, table, part), ["id", "url"])
            if by_url:
                hits = pc.equal(columns.column("url"), wanted)
            else:
                hits = pc.starts_with(columns.column("id"), wanted)
            # Not pc.indices_nonzero: it crashes on a column without chunks (pyarrow 25).
            for row in np.flatnonzero(np.asarray(hits)).tolist():
                found.append(Place(table, part, row, columns.column("id")[row].as_py()))
    if not found:
        raise UserError(
            f"'{wanted}': no document of {run.path} has that id or URL; "
            "ids are in corpus/*.parquet, dropped/*.parquet and the report"
        )
    if len(found) > 1:
        shown = ", ".join(place.id for place in found[:5])
        raise UserError(f"'{wanted}' fits {len(found)} documents: {shown}; give a whole id")
    return found[0]


def describe(
    run: RunDirectory, wanted: str, characters: int = 500, compare: str = ""
) -> Iterator[str]:
    """Yields the lines that `pangu inspect` prints.

    Args:
      run: the run directory.
      wanted: id, start of an id, or URL.
      characters: how much of the text to show.
      compare: id, start of an id, or URL of a document to compare the text with; by default one of
        the same cluster, where there is one.

    Raises:
      UserError: see find_document.
    """
    place = find_document(run, wanted)
    row = _row(table_path(run.current_folder("extract"), place.table, place.part), place.row)
    yield f"id           {row['id']}"
    yield f"url          {row['url']}"
    yield f"title        {one_line(row['title'], TITLE_CHARACTERS)}"
    yield f"source       {row['source']}: {row['file']} at offset {row['offset']:,}"
    if place.table == "dropped":
        yield f"extract      dropped by {row['rule']}: {row['value']} (passes: {row['limit']})"
        return
    yield f"captured     {row['captured_at'] or 'unknown'}"
    yield f"extract      {_extraction(row)}"
    cleaned = _row(table_path(run.current_folder("clean"), "documents", place.part), place.row)
    yield f"clean        {_cleaning(row, cleaned)}"
    recipe = recipe_of_run(run.path)
    (source,) = (source for source in recipe.sources if source.name == row["source"])
    rules = recipe.rules_of(source)
    signals = _row(table_path(run.current_folder("measure"), "signals", place.part), place.row)
    if recipe.classifiers:
        scores = table_path(run.current_folder("classify"), "scores", place.part)
        signals |= _row(scores, place.row)
    for index, name in enumerate(recipe.signal_names()):
        line = _measurement(name, signals[name], rules)
        yield f"{'measure' if index == 0 else '':<13}{line}"
    verdict = _row(table_path(run.current_folder("decide"), "verdicts", place.part), place.row)
    if not verdict["kept"]:
        yield (
            f"decide       dropped by {verdict['rule']}: {verdict['value']} "
            f"(limit {verdict['limit']})"
        )
    else:
        yield f"decide       kept by all {len(rules)} rules; quality {verdict['quality']:.3f}"
        merge = _row(
            table_path(run.current_folder("deduplicate"), "verdicts", place.part), place.row
        )
        for index, line in enumerate(describe_cluster(run, merge)):
            yield f"{'deduplicate' if index == 0 else '':<13}{line}"
        if merge["kept"]:
            yield from _taken_away(run, place, cleaned["text"])
        yield from _differences(run, merge, cleaned["text"], compare)
    yield "text"
    text = cleaned["text"]
    yield from (f"  {one_line(line, characters)}" for line in text[:characters].splitlines())
    if len(text) > characters:
        yield f"  … {len(text) - characters:,} more characters"


def _extraction(row: dict[str, Any]) -> str:
    encoding = row["encoding"] or "text as given"
    repaired = f", {row['replaced']} characters could not be decoded" if row["replaced"] else ""
    return (
        f"{row['content_type'] or 'no content type'}, {encoding}{repaired}; "
        f"{row['raw_bytes']:,} bytes → {len(row['text']):,} characters of text"
    )


def _cleaning(before: dict[str, Any], after: dict[str, Any]) -> str:
    prefix = "removed_"
    removed = [
        f"{count} {name.removeprefix(prefix)}"
        for name, count in after.items()
        if name.startswith(prefix) and count
    ]
    lines = f"; lines taken out: {', '.join(removed)}" if removed else ""
    return f"{len(before['text']):,} → {len(after['text']):,} characters{lines}"


def _measurement(name: str, value: Any, rules: dict[str, Rule]) -> str:
    shown = f"{value:.3f}" if isinstance(value, float) else str(value)
    limits = "; ".join(explain_rule(rule) for rule in rules.values() if rule.signal == name)
    return f"{name:<30}{shown:>10}" + (f"   dropped where {limits}" if limits else "")


def _differences(run: RunDirectory, merge: dict[str, Any], text: str, other: str) -> Iterator[str]:
    """Yields in what the text differs from another one, by default of a member of the cluster."""
    compared = find_document(run, other).id if other else compared_with(run, merge)
    if compared is None or compared == merge["id"]:
        return
    place = find_document(run, compared)
    if place.table == "dropped":
        raise UserError(f"{place.id}: the stage extract dropped it, so it has no text to compare")
    path = table_path(run.current_folder("clean"), "documents", place.part)
    yield f"differences  - of this text, + of {place.id}"
    for line in differences(text, _row(path, place.row)["text"]):
        yield f"  {line}"


def _taken_away(run: RunDirectory, place: Place, text: str) -> Iterator[str]:
    """Yields what stages after deduplication took away, and where the rest is."""
    stages = [entry["stage"] for entry in run.read_record(CURRENT)["stages"]]
    folders = {name: run.current_folder(name) for name in cuts.STAGES if name in stages}
    merges = read_table(
        table_path(run.current_folder("deduplicate"), "verdicts", place.part), ["kept"]
    )
    kept = np.asarray(merges.column("kept"))
    stages_on = cuts.stages_on(folders)
    removals = cuts.read_removals(folders, stages_on, place.part, kept)
    if "decontaminate" in stages_on:
        for line in describe_leaks(folders["decontaminate"], place.part, place.id):
            yield f"leak         {line}"
    if place.row in removals.dropped:
        dropped = removals.dropped[place.row]
        yield (
            f"{dropped.stage:<12} dropped by {dropped.rule}: {dropped.value} "
            f"(limit {dropped.limit})"
        )
        return
    _, taken = cuts.cut(text, removals.spans(place.row, 1).get(place.row, []))
    for index, span in enumerate(taken):
        shown = one_line(text[span.start : span.end], CUT_CHARACTERS)
        yield (
            f"{'' if index else 'cut':<13}{span.end - span.start:,} characters at {span.start:,} "
            f"({span.reason}): {shown}"
        )
    yield from _placement(run, place, int(removals.kept[: place.row].sum()))


def _placement(run: RunDirectory, place: Place, position: int) -> Iterator[str]:
    yield f"mix          corpus/{place.part}.parquet, row {position}"
    shards = storage.read_json_or_none(run.join("shards", "index.json"))
    if shards is None:
        return
    sizes = read_table(run.join("corpus", f"{place.part}.parquet"), ["cluster_size"])
    table = recipe_of_run(run.path).shards.repeat_clusters
    times = times_written(np.asarray(sizes.column("cluster_size")), table)
    is_repeated = times > 1
    again = f", written {times[position]} times" if is_repeated[position] else ""
    left = int((is_repeated[:position] == is_repeated[position]).sum())
    for shard in shards["shards"]:
        stem = f"{place.part}.repeated" if is_repeated[position] else place.part
        if shard["name"].rpartition("-")[0] != stem:
            continue
        if left < shard["documents"]:
            yield f"shards       shards/{shard['name']}.bin, document {left}{again}"
            return
        left -= shard["documents"]


def _row(path: str, row: int) -> dict[str, Any]:
    (found,) = read_rows(path, [row]).to_pylist()
    return dict(found)
