"""The commands as a user meets them: what they print, and how mistakes are answered."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from crawl.build import Crawl

import pangu
from pangu_settings import UserError
from runs import FinishedRun, digest_of_results, run_recipe, write_recipe


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(pangu.program, [str(argument) for argument in arguments])


def error(*arguments: str | Path) -> str:
    result = call(*arguments)
    assert isinstance(result.exception, UserError), result.output
    return str(result.exception)


def test_help_lists_every_verb_without_loading_a_room() -> None:
    output = call("--help").output
    assert all(verb in output for verb in pangu.VERBS)


@pytest.mark.parametrize("verb", pangu.VERBS)
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    result = call(verb, "--help")
    assert result.exit_code == 0
    assert verb == "tokenizer" or "Example" in result.output


def test_unknown_verb_is_refused() -> None:
    assert call("rnu").exit_code == 2


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name: x\nsourcs: []", "sourcs: unknown key; did you mean 'sources'?"),
        ("name: x\nsources: []", "sources: "),
        ("name: x\nsources: [{name: a, pths: [b]}]", "sources.0.pths: unknown key; did you mean"),
        (
            "name: x\nsources: [{name: a, paths: [b]}]\nrules: {too_short: {mn: 2}}",
            "rules.too_short.mn: unknown key; did you mean 'min'?",
        ),
        (
            "name: x\nsources: [{name: a, paths: [b]}]\nrules: {r: {signal: charcters, min: 2}}",
            "'charcters'",
        ),
        ("name: x\nsources: [{name: a, paths: [b], weight: heavy}]", "sources.0.weight: "),
        ("name: x\nsources: [{name: a, paths: [b], rules: [nope]}]", "'nope'"),
        ("name: x\nsources: [{name: a, paths: [b]}, {name: a, paths: [c]}]", "called 'a'"),
        ("name: x\nfilters: pangu_alfa\nsources: [{name: a, paths: [b]}]", "pangu_alpha"),
        ("name: x\nsources: [{name: a, paths: [missing/*.warc]}]", "names no file"),
    ],
)
def test_mistake_in_a_recipe_names_place_and_way_out(tmp_path: Path, text: str, line: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    message = error("plan", path)
    assert line in message
    assert len(message.splitlines()) <= 2


def test_missing_word_list_is_named(crawl: Crawl, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, crawl, words={"sensitive": "nowhere.txt"})
    assert "words.sensitive" in error("plan", recipe, "--out", tmp_path / "run")


def test_too_large_vocabulary_names_the_largest_possible(
    finished: FinishedRun, tmp_path: Path
) -> None:
    message = error(
        "run",
        finished.recipe,
        *("--out", tmp_path / "run"),
        *("--set", "tokenizer.vocabulary_size=60000"),
    )
    assert "60,000" in message
    assert "vocabulary_size" in message


def test_plan_says_why(finished: FinishedRun) -> None:
    nothing = call("plan", finished.recipe, "--out", finished.path).output
    assert "Nothing to do." in nothing
    output = call(
        *("plan", finished.recipe, "--out", finished.path, "--set", "rules.too_short.min=300")
    ).output
    lines = {line.split()[0]: line for line in output.splitlines() if line.strip()}
    assert "finished" in lines["measure"]
    assert "recipe changed" in lines["decide"]
    assert "150" in lines["decide"]
    assert "300" in lines["decide"]
    assert "input changed: decide" in lines["deduplicate"]


def test_second_run_says_that_there_is_nothing_to_do(finished: FinishedRun) -> None:
    assert "Nothing to do" in call("run", finished.recipe, "--out", finished.path).output


def test_status_lists_the_stages_in_order(finished: FinishedRun) -> None:
    lines = call("status", finished.path).output.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["extract", "clean", "measure"]
    assert all("finished" in line for line in lines)


def test_status_of_no_run_says_how_to_start_one(tmp_path: Path) -> None:
    assert "pangu run" in error("status", tmp_path)


def test_inspect_shows_a_kept_document(finished: FinishedRun) -> None:
    row = finished.rows("corpus")[0]
    output = call("inspect", finished.path, row["id"][:12]).output
    assert row["id"] in output
    assert row["url"] in output
    assert "kept by all" in output
    assert "corpus/" in output
    assert "shards/" in output
    assert row["text"][:50] in output


def test_inspect_shows_why_a_document_was_dropped(finished: FinishedRun) -> None:
    row = next(row for row in finished.rows("dropped") if row["rule"] == "too_short")
    output = call("inspect", finished.path, row["id"]).output
    assert "dropped by too_short" in output
    row = next(row for row in finished.rows("dropped") if row["rule"] == "http_status")
    output = call("inspect", finished.path, row["url"]).output
    assert "dropped by http_status: 404" in output


def test_inspect_shows_what_a_document_was_merged_into(finished: FinishedRun) -> None:
    row = next(row for row in finished.rows("dropped") if row["verdict"] == "merged")
    output = call("inspect", finished.path, row["id"]).output
    assert f"merged into {row['merged_into']}" in output
    survivor = call("inspect", finished.path, row["merged_into"]).output
    assert "kept as the best of" in survivor
    assert row["id"] in survivor


def test_inspect_answers_a_wrong_id(finished: FinishedRun) -> None:
    assert "no document" in error("inspect", finished.path, "0" * 32)
    assert "at least 6" in error("inspect", finished.path, "0")


def test_run_directory_that_is_a_file_is_refused(finished: FinishedRun, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    assert "is a file" in error("run", finished.recipe, "--out", path)


def start_run(recipe: Path, out: Path) -> subprocess.Popen[str]:
    """Starts `pangu run` with two workers and returns when both are there."""
    command = [sys.executable, "-m", "pangu", "run", str(recipe), "--out", str(out)]
    process = subprocess.Popen(
        [*command, "--workers", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while len(workers_of(process.pid)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    return process


def workers_of(pid: int) -> list[int]:
    """Child processes that run tasks, without multiprocessing's resource tracker."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    lines = {int(child): Path(f"/proc/{child}/cmdline").read_text() for child in children}
    return [child for child, line in lines.items() if "spawn_main" in line]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to see children")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_ended_run_leaves_no_worker_behind(
    recipe: Path, finished: FinishedRun, tmp_path: Path, how: signal.Signals
) -> None:
    process = start_run(recipe, tmp_path / "run")
    workers = workers_of(process.pid)
    assert len(workers) == 2
    os.kill(process.pid, how)
    output, _ = process.communicate(timeout=30)
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < deadline, "a worker outlived the run"
        time.sleep(0.05)
    if how == signal.SIGINT:
        assert "interrupted" in output
        assert "Traceback" not in output
    run_recipe(recipe, tmp_path / "run")
    assert digest_of_results(tmp_path / "run") == digest_of_results(finished.path)


@pytest.mark.parametrize(
    ("package", "verb", "extra"), [("torch", "train", "train"), ("apache_beam", "run", "data")]
)
def test_missing_package_names_the_extra_that_brings_it(
    recipe: Path, package: str, verb: str, extra: str
) -> None:
    code = (
        f"import sys; sys.modules['{package}'] = None; import pangu; "
        f"sys.argv = ['pangu', '{verb}', {str(recipe)!r}] + "
        f"(['--out', 'unused'] if '{verb}' == 'run' else []); pangu.main()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 1
    assert f"pip install '.[{extra}]'" in result.stderr
    assert "Traceback" not in result.stderr


def test_place_that_cannot_be_written_to_is_named(recipe: Path) -> None:
    assert "/dev/null/run" in error("run", recipe, "--out", "/dev/null/run")


def test_unknown_runner_is_answered_with_the_known_ones(recipe: Path, tmp_path: Path) -> None:
    message = error("run", recipe, "--out", tmp_path / "run", "--runner", "SparkRuner")
    assert "SparkRunner" in message
