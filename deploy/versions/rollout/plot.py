"""Line charts over time as SVG; serving installs no plotting library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 220, 60, 28, 24
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd")
TICKS = 4
Points = Sequence[tuple[float, float]]  # seconds, value


def plot(title: str, lines: Mapping[str, Points], bound: float | None = None) -> str:
    """Return an SVG element with one line per name and a dashed line at `bound`."""
    every = [point for points in lines.values() for point in points]
    last = max((x for x, _ in every), default=0.0) or 1.0
    values = [y for _, y in every if math.isfinite(y)] + ([bound] if bound is not None else [])
    low, high = min([0.0, *values]), max([*values, 1e-9])

    def at(x: float, y: float) -> str:
        across = LEFT + (WIDTH - LEFT - 10) * x / last
        up = HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (y - low) / (high - low)
        return f"{across:.1f},{up:.1f}"

    parts = [f'<text x="{LEFT}" y="15" class="title">{escape(title)}</text>']
    for tick in range(TICKS + 1):
        y, x = low + (high - low) * tick / TICKS, last * tick / TICKS
        left, right = at(0, y), at(last, y)
        parts.append(f'<polyline points="{left} {right}" class="grid"/>')
        parts.append(label(left, f"{y:.3g}", "end", -6, 4))
        parts.append(label(at(x, low), f"{x:.0f} s", "middle", 0, 18))
    if bound is not None:
        parts.append(f'<polyline points="{at(0, bound)} {at(last, bound)}" class="bound"/>')
    for number, (name, points) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(at(x, y) for x, y in points if math.isfinite(y))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        x = WIDTH - 90 * (len(lines) - number)
        parts.append(f'<text x="{x}" y="15" fill="{colour}">{escape(name)}</text>')
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(parts)}</svg>'


def label(at: str, text: str, anchor: str, right: float, down: float) -> str:
    x, y = (float(part) for part in at.split(","))
    return f'<text x="{x + right:.1f}" y="{y + down:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
