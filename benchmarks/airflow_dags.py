"""Loads the DAGs into a real Airflow and lets it build a small corpus and train a small model.

    python benchmarks/airflow_dags.py
    python benchmarks/airflow_dags.py --airflow /opt/airflow/bin     # one that is installed already

Installs Airflow into a throw-away environment, so that it stays out of the product's, and checks
that every DAG loads, the commented weekly schedule of dags/corpus.py included; that wrong
parameters are refused; that a run without and one with training ends as it should. The tasks call
the `pangu` of the environment that started this script, and the run directory has a name full of
what a shell and a template would execute.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "pipeline"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from crawl.build import describe_crawl

from runs import write_recipe

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ["apache-airflow==3.3.2", "apache-airflow-providers-standard==1.21.0"]
# Anything that were executed or rendered in it would give the folder another name.
HOSTILE_NAME = "it's $(id) `id` \"; id; {{ 7 * 7 }}"
WITHOUT_TRAINING = {
    "plan": "success",
    "run": "success",
    "training_wanted": "success",
    "train": "skipped",
}
WITH_TRAINING = {**WITHOUT_TRAINING, "train": "success"}


class Airflow:
    """An Airflow with a home, a database and a DAG folder of its own, used by its command line."""

    def __init__(self, programs: Path, home: Path, dags: Path, pangu: Path) -> None:
        self._programs = programs
        # A folder with `pangu` and nothing else: the product's Python must not be Airflow's.
        commands = home / "commands"
        commands.mkdir(parents=True)
        (commands / "pangu").symlink_to(pangu)
        self._environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(programs), str(commands), os.environ["PATH"]]),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        }

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs `airflow` with the arguments; output and errors together."""
        return subprocess.run(
            [str(self._programs / "airflow"), *arguments],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def ask(self, *arguments: str) -> Any:
        """The answer of a command that prints JSON in its last line."""
        answer = self.call(*arguments, "--output", "json")
        try:
            return json.loads(answer.stdout.splitlines()[-1])
        except (json.JSONDecodeError, IndexError):
            sys.exit(f"airflow {' '.join(arguments)} failed:\n{answer.stdout}")

    def test(self, date: str, parameters: dict[str, Any]) -> dict[str, str]:
        """One `dag.test()` of the DAG `corpus`; the state of each task."""
        tested = self.call("dags", "test", "corpus", date, "--conf", json.dumps(parameters))
        if tested.returncode != 0:
            sys.exit(f"the run of {date} failed:\n{tested.stdout}")
        rows = self.ask("tasks", "states-for-dag-run", "corpus", date)
        return {row["task_id"]: row["state"] for row in rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--airflow", type=Path, help="folder with an installed `airflow`")
    parser.add_argument("--pangu", type=Path, default=Path(sys.executable).with_name("pangu"))
    arguments = parser.parse_args()
    if not arguments.pangu.is_file():
        sys.exit(f"{arguments.pangu}: no such program; name the product's with --pangu")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        programs = arguments.airflow or install(folder / "environment")
        dags = folder / "dags"
        shutil.copytree(ROOT / "dags", dags, ignore=shutil.ignore_patterns("__pycache__"))
        (dags / "weekly.py").write_text(weekly_example(), encoding="utf-8")
        airflow = Airflow(programs.resolve(), folder / "home", dags, arguments.pangu.resolve())
        migrated = airflow.call("db", "migrate")
        check("database is ready", migrated.returncode, 0)
        check_loading(airflow)
        check_refusals(airflow)
        check_runs(airflow, folder)
    print("all as it should be")


def install(environment: Path) -> Path:
    """Makes a virtual environment with Airflow; returns the folder of its programs."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, *REQUIREMENTS], check=True)
    print(f"installed {', '.join(REQUIREMENTS)} in {time.monotonic() - started:.0f} s")
    return environment / "bin"


def weekly_example() -> str:
    """The comment at the end of dags/corpus.py, made a file of its own."""
    text = (ROOT / "dags" / "corpus.py").read_text(encoding="utf-8")
    comment = text[text.index("# from datetime import") :]
    return textwrap.dedent("\n".join(line.removeprefix("#") for line in comment.splitlines()))


def check_loading(airflow: Airflow) -> None:
    check("import errors", airflow.ask("dags", "list-import-errors", "--local"), [])
    found = sorted(row["dag_id"] for row in airflow.ask("dags", "list", "--local"))
    check("DAGs", found, ["corpus", "weekly_news"])


def check_refusals(airflow: Airflow) -> None:
    for wrong in ({"recipe": "relative.yaml"}, {"recipe": "--help"}, {"run": "x"}, {"workers": 0}):
        parameters = {"recipe": "/recipe.yaml", "run": "/run", **wrong}
        answer = airflow.call("dags", "test", "corpus", "--conf", json.dumps(parameters))
        check(f"refused: {wrong}", "ParamValidationError" in answer.stdout, True)


def check_runs(airflow: Airflow, folder: Path) -> None:
    """A corpus without training, then the same run directory with training."""
    run = folder / HOSTILE_NAME
    parameters = {"recipe": str(write_recipe(folder, describe_crawl(folder / "crawl")))}
    parameters["run"] = str(run)
    check("without training", airflow.test("2026-01-05", parameters), WITHOUT_TRAINING)
    check("report of the corpus", (run / "report" / "index.html").is_file(), True)
    check("checkpoints before training", (run / "checkpoints").exists(), False)
    states = airflow.test("2026-01-12", {**parameters, "train": True})
    check("with training", states, WITH_TRAINING)
    check("checkpoints after training", (run / "checkpoints" / "latest").is_file(), True)


def check(what: str, found: object, expected: object) -> None:
    if found != expected:
        sys.exit(f"{what}: {found}, but it should be {expected}")
    print(f"{what}: {found}")


if __name__ == "__main__":
    main()
