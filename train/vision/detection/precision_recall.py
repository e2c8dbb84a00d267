"""Precision–recall curves by class, as an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from train.vision.detection.average_precision import RECALLS, Precision

# A legend of more classes would cover the curves.
NAMED = 20


def plot_precision_recall(found: Precision, labels: list[str], title: str, path: Path) -> None:
    """Write a PNG with a curve per class at IoU 0.50, their areas in the legend and their mean in black."""
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.add_subplot(xlabel="recall", ylabel="precision", title=title, xlim=(0, 1), ylim=(0, 1.02))
    colours = colormaps["turbo"](np.linspace(0.05, 0.95, max(1, len(found.curves))))
    for (index, curve), shade in zip(found.curves.items(), colours, strict=True):
        name = f"{labels[index]} {curve.mean():.3f}" if len(found.curves) <= NAMED else None
        axes.plot(RECALLS, curve, color=shade, linewidth=1.2, label=name)
    axes.plot(
        RECALLS,
        np.mean(list(found.curves.values()), axis=0),
        color="black",
        linewidth=2,
        label=f"mean {found.at_50:.3f}",
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left", fontsize=8)
    figure.savefig(path, dpi=120)


def best_thresholds(found: Precision, labels: list[str]) -> dict[str, dict[str, float]]:
    """The score threshold with the best F1 at IoU 0.50 by class: {"score", "precision", "recall", "F1"}.

    It can guide the choice of a spec's `options.score_threshold`.
    """
    best = {}
    for index, curve in found.curves.items():
        f1 = 2 * curve * RECALLS / np.maximum(curve + RECALLS, 1e-12)
        at = int(f1.argmax())
        if f1[at] > 0:
            values = (found.scores[index][at], curve[at], RECALLS[at], f1[at])
            best[labels[index]] = {
                name: round(float(value), 4)
                for name, value in zip(("score", "precision", "recall", "F1"), values, strict=True)
            }
    return best
