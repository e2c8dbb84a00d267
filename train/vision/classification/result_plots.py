"""All plots and tables of a run's test results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.metrics import confusion_matrix

from train.plots.confusion import plot_confusion
from train.plots.prediction_table import write_predictions
from train.vision.classification.batches import Images
from train.vision.classification.evaluation import Evaluation
from train.vision.classification.multi_label import MultiLabelEvaluation
from train.vision.classification.plots import write_examples, write_precision_recall


def write_plots(folder: Path, images: Images, separator: str, found: Evaluation | MultiLabelEvaluation) -> None:
    """Write one set of files per task. images: the test images. separator: between several labels in the table."""
    files = [images.files[position] for position in found.positions]
    if isinstance(found, MultiLabelEvaluation):
        write_precision_recall(folder / "precision-recall.png", found.labels == 1, found.probabilities, found.classes)
        found.write_predictions(folder / "predictions.csv", files, separator)
        return
    for number, (task, classes) in enumerate(found.tasks.items()):
        labels, probabilities = found.labels[:, number], found.probabilities[task]
        prefix = f"{file_name(task)}-" if len(found.tasks) > 1 else ""
        confusion = confusion_matrix(labels, probabilities.argmax(1), labels=range(len(classes)))
        plot_confusion(confusion, classes, f"{len(labels)} images", folder / f"{prefix}confusion.png")
        true = labels[:, None] == np.arange(len(classes))
        write_precision_recall(folder / f"{prefix}precision-recall.png", true, probabilities, classes)
        write_predictions(folder / f"{prefix}predictions.csv", files, labels, probabilities, classes)
        write_examples(
            folder / f"{prefix}examples.png",
            labels,
            probabilities,
            classes,
            lambda index: images.seen(int(found.positions[index])),
        )


def file_name(task: str) -> str:
    """A task's name as part of a file name."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in task)
