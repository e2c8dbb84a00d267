"""Writes a classifier's predictions as a table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
Indices = NDArray[np.int64]


def write_predictions(
    path: Path, files: Sequence[str], labels: Indices, probabilities: Matrix, classes: Sequence[str]
) -> None:
    """Write a CSV file with one row per file, least probable true class first."""
    of_true = probabilities[np.arange(len(labels)), labels]
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("file", "true", "predicted", "probability of predicted", "probability of true"))
        for index in np.argsort(of_true, kind="stable"):
            best = int(probabilities[index].argmax())
            row = (classes[labels[index]], classes[best], *np.round((probabilities[index, best], of_true[index]), 5))
            table.writerow((files[index], *row))
