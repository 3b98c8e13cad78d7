"""`pangu whatif` says what another limit would remove; a run with it removes just that."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import pangu
from filters.rules import Rule, breaks
from pangu_settings import UserError
from pipeline.inspection import limit_effects
from pipeline.recipe import recipe_of_run
from pipeline.run_directory import RunDirectory
from pipeline.tables import read_rows
from runs import FinishedRun, run_recipe


@pytest.fixture(scope="module")
def run(finished: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A copy of the finished run: pictures are written into it."""
    folder = tmp_path_factory.mktemp("whatif") / "run"
    shutil.copytree(finished.path, folder)
    return FinishedRun(folder, finished.recipe)


def measured(
    run: FinishedRun, name: str, side: str | None = None
) -> tuple[limit_effects.Question, limit_effects.Measured]:
    question = limit_effects.ask(recipe_of_run(str(run.path)), name, side)
    return question, limit_effects.measure_effects(RunDirectory(str(run.path)), question)


def signals(run: FinishedRun) -> pa.Table:
    (folder,) = (run.path / "stages").glob("measure-*")
    return pa.concat_tables(map(pq.read_table, sorted((folder / "signals").glob("*.parquet"))))


def test_shares_are_those_of_the_measured_columns(run: FinishedRun) -> None:
    question, found = measured(run, "too_short")
    assert question.sources == ("web", "encyclopedia", "stories")
    columns = signals(run)
    lengths = columns.column("characters").to_numpy()
    for effect in limit_effects.effects(question, found, [0, 150, 300, 10**6]):
        short = lengths < effect.limit
        assert effect.documents == pytest.approx(short.mean())
        assert effect.characters == pytest.approx(lengths[short].sum() / lengths.sum())
        for source, share in zip(question.sources, effect.by_source, strict=True):
            of_source = np.asarray(columns.column("source")) == source
            assert share == pytest.approx(short[of_source].mean())


def test_what_only_this_rule_drops_is_what_a_run_with_the_limit_drops_more(
    run: FinishedRun, tmp_path: Path
) -> None:
    question, found = measured(run, "too_short")
    now, then = limit_effects.effects(question, found, [150, 330])
    shutil.copytree(run.path, tmp_path / "run")
    run_recipe(run.recipe, tmp_path / "run", overrides=("rules.too_short.min=330",))
    after = FinishedRun(tmp_path / "run", run.recipe)

    def decided(which: FinishedRun) -> int:
        return sum(row["stage"] == "decide" for row in which.rows("dropped"))

    more = round((then.alone - now.alone) * len(found.values))
    assert more > 5
    assert decided(after) - decided(run) == more


def test_samples_lie_on_their_side_and_are_the_same_again(run: FinishedRun) -> None:
    question, found = measured(run, "too_short")
    directory = RunDirectory(str(run.path))
    removed, left = limit_effects.samples(directory, question, found, 400, 3)
    assert len(removed) == len(left) == 3
    assert all(int(s.value) < 400 and len(s.text) == int(s.value) for s in removed)
    assert all(int(s.value) >= 400 and len(s.text) == int(s.value) for s in left)
    assert limit_effects.samples(directory, question, found, 400, 3) == (removed, left)
    assert limit_effects.samples(directory, question, found, 0, 3)[0] == []


def test_a_rule_of_some_sources_asks_those_only(run: FinishedRun) -> None:
    question, found = measured(run, "sensitive")
    assert question.sources == ("web", "encyclopedia")
    assert len(found.values) < signals(run).num_rows


values_of = st.lists(st.one_of(st.integers(0, 9), st.floats(0, 1, width=32)), min_size=1)


@given(values_of, st.floats(0, 10), st.sampled_from(["min", "max"]))
def test_sorted_values_are_cut_where_the_rule_cuts(
    values: list[float], limit: float, side: str
) -> None:
    ascending = np.sort(np.array(values, np.float32))
    rule = Rule.model_validate({"signal": "x", side: limit})
    first, after = limit_effects.removed_range(rule, ascending, limit)
    assert np.flatnonzero(breaks(rule, pa.array(ascending))).tolist() == list(range(first, after))


def call(*arguments: str | Path) -> str:
    result = CliRunner().invoke(pangu.program, ["whatif", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.output


def test_command_prints_table_histogram_and_texts(run: FinishedRun) -> None:
    output = call(run.path, "too_short", "--limit", "300", "--samples", "2")
    assert "drops where characters < 150, now" in output
    assert "\n*        150" in output
    assert "\n>        300" in output
    assert "█" in output
    assert "removed, next to characters 300:" in output
    assert "left, next to characters 300:" in output
    assert output == call(run.path, "too_short", "--limit", "300", "--samples", "2")


def test_command_writes_picture_and_curve(run: FinishedRun) -> None:
    call(run.path, "digit_share", "--max")
    picture = (run.path / "whatif" / "digit_share.svg").read_text(encoding="utf-8")
    assert "<svg" in picture
    assert "drops where digit_share" in picture
    with (run.path / "whatif" / "digit_share.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    removed = [float(row["documents"]) for row in rows]
    assert removed == sorted(removed, reverse=True)
    assert removed[-1] == 0
    call(run.path, "digit_share", "--max")
    assert (run.path / "whatif" / "digit_share.svg").read_text(encoding="utf-8") == picture


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["too_shrt"], "did you mean 'too_short'?"),
        (["digit_share"], "say with --min or --max"),
        (["too_short", "--max"], "has no max"),
        (["too_short", "--limit", "many"], "compares with a number"),
    ],
)
def test_mistakes_are_answered(run: FinishedRun, arguments: list[str], line: str) -> None:
    result = CliRunner().invoke(pangu.program, ["whatif", str(run.path), *arguments])
    assert isinstance(result.exception, UserError)
    assert line in str(result.exception)


def test_no_run_is_answered_with_how_to_start_one(tmp_path: Path) -> None:
    result = CliRunner().invoke(pangu.program, ["whatif", str(tmp_path), "too_short"])
    assert "pangu run" in str(result.exception)


@pytest.mark.parametrize("group_rows", [1, 3, 100])
def test_chosen_rows_are_read_in_the_order_asked_for(tmp_path: Path, group_rows: int) -> None:
    path = str(tmp_path / "rows.parquet")
    table = pa.table({"number": range(10), "word": [str(n) for n in range(10)]})
    pq.write_table(table, path, row_group_size=group_rows)
    for rows in ([], [0], [9, 0, 4, 4], [7, 8]):
        assert read_rows(path, rows, ["number"]).column("number").to_pylist() == rows
    assert read_rows(path, [3]).column_names == ["number", "word"]
    with pytest.raises(IndexError):
        read_rows(path, [10])
