"""Metrics of a text classifier, computed by scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
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
    """Probabilities (N, classes): a sigmoid for each class of a multi-label model, otherwise a softmax over all."""
    doubles = logits.astype(np.float64)
    return expit(doubles) if multi_label else softmax(doubles, axis=1)


def decide(logits: NDArray[Any], multi_label: bool, threshold: float = 0.5) -> NDArray[np.int64]:
    """The most probable class of each text, (N,); for a multi-label model 1 for applicable classes, (N, classes)."""
    found = probabilities(logits, multi_label)
    return (found >= threshold).astype(np.int64) if multi_label else found.argmax(axis=1)


def scores(truth: NDArray[Any], found: NDArray[Any]) -> dict[str, float]:
    """Accuracy, precision, recall and F1 averaged over the classes with their frequencies as weights, and macro F1.

    truth, found: as `decide` returns them. For a multi-label model, accuracy counts texts with all labels right.
    """
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
    """{group: {"texts": number, "accuracy", "macro_f1": mean over the classes that occur in the group}}.

    groups: of each text. truth, found: as `decide` returns them.
    """
    members = np.asarray(groups)
    measured = {}
    for group in sorted(set(groups)):
        rows = members == group
        true, predicted = truth[rows], found[rows]
        present = np.flatnonzero(true.any(axis=0)) if multi_label else np.unique(true)
        f1 = f1_score(true, predicted, labels=present, average="macro", zero_division=0) if len(present) else 0.0
        measured[group] = {
            "texts": len(true),
            "accuracy": round(float(accuracy_score(true, predicted)), 4),
            "macro_f1": round(float(f1), 4),
        }
    return measured


def by_class(truth: NDArray[Any], found: NDArray[Any], labels: Sequence[str]) -> dict[str, dict[str, float]]:
    """{label: {"precision", "recall", "f1-score", "support": number of texts}}."""
    report = classification_report(
        truth, found, labels=range(len(labels)), target_names=list(labels), output_dict=True, zero_division=0
    )
    return {label: {name: round(float(report[label][name]), 4) for name in COLUMNS} for label in labels}


def reference(logits: NDArray[Any], labels: Sequence[str], multi_label: bool, threshold: float = 0.5) -> dict[str, Any]:
    """Statistics of predictions to compare with those in production: shares of the predicted classes, and the mean
    probability of the most probable class.
    """
    found = probabilities(logits, multi_label)
    applicable = found >= threshold if multi_label else np.eye(len(labels))[found.argmax(axis=1)]
    shares = applicable.sum(axis=0) / max(applicable.sum(), 1)
    return {
        "texts": len(found),
        "classes": {label: round(float(share), 4) for label, share in zip(labels, shares, strict=True)},
        "confidence": round(float(found.max(axis=1).mean()), 4),
    }
