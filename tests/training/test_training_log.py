from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import math
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangu_settings import UserError
from training.log import Progress, StepRecord, TrainingLog, read_log
from training.loss_curve import draw_svg, draw_text
from training.validation import Validation


def record(step: int) -> StepRecord:
    return StepRecord(step, 8.0 / step, 1e-3, 0.5, 100 * step, 1000.0, 1.5)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_one_moving_line(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    progress = Progress(steps=100, every=10)
    for step in (1, 2, 3):
        progress.add(record(step))
    progress.end()
    text = screen.getvalue()
    assert text.count("\r") == 3
    assert text.count("\n") == 1
    assert "step 3/100  loss 2.6667" in text
    assert "1,000 tokens/s  2:26 left" in text


def test_a_file_gets_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(steps=25, every=10)
    for step in range(1, 26):
        progress.add(record(step))
    progress.end()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["step 10/25", "step 20/25", "step 25/25"]


def test_the_log_goes_on_where_the_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "new" / "log.jsonl"
    with TrainingLog(path, step=0) as log:
        for step in (1, 2, 3):
            log.add(record(step))
    with TrainingLog(path, step=2) as log:
        log.add(record(3))
        log.add(record(4))
    assert read_log(path) == [record(step) for step in (1, 2, 3, 4)]
    with TrainingLog(path, step=0):
        assert read_log(path) == []


def test_a_line_keeps_every_number(tmp_path: Path) -> None:
    found = Validation(labels=64, loss=4.5, perplexity=90.0, bits_per_byte=None)
    made = dataclasses.replace(record(1), bits_per_byte=2.5, mfu=0.5, validation={"书": found})
    skipped = dataclasses.replace(record(2), loss=math.nan, is_skipped=True, skipped=1)
    with TrainingLog(tmp_path / "log.jsonl", step=0) as log:
        log.add(made)
        log.add(skipped)
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    # JSON as others read it too: no NaN.
    assert json.loads(lines[1], parse_constant=pytest.fail)["loss"] is None
    first, second = read_log(tmp_path / "log.jsonl")
    assert first == made
    assert math.isnan(second.loss)
    assert second.is_skipped


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with TrainingLog(tmp_path / "log.jsonl", step=0) as log:
        disk = log._stream
        # What could not be written is tried again, in vain, when the file is closed.
        with contextlib.suppress(OSError), Path("/dev/full").open("a") as full:
            log._stream = full
            with pytest.raises(UserError, match="No space left on device; make room"):
                log.add(record(1))
        log._stream = disk


def test_skipped_steps_and_validation_get_lines_of_their_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    progress = Progress(steps=100, every=10)
    progress.add(dataclasses.replace(record(3), loss=math.inf, is_skipped=True, skipped=2))
    found = Validation(labels=64, loss=4.5, perplexity=90.0, bits_per_byte=1.25)
    progress.add(dataclasses.replace(record(4), validation={"news": found}))
    assert capsys.readouterr().out.splitlines() == [
        "step 3: skipped, loss inf, gradient norm 0.50; 2 skipped in all",
        "step 4: held out of news: loss 4.5000, perplexity 90.0, 1.250 bits/byte",
    ]


def test_a_foreign_file_in_the_place_of_the_log_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1}\n')
    with pytest.raises(UserError, match=r"log\.jsonl:1: not a line of a training log"):
        read_log(path)


@given(st.lists(st.floats(0, 20), min_size=1, max_size=200))
def test_any_losses_can_be_drawn(losses: list[float]) -> None:
    picture = ElementTree.fromstring(draw_svg(range(1, len(losses) + 1), losses, "Loss"))
    [line] = picture.iter("{http://www.w3.org/2000/svg}polyline")
    points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
    assert len(points) == len(losses)
    assert all(0 <= x <= 720 and 0 <= y <= 400 for x, y in points)
    text = draw_text(losses, width=40, height=5).splitlines()
    assert len(text) == 5
    assert all(len(line) <= 47 for line in text)


def test_a_falling_loss_is_seen_to_fall() -> None:
    losses = [2 + 6 * math.exp(-step / 20) for step in range(100)]
    rows = draw_text(losses, width=50, height=6).splitlines()
    assert [len(row.rstrip()) for row in rows] == sorted(len(row.rstrip()) for row in rows)
    assert rows[0].lstrip().startswith("7.8")
    assert rows[-1].lstrip().startswith("2.0")
