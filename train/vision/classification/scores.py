"""Scores of the classes of each task."""

from __future__ import annotations

import torch
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score


def scores(sizes: list[int]) -> torch.nn.ModuleList:
    """Accuracy and macro F1 of each task, by torchmetrics."""
    return torch.nn.ModuleList(
        MetricCollection({"accuracy": accuracy(size), "f1": MulticlassF1Score(size, average="macro")}) for size in sizes
    )


def accuracy(classes: int) -> Metric:
    return MulticlassAccuracy(classes, average="micro")
