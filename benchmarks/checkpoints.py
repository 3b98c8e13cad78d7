"""How long training waits for a checkpoint, and how long resuming from one takes.

    python benchmarks/checkpoints.py --directory runs --repeat 3

Saves and restores the state of a model (weights, both moments; random numbers for moments, since
zeros could be cheaper to write) in one process, in three ways of saving: as `pangu train` does by
default, as it does with `checkpoint.asynchronous`, and with one plain `torch.save`, which has no
index, no checksum that is verified, and no other layout to go on in. Prints seconds, fastest of
some, and what they are of `torch.save`. Files are flushed to the disk in all three.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import click
import torch
from torch import Tensor

from training import TrainingSettings
from training.checkpoint import Checkpoints, Manifest, random_state
from training.engine import Engine

CPU = torch.device("cpu")


def seconds(act: Callable[[], object]) -> float:
    """Returns how long an act takes."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def save_plainly(tensors: dict[str, Tensor], path: Path) -> None:
    """Writes all tensors into one file and flushes it to the disk."""
    with path.open("wb") as file:
        torch.save(tensors, file)
        file.flush()
        os.fsync(file.fileno())


def times_of_one_round(engine: Engine, folder: Path) -> dict[str, float]:
    """Returns the seconds of each way of saving, and of restoring, in an empty folder."""
    manifest = Manifest(
        step=1,
        samples=0,
        settings=engine.settings,
        shards_sha256="0" * 64,
        tokenizer_sha256="0" * 64,
    )
    tensors = engine.state() | random_state(CPU)
    at_once = Checkpoints(folder / "at-once", keep=1)
    beside = Checkpoints(folder / "beside", keep=1, asynchronous=True)
    return {
        "torch.save": seconds(lambda: save_plainly(tensors, folder / "plain.pt")),
        "save: training waits": seconds(lambda: at_once.save(manifest, tensors, b"")),
        "asynchronous: training waits": seconds(lambda: beside.save(manifest, tensors, b"")),
        "asynchronous: and is whole after": seconds(beside.wait),
        "restore": seconds(lambda: at_once.restore(engine, folder / "at-once" / "step-00000001")),
    }


@click.command()
@click.option("--layers", default=8, show_default=True, help="Layers of the model.")
@click.option("--hidden", default=512, show_default=True, help="Width of the model.")
@click.option("--repeat", default=3, show_default=True, help="The fastest of so many counts.")
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    help="Where to write; the disk counts. The temporary folder where not given.",
)
def main(layers: int, hidden: int, repeat: int, directory: Path | None) -> None:
    """Print seconds of saving and restoring."""
    settings = TrainingSettings.model_validate(
        {
            "model": {"layers": layers, "hidden": hidden, "heads": 8, "vocabulary": 20_000},
            "data": {"shards": "unused", "tokenizer": "unused"},
            "optimisation": {"steps": 1},
        }
    )
    engine = Engine(settings, CPU)
    for name, tensor in engine.state().items():
        if ".exp_avg" in name:
            tensor.uniform_()
    size = sum(tensor.nbytes for tensor in engine.state().values())
    print(f"{settings.model.parameter_count:,} parameters, {size / 1e6:,.0f} MB of state")

    times: dict[str, list[float]] = {}
    for _ in range(repeat):
        with tempfile.TemporaryDirectory(dir=directory) as folder:
            for what, taken in times_of_one_round(engine, Path(folder)).items():
                times.setdefault(what, []).append(taken)
    plain = min(times["torch.save"])
    for what, rounds in times.items():
        print(f"{what:34s} {min(rounds):8.3f} s  {min(rounds) / plain:6.2f} × torch.save")


if __name__ == "__main__":
    main()
