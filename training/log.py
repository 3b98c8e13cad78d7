"""What a training run says: `log.jsonl` with every step, and lines or a moving line on screen."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from pangu_settings import UserError


@dataclass(frozen=True)
class StepRecord:
    """One line of the log."""

    step: int
    loss: float
    """Mean negative log-likelihood of the batch, in nats per token."""
    learning_rate: float
    gradient_norm: float
    """Global norm before clipping."""
    tokens: int
    """Input ids read since the beginning of the run."""
    tokens_per_second: float
    seconds: float
    """Time of this step, reading the batch included."""


class TrainingLog:
    """The log of one run, in a file that goes on where a resumed run goes on."""

    def __init__(self, path: Path, step: int) -> None:
        """Opens the log; lines after `step`, which no checkpoint remembers, are removed."""
        kept = [record for record in read_log(path) if record.step <= step]
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text("".join(_line(record) for record in kept), encoding="utf-8")
        partial.replace(path)
        self.path = path
        self._stream = path.open("a", encoding="utf-8")

    def add(self, record: StepRecord) -> None:
        """Appends one step."""
        self._stream.write(_line(record))
        self._stream.flush()

    def __enter__(self) -> TrainingLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.close()


def read_log(path: Path) -> list[StepRecord]:
    """Returns the steps of a log, or none where there is no file.

    A last line that was cut off while it was written is left out.

    Raises:
      UserError: a line before the last is damaged.
    """
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    records = []
    for number, line in enumerate(lines, start=1):
        if not line.endswith("\n"):
            break
        try:
            records.append(StepRecord(**json.loads(line)))
        except (ValueError, TypeError):
            raise UserError(
                f"{path}:{number}: not a line of a training log; move the file away to begin "
                "a new one"
            ) from None
    return records


def _line(record: StepRecord) -> str:
    return json.dumps(asdict(record)) + "\n"


class Progress:
    """Shows steps as they are made: one moving line on a terminal, else a line now and then."""

    def __init__(self, steps: int, every: int) -> None:
        self._steps = steps
        self._every = every
        self._is_terminal = sys.stdout.isatty()
        self._shown = 0
        self._seconds = 0.0

    def show(self, record: StepRecord) -> None:
        """Shows a step that was just made."""
        self._shown += 1
        # The first step of a process warms caches up; the others tell how long it will take.
        if self._shown > 1:
            self._seconds += record.seconds
        if self._is_terminal:
            # Back to the start of the line, and clear what the line before left behind.
            print(f"\r{self._text(record)}\x1b[K", end="", flush=True)
        elif record.step % self._every == 0 or record.step == self._steps:
            print(self._text(record), flush=True)

    def end(self) -> None:
        """Ends the moving line, so that something else can be printed."""
        if self._is_terminal and self._shown:
            print(flush=True)

    def _text(self, record: StepRecord) -> str:
        seconds = self._seconds / (self._shown - 1) if self._shown > 1 else record.seconds
        return (
            f"step {record.step}/{self._steps}  loss {record.loss:.4f}  "
            f"learning rate {record.learning_rate:.2e}  gradient norm {record.gradient_norm:.2f}  "
            f"{record.tokens_per_second:,.0f} tokens/s  "
            f"{_duration((self._steps - record.step) * seconds)} left"
        )


def _duration(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
