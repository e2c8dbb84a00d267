"""Scores of a text classifier by scikit-learn, plots and tables."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.metrics import (
    accuracy_score,
    classification_report,
    f1_score,
    precision_recall_fscore_support,
)

COLUMNS = ("precision", "recall", "f1-score", "support")


def probabilities(logits: NDArray[Any], multi_label: bool) -> NDArray[np.float64]:
    """Probabilities (N, classes), by a sigmoid for each class or a softmax over all."""
    wide = logits.astype(np.float64)
    return expit(wide) if multi_label else softmax(wide, axis=1)


def decide(logits: NDArray[Any], multi_label: bool, threshold: float = 0.5) -> NDArray[np.int64]:
    """The most probable class of each text (N,), or 1 for each class that applies (N, classes)."""
    found = probabilities(logits, multi_label)
    return (found >= threshold).astype(np.int64) if multi_label else found.argmax(axis=1)


def scores(truth: NDArray[Any], found: NDArray[Any]) -> dict[str, float]:
    """accuracy (of whole sets of labels, where there are several), precision, recall and f1 weighted by class, and
    the plain mean of the classes' f1."""
    precision, recall, f1, _ = precision_recall_fscore_support(truth, found, average="weighted", zero_division=0)
    return {
        "accuracy": float(accuracy_score(truth, found)),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "macro_f1": float(f1_score(truth, found, average="macro", zero_division=0)),
    }


def by_group(
    truth: NDArray[Any], found: NDArray[Any], groups: Sequence[str], multi_label: bool
) -> dict[str, dict[str, float]]:
    """For each group: the number of texts, the accuracy, and the mean F1 of the classes that occur in the group."""
    members = np.asarray(groups)
    measured = {}
    for group in sorted(set(groups)):
        of_group = members == group
        true, predicted = truth[of_group], found[of_group]
        there = np.flatnonzero(true.any(axis=0)) if multi_label else np.unique(true)
        f1 = f1_score(true, predicted, labels=there, average="macro", zero_division=0) if len(there) else 0.0
        measured[group] = {
            "texts": len(true),
            "accuracy": round(float(accuracy_score(true, predicted)), 4),
            "macro_f1": round(float(f1), 4),
        }
    return measured


def by_class(truth: NDArray[Any], found: NDArray[Any], labels: Sequence[str]) -> dict[str, dict[str, float]]:
    report = classification_report(
        truth, found, labels=range(len(labels)), target_names=list(labels), output_dict=True, zero_division=0
    )
    return {label: {name: round(float(report[label][name]), 4) for name in COLUMNS} for label in labels}


def reference(logits: NDArray[Any], labels: Sequence[str], multi_label: bool, threshold: float = 0.5) -> dict[str, Any]:
    """Reference statistics of predictions: the share of each class, and the mean probability of the best class."""
    found = probabilities(logits, multi_label)
    applies = found >= threshold if multi_label else np.eye(len(labels))[found.argmax(axis=1)]
    shares = applies.sum(axis=0) / max(applies.sum(), 1)
    return {
        "texts": len(found),
        "classes": {label: round(float(share), 4) for label, share in zip(labels, shares, strict=True)},
        "confidence": round(float(found.max(axis=1).mean()), 4),
    }


def write_table(path: Path, classes: dict[str, dict[str, float]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["label", *COLUMNS])
        writer.writerows([label, *row.values()] for label, row in classes.items())
    return path
