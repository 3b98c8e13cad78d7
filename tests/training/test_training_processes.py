from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from pangu_settings import UserError
from training.layout import Layout
from training.processes import joined_processes

FOLDER = Path(__file__).parent

SCRIPT = """
import sys
sys.path[:0] = sys.argv[1:3]
from parity import parity_settings, train
from training.engine import Engine
from training.processes import joined_processes

settings = parity_settings({"pp": 2, "micro_batches": 4})
with joined_processes(settings.layout) as device:
    loss, norm = train(Engine(settings, device))[-1]
    print(f"loss {loss:.4f}", flush=True)
"""


def test_a_process_that_was_started_alone_joins_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined_processes(Layout()) as device:
        assert device.type == ("cuda" if torch.cuda.is_available() else "cpu")
        assert not dist.is_initialized()


@pytest.mark.parametrize(
    ("started", "tp", "way_out"), [(1, 2, "--nproc-per-node=2"), (3, 2, "product is 3")]
)
def test_another_number_of_processes_is_refused_before_any_waits(
    monkeypatch: pytest.MonkeyPatch, started: int, tp: int, way_out: str
) -> None:
    monkeypatch.setenv("WORLD_SIZE", str(started))
    with pytest.raises(UserError, match=way_out), joined_processes(Layout(tp=tp)):
        pass


@pytest.mark.slow
def test_processes_of_torchrun_train_and_leave_together(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += [str(script), str(FOLDER.parents[1]), str(FOLDER)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    # Lines of two processes may run together.
    losses = re.findall(r"loss (\d+\.\d{4})", ended.stdout)
    assert len(losses) == 2
    assert losses[0] == losses[1]
