"""All that a training run tells while it goes on: screen, log, TensorBoard, traces of steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType

import torch

from training.config import TrainingSettings
from training.log import LOG, Progress, StepRecord, TrainingLog
from training.processes import this_rank
from training.tensorboard import TensorBoard


class Outputs:
    """What rank 0 tells about the steps; the others say nothing."""

    def __init__(self, settings: TrainingSettings, step: int) -> None:
        """Opens all that the settings ask for, behind the last step that a checkpoint remembers.

        Raises:
          UserError: something else is in the place of the log, or TensorBoard is not installed.
        """
        self._logging = settings.logging
        self._is_first = this_rank() == 0
        self._opened = ExitStack()
        self._logs: list[TrainingLog | TensorBoard | Progress] = []
        if not self._is_first:
            return
        self._folder = settings.log_directory
        self._logs.append(self._opened.enter_context(TrainingLog(self._folder / LOG, step)))
        if self._logging.tensorboard:
            board = TensorBoard(self._folder / "tensorboard", step)
            self._logs.append(self._opened.enter_context(board))
        progress = Progress(settings.optimisation.steps, self._logging.every)
        self._opened.callback(progress.end)
        self._logs.append(progress)

    def add(self, record: StepRecord) -> None:
        """Tells about a step that was just made."""
        for log in self._logs:
            log.add(record)

    @contextmanager
    def profiled(self, step: int) -> Iterator[None]:
        """Writes a trace of what is done in the context, if the step is to have one.

        It opens in chrome://tracing or at ui.perfetto.dev.
        """
        if not self._is_first or step not in self._logging.profile:
            yield
            return
        with torch.profiler.profile(record_shapes=True) as profiler:
            yield
        folder = self._folder / "profile"
        folder.mkdir(parents=True, exist_ok=True)
        profiler.export_chrome_trace(str(folder / f"step-{step:08d}.json"))

    def __enter__(self) -> Outputs:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.close()
