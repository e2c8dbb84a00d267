"""A classifier's predictions for a whole split, and metrics computed from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchmetrics.classification import MulticlassF1Score

from handlers.networks.normalised import normalised
from handlers.vision.transform import ImageTransform
from handlers.vision.views import Views
from train.core.config import ExperimentError
from train.core.progress import progress
from train.vision.classification.multi_label import MultiLabelEvaluation, binary_cross_entropy
from train.vision.classification.scores import scores

DIGITS = 4


@dataclass(frozen=True)
class Evaluation:
    """tasks: each with its classes.

    probabilities: float32 (N, classes) of each task. labels: int64 (N, tasks).
    positions: indices of the N images into their split's list. lost: number of unreadable images. loss: cross-entropy
    in nats, summed over the tasks.
    """

    tasks: dict[str, list[str]]
    probabilities: dict[str, NDArray[np.float32]]
    labels: NDArray[np.int64]
    positions: NDArray[np.int64]
    loss: float
    lost: int

    def metrics(self) -> dict[str, Any]:
        """Loss, accuracy, macro F1 and the F1 of every class; by task if there are several."""
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
        counts = {"images": len(self.labels), "unreadable": self.lost}
        return {
            "loss": round(self.loss, DIGITS),
            **(several if len(found) > 1 else next(iter(found.values()))),
            **counts,
        }

    def reference(self) -> dict[str, Any]:
        """Distribution of the predictions: the share of each class, and deciles of the highest probability."""
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
        return {"images": len(self.labels), **({"tasks": found} if len(found) > 1 else next(iter(found.values())))}


def mean(values: Any) -> float:
    return round(float(np.mean(list(values))), DIGITS)


def evaluate(
    network: nn.Module,
    transform: ImageTransform | Views,
    tasks: dict[str, list[str]],
    loader: DataLoader[Any],
    name: str,
) -> Evaluation:
    """Run all of `loader` through a network whose outputs are the tasks' logits in order; one process, progress bar."""
    answered = answers(network, transform, loader, name)
    by_task = dict(zip(tasks, answered.logits.split([len(classes) for classes in tasks.values()], dim=1), strict=True))
    losses = [F.cross_entropy(part, answered.labels[:, number]) for number, part in enumerate(by_task.values())]
    return Evaluation(
        tasks=tasks,
        probabilities={task: part.softmax(1).numpy() for task, part in by_task.items()},
        labels=answered.labels.numpy(),
        positions=answered.positions.numpy(),
        loss=torch.stack(losses).sum().item(),
        lost=answered.lost,
    )


def evaluate_multi_label(
    network: nn.Module, transform: ImageTransform, classes: list[str], loader: DataLoader[Any], name: str
) -> MultiLabelEvaluation:
    """Like `evaluate`, for a network with any number of applicable `classes` per image."""
    answered = answers(network, transform, loader, name)
    return MultiLabelEvaluation(
        classes=classes,
        probabilities=answered.logits.sigmoid().numpy(),
        labels=answered.labels.numpy(),
        positions=answered.positions.numpy(),
        loss=binary_cross_entropy(answered.logits, answered.labels, None, 0.0).item(),
        lost=answered.lost,
    )


class Answers(NamedTuple):
    """logits: float32 (N, outputs). labels, positions: as in a batch. lost: number of unreadable images."""

    logits: Tensor
    labels: Tensor
    positions: Tensor
    lost: int


@torch.inference_mode()
def answers(network: nn.Module, transform: ImageTransform | Views, loader: DataLoader[Any], name: str) -> Answers:
    """The network's outputs for all of `loader`. Raises ExperimentError if none of its images could be read."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = normalised(network, transform).to(device).eval()
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    lost = 0
    with progress() as bar:
        task = bar.add_task(f"predicting {name}", total=len(loader), info="")
        for batch in loader:
            bar.advance(task)
            lost += batch.lost
            if len(batch.images):
                logits = model(batch.images.to(device))[0]
                found.append((logits.float().cpu(), batch.labels, batch.positions))
    if not found:
        raise ExperimentError(f"data: none of the {lost} images for {name} could be read")
    logits, labels, positions = (torch.cat(parts) for parts in zip(*found, strict=True))
    return Answers(logits, labels, positions, lost)
