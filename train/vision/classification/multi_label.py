"""Multi-label classification: loss, scores, and metrics of a whole split."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MetricCollection
from torchmetrics.classification import MultilabelAccuracy, MultilabelF1Score

DIGITS = 4
THRESHOLD = 0.5


def binary_cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor | None, smoothing: float) -> Tensor:
    """Binary cross-entropy, averaged over images and classes, in nats.

    logits: (N, classes). targets: (N, classes), from 0 to 1. weights: (classes,), of images with the class. smoothing:
    label smoothing, as in `cross_entropy`, from 0 to 1.
    """
    smooth = targets.float() * (1 - smoothing) + smoothing / 2
    return F.binary_cross_entropy_with_logits(logits.float(), smooth, pos_weight=weights)


def multi_label_scores(sizes: Sequence[int]) -> torch.nn.ModuleList:
    """Accuracy over all labels and macro F1, by torchmetrics, for a model with one task."""
    return torch.nn.ModuleList(
        MetricCollection(
            {
                "accuracy": MultilabelAccuracy(size, average="micro"),
                "f1": MultilabelF1Score(size, average="macro"),
            }
        )
        for size in sizes
    )


@dataclass(frozen=True)
class MultiLabelEvaluation:
    """classes: of the single task.

    probabilities: float32 (N, classes). labels: int64 (N, classes), 1 if the class applies. positions: indices of the N
    images into their split's list. lost: number of unreadable images. loss: binary cross-entropy in nats.
    """

    classes: list[str]
    probabilities: NDArray[np.float32]
    labels: NDArray[np.int64]
    positions: NDArray[np.int64]
    loss: float
    lost: int

    def metrics(self) -> dict[str, Any]:
        """Loss, accuracy over all labels, macro F1, mean average precision, and F1 and average precision per class.
        Classes without an image have no average precision.
        """
        predicted, labels = torch.from_numpy(self.probabilities), torch.from_numpy(self.labels)
        count = len(self.classes)
        [metric] = multi_label_scores([count])
        values = {name: round(value.item(), DIGITS) for name, value in metric(predicted, labels).items()}
        f1 = MultilabelF1Score(count, average="none")(predicted, labels).tolist()
        present = [number for number in range(count) if labels[:, number].any()]
        precision = {
            self.classes[i]: round(float(average_precision_score(self.labels[:, i], self.probabilities[:, i])), DIGITS)
            for i in present
        }
        return {
            "loss": round(self.loss, DIGITS),
            **values,
            "mean average precision": round(float(np.mean(list(precision.values()))), DIGITS) if precision else None,
            "f1 per class": {name: round(value, DIGITS) for name, value in zip(self.classes, f1, strict=True)},
            "average precision per class": precision,
            "images": len(self.labels),
            "unreadable": self.lost,
        }

    def reference(self) -> dict[str, Any]:
        """Distribution of the predictions: the share of images and the mean probability per class, and the number of
        classes per image.
        """
        applies = self.probabilities >= THRESHOLD
        return {
            "images": len(self.labels),
            "predicted": self.by_class(applies.mean(0)),
            "mean probability": self.by_class(self.probabilities.mean(0)),
            "classes per image": round(float(applies.sum(1).mean()), DIGITS),
        }

    def by_class(self, values: NDArray[Any]) -> dict[str, float]:
        return {name: round(float(value), DIGITS) for name, value in zip(self.classes, values, strict=True)}

    def write_predictions(self, path: Path, files: Sequence[str], separator: str) -> None:
        """Write a CSV file with one row per image and its true and predicted labels, largest error first."""
        error = np.abs(self.probabilities - self.labels).mean(1)
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(("file", "true", "predicted", "mean error of the probabilities"))
            for row in np.argsort(-error, kind="stable"):
                true, predicted = (
                    separator.join(name for name, is_there in zip(self.classes, chosen, strict=True) if is_there)
                    for chosen in (self.labels[row], self.probabilities[row] >= THRESHOLD)
                )
                table.writerow((files[row], true, predicted, round(float(error[row]), 5)))
