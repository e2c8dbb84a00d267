"""Plots of a classifier's results: precision–recall curves, images, a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve
from torch import Tensor

matplotlib.use("Agg")
# More could not be distinguished; the table of predictions has all classes.
MAX_CURVES = 12
COLUMNS, ROWS = 6, 4

Matrix = NDArray[np.float32]
Indices = NDArray[np.int64]


def write_precision_recall(path: Path, true: NDArray[np.bool_], probabilities: Matrix, classes: Sequence[str]) -> None:
    """Plot a curve per class; of many classes only those with the lowest average precision.

    true: (N, classes), whether each class applies.
    """
    present = [index for index in range(len(classes)) if true[:, index].any()]
    precision = {index: average_precision_score(true[:, index], probabilities[:, index]) for index in present}
    figure = Figure((8, 5), layout="constrained")
    axes = figure.subplots()
    for index in sorted(present, key=lambda i: precision[i])[:MAX_CURVES]:
        height, width, _ = precision_recall_curve(true[:, index], probabilities[:, index])
        axes.step(width, height, where="post", label=f"{classes[index]}  AP {precision[index]:.3f}")
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.01))
    mean = np.mean(list(precision.values())) if precision else np.nan
    axes.set_title(f"mean average precision {mean:.3f} over {len(present)} classes")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="lower left")
    figure.savefig(path, dpi=110)


def write_examples(
    path: Path,
    labels: Indices,
    probabilities: Matrix,
    classes: Sequence[str],
    image: Callable[[int], Tensor],
) -> None:
    """Draw images with their predictions: first the most confident mistakes, then others in order.

    image: position → uint8 (3, H, W), the network's input.
    """
    predicted = probabilities.argmax(1)
    sure = probabilities.max(1)
    wrong = [int(i) for i in np.argsort(-sure, kind="stable") if predicted[i] != labels[i]]
    right = [i for i in range(len(labels)) if predicted[i] == labels[i]]
    half = COLUMNS * ROWS // 2
    chosen = (wrong[: max(half, COLUMNS * ROWS - len(right))] + right)[: COLUMNS * ROWS]
    figure = Figure((2.2 * COLUMNS, 2.5 * ROWS), layout="constrained")
    figure.suptitle(f"{len(wrong)} of {len(labels)} images are wrong (red), most confident mistakes first")
    for axes, index in zip(figure.subplots(ROWS, COLUMNS).flat, chosen, strict=False):
        axes.imshow(image(index).permute(1, 2, 0).numpy())
        is_right = predicted[index] == labels[index]
        text = f"{classes[predicted[index]]} {sure[index]:.2f}"
        text += "" if is_right else f"\ntrue: {classes[labels[index]]}"
        axes.set_title(text, fontsize="small", color="green" if is_right else "red")
    for axes in figure.axes:
        axes.set_axis_off()
    figure.savefig(path, dpi=110)
