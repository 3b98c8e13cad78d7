"""The loss of a training run as a picture: an SVG file, and a few lines of text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

_WIDTH, _HEIGHT = 720, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 20, 40, 50
_BLOCKS = " ▁▂▃▄▅▆▇█"


def draw_svg(steps: Sequence[int], losses: Sequence[float], title: str) -> str:
    """Returns an SVG picture of the loss over the steps.

    Args:
      steps: ascending, at least one.
      losses: one for each step, in nats per token.
      title: shown above; must not hold markup.
    """
    lowest, highest = _range(losses)
    inner_width, inner_height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    first, last = steps[0], steps[-1]

    def x(step: float) -> float:
        return _LEFT + inner_width * (step - first) / max(last - first, 1)

    def y(loss: float) -> float:
        return _TOP + inner_height * (highest - loss) / (highest - lowest)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="24" font-size="15">{title}</text>',
    ]
    for quarter in range(5):
        loss = lowest + (highest - lowest) * quarter / 4
        step = round(first + (last - first) * quarter / 4)
        parts += [
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(loss):.1f}" y2="{y(loss):.1f}" '
            'stroke="#ddd"/>',
            f'<text x="{_LEFT - 8}" y="{y(loss) + 4:.1f}" text-anchor="end">{loss:.2f}</text>',
            f'<text x="{x(step):.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">'
            f"{step}</text>",
        ]
    points = " ".join(
        f"{x(step):.1f},{y(loss):.1f}" for step, loss in zip(steps, losses, strict=True)
    )
    parts += [
        f'<polyline points="{points}" fill="none" stroke="#1f6f8b" stroke-width="1.5"/>',
        f'<text x="{_LEFT + inner_width / 2}" y="{_HEIGHT - 10}" text-anchor="middle">step</text>',
        f'<text x="16" y="{_TOP - 10}">nats per token</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def draw_text(losses: Sequence[float], width: int = 64, height: int = 8) -> str:
    """Returns the loss as columns of text, at most `width` wide; a column is a mean of steps."""
    columns = min(width, len(losses))
    edges = [round(column * len(losses) / columns) for column in range(columns + 1)]
    means = [sum(losses[first:last]) / (last - first) for first, last in pairwise(edges)]
    lowest, highest = _range(means)
    eighths = [1 + round((mean - lowest) / (highest - lowest) * (8 * height - 1)) for mean in means]
    lines = []
    for row in reversed(range(height)):
        label = {height - 1: f"{highest:.2f}", 0: f"{lowest:.2f}"}.get(row, "")
        bars = "".join(_BLOCKS[min(max(eighth - 8 * row, 0), 8)] for eighth in eighths)
        lines.append(f"{label:>6} {bars}".rstrip())
    return "\n".join(lines)


def _range(losses: Sequence[float]) -> tuple[float, float]:
    """Lowest and highest loss, kept apart so that a flat curve can be drawn as well."""
    lowest, highest = min(losses), max(losses)
    return lowest, highest if highest > lowest else lowest + 1.0
