"""What a training run says: `log.jsonl` with every step, and lines or a moving line on screen."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from pangu_settings import UserError
from training.validation import Validation

LOG = "log.jsonl"


@dataclass(frozen=True)
class StepRecord:
    """One line of the log; numbers are of all ranks together."""

    step: int
    loss: float
    """Mean negative log-likelihood of the batch, in nats per token."""
    learning_rate: float
    gradient_norm: float
    """Global norm before clipping."""
    tokens: int
    """Input ids read since the beginning of the run."""
    tokens_per_second: float
    """Of all devices."""
    seconds: float
    """Time of this step, reading the batch included, saving and validation not."""
    bits_per_byte: float | None = None
    """The loss over the text instead of its tokens; None where they stand for no text."""
    is_skipped: bool = False
    """Whether the weights were left as they were, because of the loss or the norm."""
    skipped: int = 0
    """Steps skipped since the beginning of the run."""
    tokens_per_second_per_device: float | None = None
    mfu: float | None = None
    """Model FLOPs utilisation, 0 to 1, where the peak of the device is known."""
    data_wait_seconds: float = 0.0
    """Time that the slowest rank waited for its samples."""
    peak_memory_bytes: int = 0
    """Most memory in use so far, on the rank where that was most."""
    validation: Mapping[str, Validation] = field(default_factory=dict)
    """Source -> loss on its held-out samples, after this step; empty where not measured."""


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
        """Appends one step.

        Raises:
          UserError: there is no room.
        """
        try:
            self._stream.write(_line(record))
            self._stream.flush()
        except OSError as error:
            raise UserError(
                f"{self.path}: cannot be written: {error.strerror}; make room, and the same "
                "command goes on from the latest checkpoint"
            ) from None

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
            records.append(_record(json.loads(line)))
        except (ValueError, TypeError, KeyError, AttributeError):
            raise UserError(
                f"{path}:{number}: not a line of a training log; move the file away to begin "
                "a new one"
            ) from None
    return records


def _line(record: StepRecord) -> str:
    content = asdict(record)
    for key in _NUMBERS:
        # JSON has no name for what is not finite.
        if not math.isfinite(content[key]):
            content[key] = None
    if not content["validation"]:
        del content["validation"]
    return json.dumps(content) + "\n"


def _record(content: dict[str, Any]) -> StepRecord:
    for key in _NUMBERS:
        if content[key] is None:
            content[key] = math.nan
    sources = content.pop("validation", {})
    validation = {name: Validation(**numbers) for name, numbers in sources.items()}
    return StepRecord(**content, validation=validation)


_NUMBERS = ("loss", "gradient_norm")


class Progress:
    """Shows steps as they are made: one moving line on a terminal, else a line now and then."""

    def __init__(self, steps: int, every: int) -> None:
        self._steps = steps
        self._every = every
        self._is_terminal = sys.stdout.isatty()
        self._shown = 0
        self._seconds = 0.0

    def add(self, record: StepRecord) -> None:
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
        if record.is_skipped or record.validation:
            self.end()
        if record.is_skipped:
            print(
                f"step {record.step}: skipped, loss {record.loss:.4f}, gradient norm "
                f"{record.gradient_norm:.2f}; {record.skipped:,} skipped in all",
                flush=True,
            )
        for source, found in record.validation.items():
            byte = "" if found.bits_per_byte is None else f", {found.bits_per_byte:.3f} bits/byte"
            print(
                f"step {record.step}: held out of {source}: loss {found.loss:.4f}, "
                f"perplexity {found.perplexity:,.1f}{byte}",
                flush=True,
            )

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
            f"{'' if record.mfu is None else f'MFU {record.mfu:.1%}  '}"
            f"{_duration((self._steps - record.step) * seconds)} left"
        )


def _duration(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
