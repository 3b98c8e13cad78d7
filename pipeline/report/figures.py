"""Pictures of the report: inline SVG whose bytes depend on the numbers alone.

Figures are laid out in CSS pixels from the upper left corner. Colours are names of CSS variables,
so that one picture serves the light and the dark page.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pipeline.report.sample import Histogram

# matplotlib writes colours as hexadecimal numbers; these ones stand for variables of the page.
INK, MUTED, LINE = "#010101", "#020202", "#030303"
COLOURS = {
    "kept": "#040404",
    "merged": "#050505",
    "dropped": "#060606",
    "dead": "#070707",
    "removed": "#080808",
}
_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    **{colour: f"var(--{name})" for name, colour in COLOURS.items()},
}
# What matplotlib writes and an element of a page is better without.
_UNWANTED = {
    r"<metadata>.*?</metadata>": "",
    # It would apply to the whole page.
    r"<style.*?</style>": "",
    # Ids of groups repeat from picture to picture, and nothing refers to them.
    r'<g id="[^"]*"': "<g",
    # The page chooses the typeface.
    r"font: (\d+)px [^;\"]*": r"font-size: \1px",
    r"font-family: [^;\"]*;": "",
    r' transform="rotate\(-?0 [^"]*"': "",
    r"<svg xmlns[^>]*(viewBox=\"[^\"]*\")[^>]*>": r'<svg role="img" \1>',
    r"\s*\n\s*": "\n",
}
TEXT_PIXELS = 12
ROW_PIXELS = 26


@dataclass(frozen=True)
class Step:
    """One row of the funnel: documents that left for a reason, and those that went on.

    Attributes:
      kind: came_in, dropped, merged, dead, removed or kept.
    """

    label: str
    kind: str
    left: int
    remaining: int


def funnel(steps: Sequence[Step], width: int, name: str) -> str:
    """Draws how documents become fewer: a bar for those that go on, a piece for those that leave.

    Args:
      steps: in order; the first came in.
      width: of the picture in pixels; below 500 the labels stand above the bars.
      name: tells pictures of one page apart.

    Returns:
      An `<svg>` element.
    """
    narrow = width < 500
    label_width = 0 if narrow else 230
    number_width = 96
    row = 2 * ROW_PIXELS if narrow else ROW_PIXELS
    longest = max(step.remaining + step.left for step in steps)
    scale = (width - label_width - number_width) / max(1, longest)
    figure, axes = _canvas(width, len(steps) * row + 4)
    for index, step in enumerate(steps):
        top = index * row + (22 if narrow else 5)
        middle = top + ROW_PIXELS / 2 - 5
        label_colour = MUTED if step.left else INK
        _text(axes, 0, middle - 19 if narrow else middle, step.label, label_colour)
        going_on = step.remaining * scale
        _bar(axes, label_width, top, going_on, 16, LINE if step.left else COLOURS["kept"])
        if step.left:
            # A reason that took a single document of millions must still be seen.
            lost = max(step.left * scale, 1.5)
            _bar(axes, label_width + going_on, top, lost, 16, COLOURS[step.kind])
        number = f"−{step.left:,}" if step.left else f"{step.remaining:,}"
        _text(axes, width, middle, number, align="right")
    return _svg(figure, name)


def mirrored_histogram(
    histogram: Histogram,
    limits: Sequence[tuple[str, float]],
    logarithmic: bool,
    size: tuple[int, int],
    name: str,
) -> str:
    """Draws kept documents above a base line, merged and dropped ones below it, on one scale.

    Args:
      histogram: with the outcomes kept, merged and dropped.
      limits: (words, value on the horizontal axis) of rules; drawn as dashed lines.
      logarithmic: whether the horizontal axis is.
      size: width and height in pixels.
      name: tells pictures of one page apart.

    Returns:
      An `<svg>` element.
    """
    first, last = _used_bins(histogram, [value for _, value in limits])
    edges = np.log10(histogram.edges) if logarithmic else histogram.edges
    gone = histogram.counts["merged"] + histogram.counts["dropped"]
    frame = _Frame(
        size=size,
        top=20 + 14 * len(limits),
        span=(float(edges[first]), float(edges[last])),
        logarithmic=logarithmic,
        most_above=int(histogram.counts["kept"].max()),
        most_below=int(gone.max()),
    )
    figure, axes = _canvas(*size)
    for bin_ in range(first, last):
        counts = {outcome: counts[bin_] for outcome, counts in histogram.counts.items()}
        _stack(axes, frame, frame.across(edges[bin_]), frame.across(edges[bin_ + 1]), counts)
    _scales(axes, frame)
    for index, (words, value) in enumerate(limits):
        height = 10 + 14 * index
        place = frame.across(float(np.log10(max(value, 1)) if logarithmic else value))
        _line(axes, (place, place), (height + 2, frame.bottom), INK, dashes=(3.0, 2.0))
        if place > size[0] * 0.6:
            _text(axes, place - 5, height, words, align="right")
        else:
            _text(axes, place + 5, height, words)
    return _svg(figure, name)


@dataclass(frozen=True)
class _Frame:
    """Where the values of a mirrored histogram fall in its picture.

    Attributes:
      span: values (or their decimal logarithms) at the left and the right end.
      most_above: largest count above the base line.
      most_below: largest count below it.
    """

    size: tuple[int, int]
    top: float
    span: tuple[float, float]
    logarithmic: bool
    most_above: int
    most_below: int

    left = 56

    @property
    def right(self) -> float:
        return self.size[0] - 8

    @property
    def bottom(self) -> float:
        return self.size[1] - 24

    @property
    def per_document(self) -> float:
        """Height of one document in pixels."""
        return (self.bottom - self.top) / max(1, self.most_above + self.most_below)

    @property
    def base(self) -> float:
        return self.top + self.most_above * self.per_document

    def across(self, value: float) -> float:
        low, high = self.span
        return self.left + (self.right - self.left) * (value - low) / (high - low)


def _stack(axes: Axes, frame: _Frame, start: float, end: float, counts: Mapping[str, int]) -> None:
    """Draws one bin: kept documents up from the base line, merged and dropped ones down."""
    width = max(end - start - 1, 0.5)
    tall = counts["kept"] * frame.per_document
    _bar(axes, start, frame.base - tall, width, tall, COLOURS["kept"])
    below = frame.base
    for outcome in ("merged", "dropped"):
        tall = counts[outcome] * frame.per_document
        _bar(axes, start, below, width, tall, COLOURS[outcome])
        below += tall


def _scales(axes: Axes, frame: _Frame) -> None:
    """Draws the base line, the largest counts at the left and the values along the bottom."""
    _line(axes, (frame.left, frame.right), (frame.base, frame.base), INK)
    numbers = [(0, frame.base), (frame.most_above, frame.top), (frame.most_below, frame.bottom)]
    for count, place in numbers:
        if count or place == frame.base:
            _text(axes, frame.left - 8, place, f"{count:,}", MUTED, "right")
    for value in _ticks(*frame.span, frame.logarithmic):
        place = frame.across(value)
        _line(axes, (place, place), (frame.bottom, frame.bottom + 4), MUTED)
        shown = f"{10**value:,.0f}" if frame.logarithmic else f"{value:g}"
        if place > frame.right - 22:
            _text(axes, frame.size[0], frame.size[1] - 9, shown, MUTED, "right")
        else:
            _text(axes, place, frame.size[1] - 9, shown, MUTED, "center")


def _used_bins(histogram: Histogram, values: Sequence[float]) -> tuple[int, int]:
    """The range of bins that hold documents or one of the values, at least one bin."""
    used = sum(histogram.counts.values())
    bins = [int(bin_) for bin_ in np.flatnonzero(used)]
    inside = [v for v in values if histogram.edges[0] <= v <= histogram.edges[-1]]
    bins += [int(np.searchsorted(histogram.edges, v, "right")) - 1 for v in inside]
    if not bins:
        return 0, len(histogram.edges) - 1
    return max(0, min(bins) - 1), min(len(histogram.edges) - 1, max(bins) + 2)


def _ticks(low: float, high: float, logarithmic: bool) -> list[float]:
    if logarithmic:
        return [float(power) for power in range(int(np.ceil(low)), int(np.floor(high)) + 1)]
    step = 10.0 ** np.floor(np.log10((high - low) / 2))
    while (high - low) / step > 6:
        step *= 2 if (high - low) / step < 12 else 5
    first = np.ceil(low / step)
    return [float(np.round(n * step, 10)) for n in np.arange(first, np.floor(high / step) + 1)]


def _canvas(width: int, height: int) -> tuple[Figure, Axes]:
    """A figure whose data coordinates are pixels from the upper left corner."""
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    figure.patch.set_visible(False)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    return figure, axes


def _bar(axes: Axes, x: float, y: float, width: float, height: float, colour: str) -> None:
    if width > 0 and height > 0:
        shape = Rectangle((x, y), width, height, facecolor=colour, linewidth=0, clip_on=False)
        axes.add_patch(shape)


def _line(
    axes: Axes,
    x: tuple[float, float],
    y: tuple[float, float],
    colour: str,
    dashes: tuple[float, float] | None = None,
) -> None:
    (line,) = axes.plot(x, y, color=colour, linewidth=0.9, clip_on=False)
    if dashes is not None:
        line.set_dashes(dashes)


def _text(
    axes: Axes, x: float, y: float, text: str, colour: str = INK, align: str = "left"
) -> None:
    # Rule names are the user's; a dollar sign in one must not start a formula.
    axes.text(
        x,
        y,
        text,
        color=colour,
        fontsize=TEXT_PIXELS,
        horizontalalignment=align,
        verticalalignment="center_baseline",
        # Positions depend on the measures of the font, and this one comes with matplotlib.
        family="DejaVu Sans",
        parse_math=False,
    )


def _svg(figure: Figure, name: str) -> str:
    """The figure as an element for an HTML page, without dates, versions and fixed colours."""
    buffer = io.StringIO()
    settings: dict[Any, Any] = {
        "svg.hashsalt": name,
        "svg.fonttype": "none",
        "path.simplify": False,
    }
    with rc_context(settings), warnings.catch_warnings():
        # The browser has the glyphs of Chinese rule names, matplotlib's own font does not.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].strip()
    for pattern, replacement in _UNWANTED.items():
        svg = re.sub(pattern, replacement, svg, flags=re.DOTALL)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    return svg
