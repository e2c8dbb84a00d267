"""A confusion matrix as an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

# More cells are too small for a number each.
NUMBERED = 12


def plot_confusion(confusion: NDArray[np.int64], labels: list[str], title: str, path: Path) -> None:
    """Write a PNG: for each true class, a row, the parts it was predicted as. confusion: (true, predicted), counts."""
    parts = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    side = 3 + 0.45 * len(labels)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.add_subplot(xlabel="predicted", ylabel="true", title=title)
    figure.colorbar(axes.imshow(parts, cmap="Blues", vmin=0, vmax=1), shrink=0.8)
    axes.set_xticks(range(len(labels)), labels, rotation=90)
    axes.set_yticks(range(len(labels)), labels)
    if len(labels) <= NUMBERED:
        for (row, column), part in np.ndenumerate(parts):
            shade = "white" if part > 0.5 else "black"
            axes.text(column, row, f"{part:.2f}", ha="center", va="center", color=shade, fontsize=8)
    figure.savefig(path, dpi=120)
