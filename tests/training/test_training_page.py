"""The page on training: its first commands do what it says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from training.log import read_log

PAGE = Path(__file__).parents[2] / "docs" / "training.md"


@pytest.mark.slow
def test_the_commands_lead_from_shards_to_a_prompt(run_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(run_folder, tmp_path / "runs" / "demo")
    section = PAGE.read_text(encoding="utf-8").split("\n## From shards to a prompt\n")[1]
    commands = section.split("```")[1].strip().splitlines()
    assert len(commands) == 5
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "OMP_NUM_THREADS": "1"}
    printed = []
    for command in commands:
        shorter = re.sub(r"--steps (\d+)00", r"--steps \1", command)
        ended = subprocess.run(
            shorter.split(),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
            cwd=tmp_path,
            env=environment,
        )
        assert ended.returncode == 0, ended.stderr
        printed.append(ended.stdout)
    for before, after in ((2, printed[1]), (4, printed[2])):
        assert f"going on from {tmp_path}/runs/demo/checkpoints/step-{before:08d}" in after
    records = read_log(tmp_path / "runs" / "demo" / "checkpoints" / "log.jsonl")
    assert [record.step for record in records] == [1, 2, 3, 4, 5, 6]
    assert printed[-1].startswith("今天")
