"""Plots every measured point, and the front of those that no other point beats."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from deploy.tuning.trial import Trial, pareto


def plot(trials: Sequence[Trial], p99: float | None, path: Path) -> None:
    """Write a PNG: throughput over p99, a colour for each backend and number of workers. trials: the best first."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    axes = figure.add_subplot()
    kinds = sorted({(trial.candidate.backend, trial.candidate.workers) for trial in trials})
    for number, (backend, workers) in enumerate(kinds):
        points = [
            point
            for trial in trials
            if (trial.candidate.backend, trial.candidate.workers) == (backend, workers)
            for point in trial.points
        ]
        at = [point.p99 for point in points], [point.throughput for point in points]
        axes.scatter(*at, color=f"C{number}", alpha=0.6, label=f"{backend}, {workers} workers")
    front = pareto([point for trial in trials for point in trial.points])
    axes.step(
        [point.p99 for point in front],
        [point.throughput for point in front],
        where="post",
        color="black",
        linewidth=1,
        label="nothing is better in both",
    )
    winner = trials[0].best(p99)
    if winner:
        axes.scatter(winner.p99, winner.throughput, s=200, facecolors="none", edgecolors="red", label="chosen")
    if p99 is not None:
        axes.axvline(p99, color="red", linestyle="--", linewidth=1, label="the bound")
    axes.set(
        xlabel="p99 in ms", ylabel="answers a second", xscale="log", ylim=(0, None), title=str(trials[0].candidate)
    )
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)
