"""A classifier's answers to a whole split, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader
from torchmetrics.classification import MulticlassF1Score

from train.image_classifier import ImageClassifier, scores
from train.progress import progress

DIGITS = 4


@dataclass(frozen=True)
class Evaluation:
    """tasks: each with its classes. probabilities: float32 (N, classes) of each task. labels: int64 (N, tasks).

    positions: of the N pictures, in the list of their split. lost: pictures that could not be read.
    """

    tasks: dict[str, list[str]]
    probabilities: dict[str, NDArray[np.float32]]
    labels: NDArray[np.int64]
    positions: NDArray[np.int64]
    loss: float
    lost: int

    def metrics(self) -> dict[str, Any]:
        """Loss, accuracy and macro F1, and the F1 of every class; by task where there are several."""
        found = {}
        for number, (task, classes) in enumerate(self.tasks.items()):
            predicted = torch.from_numpy(self.probabilities[task])
            labels = torch.from_numpy(self.labels[:, number])
            [metric] = scores([len(classes)])
            values = {name: round(value.item(), DIGITS) for name, value in metric(predicted, labels).items()}
            of_classes = MulticlassF1Score(len(classes), average="none")(predicted, labels).tolist()
            per_class = {name: round(value, DIGITS) for name, value in zip(classes, of_classes, strict=True)}
            found[task] = {**values, "f1 per class": per_class}
        several = {
            **{name: mean(values[name] for values in found.values()) for name in ("accuracy", "f1")},
            "tasks": found,
        }
        counts = {"pictures": len(self.labels), "unreadable": self.lost}
        return {
            "loss": round(self.loss, DIGITS),
            **(several if len(found) > 1 else next(iter(found.values()))),
            **counts,
        }

    def reference(self) -> dict[str, Any]:
        """How predictions are distributed: the share of each class, and deciles of the highest probability."""
        found = {}
        for task, classes in self.tasks.items():
            probabilities = self.probabilities[task]
            shares = np.bincount(probabilities.argmax(1), minlength=len(classes)) / len(probabilities)
            deciles = np.quantile(probabilities.max(1), np.linspace(0, 1, 11))
            found[task] = {
                "predicted": {name: round(float(share), DIGITS) for name, share in zip(classes, shares, strict=True)},
                "mean probability": {
                    name: round(float(value), DIGITS)
                    for name, value in zip(classes, probabilities.mean(0), strict=True)
                },
                "confidence deciles": [round(float(value), DIGITS) for value in deciles],
            }
        return {"pictures": len(self.labels), **({"tasks": found} if len(found) > 1 else next(iter(found.values())))}


def mean(values: Any) -> float:
    return round(float(np.mean(list(values))), DIGITS)


@torch.inference_mode()
def evaluate(module: ImageClassifier, loader: DataLoader[Any], name: str) -> Evaluation:
    """All of `loader` through the classifier, in one process, with a progress bar."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    module = module.to(device).eval()
    found: list[tuple[dict[str, Tensor], Tensor, Tensor]] = []
    lost, total = 0, 0.0
    with progress() as bar:
        task = bar.add_task(f"predicting {name}", total=len(loader), info="")
        for batch in loader:
            bar.advance(task)
            lost += batch.lost
            if not len(batch.images):
                continue
            labels = batch.labels.to(device)
            logits = module(batch.images.to(device))
            targets = dict(zip(module.tasks, labels.unbind(1), strict=True))
            total += module.total(module.losses(logits, targets)).item() * len(labels)
            probabilities = {task: value.float().softmax(1).cpu() for task, value in logits.items()}
            found.append((probabilities, batch.labels, batch.positions))
    count = sum(len(labels) for _, labels, _ in found)
    if not count:
        raise ValueError(f"none of the {lost} pictures for {name} could be read")
    return Evaluation(
        tasks=module.tasks,
        probabilities={task: torch.cat([part[task] for part, _, _ in found]).numpy() for task in module.tasks},
        labels=torch.cat([labels for _, labels, _ in found]).numpy(),
        positions=torch.cat([positions for _, _, positions in found]).numpy(),
        loss=total / count,
        lost=lost,
    )
