"""The measurements as an image: throughput and 99th percentile of every system."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt

from benchmarks.comparison import Measurement, medians
from benchmarks.table import limit_of


def plot(found: Sequence[Measurement], path: Path) -> None:
    """Write a PNG: images a second beside the in-process limit, and p99, over the number of requests at once."""
    curves: dict[str, list[tuple[int, dict[str, float]]]] = {}
    for (name, concurrency), values in medians(found).items():
        if concurrency > 0:
            curves.setdefault(name, []).append((concurrency, values))
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5), layout="constrained")
    for name, points in curves.items():
        at = [concurrency for concurrency, _ in points]
        middle = [values["throughput"] for _, values in points]
        spread = [
            [v["throughput"] - v["low"] for _, v in points],
            [v["high"] - v["throughput"] for _, v in points],
        ]
        left.errorbar(at, middle, yerr=spread, marker="o", capsize=3, label=name)
        right.plot(at, [values["p99"] for _, values in points], marker="o", label=name)
    left.axhline(limit_of(found), color="black", linestyle="--", label="in process, the best")
    left.set(title=found[0].model, xlabel="requests at once", ylabel="images/s", xscale="log", ylim=(0, None))
    right.set(title="99th percentile", xlabel="requests at once", ylabel="ms", xscale="log", yscale="log")
    left.legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)
