"""The schedules as text, and as DAGs where Airflow is installed."""

from __future__ import annotations

import ast
import re
import shlex
import sys
from pathlib import Path

import click
import pytest

import pangu

DAGS = Path(__file__).parent.parent.parent / "dags"
FILES = sorted(DAGS.glob("*.py"))
EXAMPLES = {"RECIPE": "/data/recipe.yaml", "RUN": "/data/runs/news", "WORKERS": "2"}


def imported_libraries(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, (
                "Airflow loads each file by itself, so it cannot import beside it"
            )
            names.add((node.module or "").partition(".")[0])
    return names


def bash_commands() -> list[str]:
    """Every `bash_command`; each must be a plain string, so that nothing is spliced into it."""
    keywords = [
        node
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.keyword) and node.arg == "bash_command"
    ]
    return [ast.literal_eval(keyword.value) for keyword in keywords]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_schedule_imports_airflow_and_the_standard_library_only(path: Path) -> None:
    assert imported_libraries(path) - sys.stdlib_module_names <= {"airflow"}


def test_verbs_are_planned_run_and_trained() -> None:
    assert [shlex.split(command)[:2] for command in bash_commands()] == [
        ["pangu", "plan"],
        ["pangu", "run"],
        ["pangu", "train"],
    ]


@pytest.mark.parametrize("command", bash_commands())
def test_command_is_one_that_pangu_accepts(command: str) -> None:
    _, verb, *words = shlex.split(command)
    arguments = [re.sub(r"\$(\w+)", lambda match: EXAMPLES[match[1]], word) for word in words]
    assert verb in pangu.VERBS
    with click.Context(pangu.program) as context:
        found = pangu.program.get_command(context, verb)
        assert found is not None
        found.make_context(verb, arguments)


@pytest.mark.parametrize("command", bash_commands())
def test_parameters_stand_in_double_quotes_and_nowhere_else(command: str) -> None:
    outside = re.sub(r'"[^"]*"', "", command)
    assert re.fullmatch(r"[a-z -]+", outside), "quotes, $ or {{ }} outside of double quotes"
    assert all(re.fullmatch(r"\$[A-Z]+[\w./]*", word) for word in re.findall(r'"([^"]*)"', command))


def test_airflow_loads_the_dag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Airflow reads both when it is imported.
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
    dagbag = pytest.importorskip(
        "airflow.dag_processing.dagbag",
        reason="Airflow is not installed here; benchmarks/airflow_dags.py installs it apart",
    )

    bag = dagbag.DagBag(DAGS)
    assert bag.import_errors == {}
    dag = bag.dags["corpus"]
    assert [task.task_id for task in dag.topological_sort()] == [
        "plan",
        "run",
        "training_wanted",
        "train",
    ]
    assert dag.get_task("plan").retries == 0
    assert dag.get_task("run").retries > 0
    assert dag.get_task("train").retries > 0
