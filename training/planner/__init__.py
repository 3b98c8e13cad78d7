"""Chooses a layout for a model and a machine before anything runs (PanGu-α §4.1).

`plans` enumerates and ranks, by the estimates of `memory` and `step_time`; `report` prints and
writes; `simulation` runs the ranks of a plan on tensors without values and sees what they need.
Only the last one needs torch.
"""

from training.planner.plans import Plan, make_plans, settings_of
from training.planner.step_time import DEVICES, Cluster, parse_links

__all__ = ["DEVICES", "Cluster", "Plan", "make_plans", "parse_links", "settings_of"]
