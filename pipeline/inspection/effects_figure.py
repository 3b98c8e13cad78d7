"""The picture that `pangu whatif` writes: how much a rule removes at every limit."""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.figure import Figure

from pipeline.inspection.limit_effects import Effect

# Beyond this ratio of largest to smallest limit the axis is logarithmic.
LOGARITHMIC_FROM = 100


def draw_effects(curve: Sequence[Effect], signal: str, drops: str, marked: Sequence[float]) -> str:
    """Draws shares removed against the limit.

    Args:
      curve: effects at ascending limits.
      signal: name on the horizontal axis.
      drops: what the rule drops, such as "characters < limit".
      marked: limits that get a line: the present one and those asked for.

    Returns:
      An SVG document whose bytes depend on the numbers alone.
    """
    limits = [float(effect.limit) for effect in curve]
    with rc_context({"svg.hashsalt": "whatif", "svg.fonttype": "none", "font.size": 10}):
        figure = Figure(figsize=(7.2, 4.2), layout="constrained")
        axes = figure.subplots()
        for label, shares in (
            ("documents", [effect.documents for effect in curve]),
            ("characters", [effect.characters for effect in curve]),
            ("documents that no other rule drops", [effect.alone for effect in curve]),
        ):
            axes.step(limits, [100 * share for share in shares], where="post", label=label)
        for limit in marked:
            axes.axvline(limit, color="0.5", linestyle="--", linewidth=1)
        positive = [limit for limit in limits if limit > 0]
        if positive and positive[-1] / positive[0] > LOGARITHMIC_FROM:
            axes.set_xscale("symlog", linthresh=positive[0])
        low, high = min([*limits, *marked]), max([*limits, *marked])
        if low < high:
            axes.set_xlim(low, high)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel(f"limit of {signal}")
        axes.set_ylabel("removed, %")
        axes.set_ylim(0, 100)
        axes.set_title(f"drops where {drops}")
        axes.legend(frameon=False)
        target = io.StringIO()
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    return target.getvalue()
