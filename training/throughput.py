"""What a step costs and what a device could do: model FLOPs utilisation and peak memory."""

from __future__ import annotations

import resource
import sys

import torch

from training.config import TrainingSettings
from training.planner.step_time import DEVICES

FORMULA = (
    "MFU = tokens/s per device · 6 · (12 · layers · hidden² + vocabulary · hidden "
    "+ 2 · layers · hidden · length) / peak FLOP/s of a device"
)


def operations_per_token(settings: TrainingSettings) -> int:
    """Returns the floating-point operations of forward and backward pass for one token.

    Six for each weight of a matrix, and attention over the whole square of the sample (Chowdhery
    et al. 2022, "PaLM", appendix B). What rematerialisation does again is not counted.
    """
    model = settings.model
    weights = 12 * model.layers * model.hidden**2 + model.vocabulary * model.hidden
    attention = 2 * model.layers * model.hidden * settings.sequence_length
    return 6 * (weights + attention)


def peak_of(settings: TrainingSettings, device: torch.device) -> float | None:
    """Returns the operations per second that a device can make at most, where that is known."""
    if settings.logging.peak_flops is not None:
        return settings.logging.peak_flops
    if device.type != "cuda" or settings.optimisation.precision != "bfloat16":
        return None
    words = torch.cuda.get_device_name(device).lower().replace("-", " ").split()
    return next((kind.peak for name, kind in DEVICES.items() if name in words), None)


def peak_memory(device: torch.device) -> int:
    """Returns the most bytes that this process ever had on its device."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
