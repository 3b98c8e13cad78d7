"""Runs Beam pipelines: in this process, in several local processes, or on an engine.

Every stage is a Beam pipeline of portable transforms. Locally it runs on Beam's in-process runner;
with more than one worker the parts of a map-only stage are divided among processes that each run
the same pipeline over their share, which measured faster and sturdier than the runner's own
multi-process mode. On any other runner one pipeline holds all parts.
"""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from pangu_settings import UserError
from pipeline.parts import Part, PartOutput, PartTransform, pending_parts

# Named in full: `DirectRunner` would first try to fetch and start another runner.
LOCAL_RUNNER = "FnApiRunner"

# Work is handed out in tasks of at least this many input bytes, so that starting a pipeline costs
# little beside it, and in several for each worker, so that none works on alone at the end.
TASK_BYTES = 128 << 20
TASKS_PER_WORKER = 8


@dataclass(eq=False)
class MapParts(beam.PTransform):
    """Applies a PartTransform to every part and commits each part's outputs.

    Only file references travel through the pipeline; documents go from file to file.
    """

    transform: PartTransform
    folder: str
    step: str

    def expand(self, parts: beam.PCollection) -> beam.PCollection:
        return (
            parts
            | "Spread parts over workers" >> beam.Reshuffle()
            | "Process part" >> beam.ParDo(_ProcessPart(self.transform, self.folder, self.step))
        )


class _ProcessPart(beam.DoFn):
    def __init__(self, transform: PartTransform, folder: str, step: str) -> None:
        self._transform = transform
        self._folder = folder
        self._step = step

    def setup(self) -> None:
        self._transform.setup()

    def process(self, part: Part) -> Iterable[str]:
        with PartOutput(self._folder, self._step, part) as output:
            self._transform.process(part, output)
        yield part.name


@dataclass
class Execution:
    """Where and how wide pipelines run.

    Attributes:
      runner: any Beam runner; the default runs in this process.
      workers: local processes for map-only stages.
      options: further Beam options, as on a command line.
      on_progress: called with (parts done, parts in all) while a map-only stage runs.
      worker_seconds: processor time that the worker processes have used.
    """

    runner: str = LOCAL_RUNNER
    workers: int = 1
    options: Sequence[str] = ()
    on_progress: Callable[[int, int], None] = lambda done, total: None
    worker_seconds: float = 0.0
    _pool: ProcessPoolExecutor | None = field(default=None, repr=False)

    def map_parts(
        self, transform: PartTransform, parts: Sequence[Part], folder: str, step: str = "parts"
    ) -> None:
        """Runs a map-only step over the parts that have no record yet.

        Raises:
          UserError: a worker process died.
        """
        pending = pending_parts(folder, step, parts)
        finished = len(parts) - len(pending)
        self.on_progress(finished, len(parts))
        if not pending:
            return
        if self.runner != LOCAL_RUNNER:
            self.run(lambda root: _map(root, pending, transform, folder, step))
            self.on_progress(len(parts), len(parts))
            return
        tasks = divide(pending, self.workers)
        if self.workers == 1:
            for task in tasks:
                _map_in_process(task, transform, folder, step)
                finished += len(task)
                self.on_progress(finished, len(parts))
            return
        futures = {
            self._processes().submit(_map_in_process, task, transform, folder, step): len(task)
            for task in tasks
        }
        try:
            for future in as_completed(futures):
                self.worker_seconds += future.result()
                finished += futures[future]
                self.on_progress(finished, len(parts))
        except BrokenProcessPool:
            self._pool = None
            raise UserError(
                "a worker process was killed (out of memory?); finished parts are kept: "
                "run the same command again, with fewer workers if it happens again"
            ) from None
        finally:
            for future in futures:
                future.cancel()

    def run(self, build: Callable[[beam.Pipeline], object]) -> None:
        """Builds a pipeline and runs it to its end on the runner."""
        run_pipeline(build, [f"--runner={self.runner}", *self.options])

    def close(self) -> None:
        """Ends the worker processes, also in the middle of their work: files appear whole."""
        if self._pool is None:
            return
        for worker in multiprocessing.active_children():
            worker.terminate()
        self._pool.shutdown(cancel_futures=True)
        self._pool = None

    def _processes(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Spawned, not forked: Beam and Arrow keep threads, which a fork would cut off.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(
                self.workers, mp_context=context, initializer=_follow_parent
            )
        return self._pool


def _follow_parent() -> None:
    """Makes a worker end when its parent does, however that ended, and leaves Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def run_pipeline(build: Callable[[beam.Pipeline], object], options: Sequence[str]) -> None:
    """Builds a pipeline and runs it to its end.

    Raises:
      UserError: as a transform raised it, without the runner's note of where.
    """
    # The runner logs a failure with its traceback and then raises it; once is enough.
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    try:
        pipeline = beam.Pipeline(options=PipelineOptions(list(options)))
    except ValueError as error:
        raise UserError(f"the runner cannot be used: {error}") from None
    build(pipeline)
    try:
        pipeline.run().wait_until_finish()
    except UserError as error:
        raise UserError(re.sub(r" \[while running '.*'\]$", "", str(error))) from error
    except RuntimeError as error:
        if str(error).startswith("KeyboardInterrupt") or "\nKeyboardInterrupt" in str(error):
            raise KeyboardInterrupt from None
        raise


def _map(
    root: beam.Pipeline, parts: Sequence[Part], transform: PartTransform, folder: str, step: str
) -> object:
    return root | "Parts" >> beam.Create(list(parts)) | "Map" >> MapParts(transform, folder, step)


def _map_in_process(
    parts: Sequence[Part], transform: PartTransform, folder: str, step: str
) -> float:
    """Returns the processor time it took, in seconds."""
    start = time.process_time()
    run_pipeline(
        lambda root: _map(root, parts, transform, folder, step), [f"--runner={LOCAL_RUNNER}"]
    )
    return time.process_time() - start


def divide(parts: Sequence[Part], workers: int) -> list[list[Part]]:
    """Cuts the parts into consecutive tasks of about equal size, at least one for each worker.

    Args:
      parts: in order; a part is never cut, so fewer parts than workers make fewer tasks.
      workers: processes that the tasks are for.
    """
    ends = list(itertools.accumulate(part.bytes + 1 for part in parts))
    # As many for each worker as for the others, or one of them would work on alone in the end.
    rounds = min(TASKS_PER_WORKER, max(1, round(ends[-1] / TASK_BYTES / workers)))
    tasks = workers * rounds
    groups: list[list[Part]] = [[] for _ in range(tasks)]
    for part, end in zip(parts, ends, strict=True):
        # By its middle: by its end, the larger of two files would join the smaller one's task.
        middle = end - (part.bytes + 1) / 2
        groups[int(middle * tasks / ends[-1])].append(part)
    return [group for group in groups if group]
