"""What the training loop costs beside the engine: reading, judging, logging, showing.

    python benchmarks/training_loop.py demo/run/pretrain.yaml --steps 60

Trains as `pangu train` does, in a folder that is thrown away, and measures CPU time: of the engine
(forward, backward, clipping, step) in its own thread, and of the whole process, the thread that
reads batches ahead included. What is left over is the loop. One thread computes, so that nothing is
counted twice. Validation and checkpoints, which do not come with every step, are left out.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

# Before torch is imported, as in `pangu train`.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import click
import torch

from training import load_settings
from training.data import Batch
from training.engine import Engine
from training.train import train

WARM_UP = 5


class Clock:
    """CPU seconds of the engine and of the process at the start of each step."""

    def __init__(self) -> None:
        self.engine = 0.0
        self.starts: list[tuple[float, float]] = []

    def gradients(self, engine: Engine, batch: Batch) -> tuple[float, float]:
        """Runs and times a step's passes."""
        self.starts.append((time.process_time(), self.engine))
        started = time.thread_time()
        result = REAL_GRADIENTS(engine, batch)
        self.engine += time.thread_time() - started
        return result

    def update(self, engine: Engine, rate: float) -> None:
        """Runs and times a step's update."""
        started = time.thread_time()
        REAL_UPDATE(engine, rate)
        self.engine += time.thread_time() - started


REAL_GRADIENTS, REAL_UPDATE = Engine.gradients, Engine.update


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--set", "overrides", multiple=True, metavar="PATH=VALUE", help="As in `pangu train`."
)
@click.option("--steps", default=60, show_default=True)
def main(config: Path, overrides: tuple[str, ...], steps: int) -> None:
    """Measures the loop of CONFIG."""
    torch.set_num_threads(1)
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(
            config,
            [
                *overrides,
                f"optimisation.steps={steps}",
                f"checkpoint.directory={folder}",
                f"checkpoint.every={steps}",
                f"logging.validate_every={steps}",
                "logging.every=1",
            ],
        )
        with (
            mock.patch.object(Engine, "gradients", lambda e, b: clock.gradients(e, b)),
            mock.patch.object(Engine, "update", lambda e, r: clock.update(e, r)),
        ):
            records = train(settings).records[WARM_UP:]
    (first, first_engine), (last, last_engine) = clock.starts[WARM_UP], clock.starts[-1]
    counted = len(clock.starts) - 1 - WARM_UP
    engine = last_engine - first_engine
    loop = last - first - engine
    click.echo(
        f"{counted} steps of {settings.optimisation.batch} samples of {settings.sequence_length}: "
        f"engine {engine / counted * 1000:.2f} ms of CPU a step, loop "
        f"{loop / counted * 1000:.2f} ms ({loop / engine:.2%} of the engine)"
    )
    waited = statistics.median(record.data_wait_seconds for record in records)
    share = waited / statistics.median(record.seconds for record in records)
    click.echo(f"waiting for samples: {share:.3%} of the time of a step (medians)")


if __name__ == "__main__":
    main()
