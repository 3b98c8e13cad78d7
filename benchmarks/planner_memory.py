"""Is the planner's memory true? Estimated, simulated and, where there is a GPU, measured.

    python benchmarks/planner_memory.py              # layouts of the four models, without hardware
    python benchmarks/planner_memory.py --measure    # one GPU: 350M and 2.6B as they really run

A measured row trains for three steps on random ids and reads torch's own peak. Estimate and
simulation count tensors; what torch keeps in reserve for later ones is printed beside them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from training import ModelSettings, TrainingSettings
from training.layout import Layout
from training.planner.memory import estimate_memory
from training.planner.plans import settings_of
from training.planner.step_time import GIB

# Preset, samples of a micro-batch, layout.
SIMULATED: list[tuple[str, int, dict[str, Any]]] = [
    ("350M", 8, {}),
    ("2.6B", 8, {}),
    ("2.6B", 8, {"rematerialise": "block"}),
    ("2.6B", 8, {"rematerialise": "operation"}),
    ("2.6B", 8, {"dp_shard": 8}),
    ("2.6B", 4, {"dp_shard": 8, "micro_batches": 4}),
    ("2.6B", 2, {"pp": 4, "micro_batches": 8}),
    ("13B", 8, {"dp_shard": 8, "reshard_after_forward": True, "rematerialise": "block"}),
    ("13B", 4, {"tp": 8, "dp_shard": 8}),
    (
        "13B",
        2,
        {
            "pp": 4,
            "tp": 4,
            "micro_batches": 8,
            "interleave": 2,
            "schedule": "Interleaved1F1B",
            "rematerialise": "operation",
        },
    ),
    (
        "200B",
        1,
        {"pp": 16, "dp_shard": 16, "tp": 8, "micro_batches": 16, "rematerialise": "block"},
    ),
]
MEASURED: list[tuple[str, int, dict[str, Any]]] = [
    ("350M", 8, {}),
    ("350M", 8, {"micro_batches": 2}),
    ("350M", 16, {"rematerialise": "operation"}),
    ("2.6B", 4, {}),
    ("2.6B", 8, {"rematerialise": "block"}),
]


def settings_for(preset: str, samples: int, layout: dict[str, Any]) -> TrainingSettings:
    """Settings of a layout with so many samples in each micro-batch."""
    degrees = Layout(**layout)
    batch = samples * degrees.data_parallel * degrees.micro_batches
    settings = settings_of(ModelSettings.model_validate({"preset": preset}), batch)
    return settings.model_copy(update={"layout": degrees})


def simulated_peak(settings: TrainingSettings, position: int) -> int:
    """Bytes that the first rank at a pipeline position was seen to need."""
    from training.planner.simulation import simulate_rank

    rank = position * settings.layout.ranks // settings.layout.pp
    # A process of its own: torch keeps one process group for good.
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(simulate_rank, (settings, rank)).peak


def measured_peak(settings: TrainingSettings) -> tuple[int, int]:
    """Bytes of tensors and bytes in torch's hands at the fullest moment of three steps."""
    import torch

    from training.data import Batch
    from training.engine import Engine

    device = torch.device("cuda")
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    engine = Engine(settings, device)
    shape = (settings.optimisation.batch, settings.sequence_length)
    ids = torch.randint(10, settings.model.vocabulary, shape)
    positions = torch.arange(shape[1]).expand(shape).contiguous()
    batch = Batch(ids, ids, torch.ones(shape), positions, torch.zeros_like(ids))
    for _ in range(3):
        engine.gradients(batch)
        engine.update(1e-4)
    return torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()


def main() -> None:
    """Prints one row for each layout and end of its pipeline."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--measure", action="store_true", help="run on the GPU of this machine")
    measures = parser.parse_args().measure
    last = "measured  reserved" if measures else "simulated"
    print(f"{'model':5}  {'samples':7}  {'rank':>4}  {'estimated':>9}  {last}  ratio  layout")
    for preset, samples, layout in MEASURED if measures else SIMULATED:
        settings = settings_for(preset, samples, layout)
        for position in sorted({0, settings.layout.pp - 1}):
            estimate = estimate_memory(settings, position).total
            if measures:
                seen, reserved = measured_peak(settings)
                shown = f"{seen / GIB:8.2f}  {reserved / GIB:8.2f}"
            else:
                seen = simulated_peak(settings, position)
                shown = f"{seen / GIB:9.2f}"
            options = ", ".join(f"{key} {value}" for key, value in layout.items()) or "one device"
            print(
                f"{preset:5}  {samples:7}  {position:4}  {estimate / GIB:9.2f}  {shown}  "
                f"{estimate / seen:5.2f}  {options}",
                flush=True,
            )


if __name__ == "__main__":
    main()
