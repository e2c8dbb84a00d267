"""Plots a confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

# Maximum numbers of classes with legible shares in the cells and legible names at the rows.
MAX_NUMBERS, MAX_NAMES = 25, 60


def plot_confusion(confusion: NDArray[np.int64], labels: Sequence[str], title: str, path: Path) -> None:
    """Write a PNG whose rows show the share of each prediction per true class. confusion: counts (true, predicted)."""
    parts = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    side = min(20.0, 3 + 0.4 * len(labels))
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.add_subplot(xlabel="predicted", ylabel="true", title=title)
    shown = axes.imshow(parts, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(shown, shrink=0.8, label="share of the true class")
    if len(labels) <= MAX_NAMES:
        axes.set_xticks(range(len(labels)), labels, rotation=90)
        axes.set_yticks(range(len(labels)), labels)
    if len(labels) <= MAX_NUMBERS:
        for row, column in np.argwhere(confusion):
            part = parts[row, column]
            shade = "white" if part > 0.5 else "black"
            axes.text(column, row, f"{part:.2f}", ha="center", va="center", color=shade, fontsize=8)
    figure.savefig(path, dpi=110)
