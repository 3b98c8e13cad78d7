"""What is shown of a cluster: how its members were found, and in what two texts differ."""

from __future__ import annotations

import time

from click.testing import CliRunner

import pangu
from pipeline.inspection.cluster_view import (
    DIFFERENCES_SHOWN,
    compared_with,
    describe_cluster,
    differences,
)
from pipeline.run_directory import RunDirectory
from runs import FinishedRun


def test_characters_that_differ_are_marked() -> None:
    line = "春天的江南总是下着细雨，石板路上的行人撑着油纸伞，慢慢走过古老的小桥，不说话。"
    first = f"同一行\n{line}\n末行"
    assert list(differences(first, first.replace("细雨", "大雨"))) == [
        "- 春天的江南总是下着[细]雨，石板路上的行人撑着油…走过古老的小桥，不说话。",
        "+ 春天的江南总是下着[大]雨，石板路上的行人撑着油…走过古老的小桥，不说话。",
    ]


def test_several_differences_in_one_line() -> None:
    first, second = "甲乙丙丁戊己庚辛", "甲子丙丁戊丑寅庚"
    assert list(differences(first, second)) == [
        "- 甲[乙]丙丁戊[己]庚[辛]",
        "+ 甲[子]丙丁戊[丑寅]庚",
    ]
    assert list(differences("哈哈哈", "哈哈")) == ["- 哈哈[哈]", "+ 哈哈"]


def test_lines_of_one_text_only() -> None:
    assert list(differences("甲\n乙\n丙", "甲\n丙")) == ["- 乙"]
    assert list(differences("甲", "甲\n乙\n丙")) == ["+ 乙", "+ 丙"]
    assert list(differences("甲", "甲")) == ["no difference"]
    assert list(differences("", "")) == ["no difference"]


def test_what_is_shown_is_bounded_and_obeyed_by_no_terminal() -> None:
    first = "\n".join(f"{number}\x1b[31m甲" for number in range(5000))
    second = "\n".join(f"{number}\x1b[31m乙" for number in range(5000))
    lines = list(differences(first, second))
    assert len(lines) == DIFFERENCES_SHOWN + 1
    assert lines[-1] == "… more differences"
    assert not any("\x1b" in line for line in lines)


def test_long_lines_and_repeated_characters_take_bounded_time() -> None:
    started = time.process_time()
    list(differences("哈" * 3_000_000, "哈" * 2_999_999 + "嘻"))
    list(differences("\n".join(["哈" * 900] * 3000), "\n".join(["哈嘻" * 450] * 3000)))
    assert time.process_time() - started < 10


def test_cluster_of_a_finished_run(finished: FinishedRun) -> None:
    run = RunDirectory(str(finished.path))
    merged = next(row for row in finished.rows("dropped") if row["verdict"] == "merged")
    kept = next(row for row in finished.rows("corpus") if row["id"] == merged["merged_into"])
    survivor = {**kept, "merged_into": "", "kind": "", "similarity": None, "older_run": ""}
    lines = list(describe_cluster(run, survivor))
    assert lines[0] == f"kept as the best of {kept['cluster_size']} duplicates"
    assert any(line.startswith(f"{merged['id']} {merged['rule']}") for line in lines[1:])
    row = {"id": merged["id"], "merged_into": merged["merged_into"], "older_run": ""}
    assert compared_with(run, row) == kept["id"]


def test_inspect_shows_in_what_duplicates_differ(finished: FinishedRun) -> None:
    near = [row for row in finished.rows("dropped") if row["rule"] == "near"]
    result = CliRunner().invoke(pangu.program, ["inspect", str(finished.path), near[0]["id"]])
    assert f"differences  - of this text, + of {near[0]['merged_into']}" in result.output
    other = finished.rows("corpus")[0]["id"]
    command = ["inspect", str(finished.path), near[0]["id"], "--compare", other[:12]]
    assert f"+ of {other}" in CliRunner().invoke(pangu.program, command).output
