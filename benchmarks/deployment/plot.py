"""Latencies of all rates in one image, up to the percentile that the number of requests allows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks.deployment.measurement import Measurement


def plot(measurements: Sequence[Measurement], path: Path) -> None:
    """Write a PNG: latency over the share of requests that were slower, both logarithmic."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.add_subplot()
    for each in measurements:
        slower = 1 - np.arange(len(each.latencies)) / max(1, len(each.latencies))
        axes.plot(slower, each.latencies, label=f"{each.rate:g}/s", drawstyle="steps-post")
    axes.set(xscale="log", yscale="log", xlabel="share of requests that took longer", ylabel="ms since they were due")
    axes.invert_xaxis()
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)
