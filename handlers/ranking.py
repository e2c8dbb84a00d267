"""Probabilities of logits, and class probabilities as a ranked list of labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from handlers.artifact import LoadError
from handlers.errors import InternalError

Float = TypeVar("Float", np.float32, np.float64)


def softmax(logits: NDArray[Float]) -> NDArray[Float]:
    """Probabilities along the last axis, (…, classes) of (…, classes); what is not finite stays so."""
    with np.errstate(invalid="ignore"):
        weights = np.exp(logits - logits.max(axis=-1, keepdims=True, initial=-np.inf))
        probabilities: NDArray[Float] = weights / weights.sum(axis=-1, keepdims=True)
    return probabilities


def check_count(outputs: int, labels: Sequence[str]) -> None:
    """Raise LoadError unless the model has one output per label; called during a worker's warm-up."""
    if outputs != len(labels):
        raise LoadError(f"the model has {outputs} outputs; the artifact names {len(labels)} labels")


def rank(
    probabilities: NDArray[np.float32], labels: Sequence[str], top_k: int, name: str = "probability"
) -> list[dict[str, Any]]:
    """The `top_k` most probable classes of one item, best first; ties in the order of their index.

    probabilities: (classes,). name: the answer's key for a probability. Raises InternalError if a probability is not
    finite.
    """
    if not np.isfinite(probabilities).all():
        raise InternalError("the model's output for this input is not finite")
    order = np.argsort(-probabilities, kind="stable")[:top_k]
    best = zip(order.tolist(), probabilities[order].tolist(), strict=True)
    return [{"label": labels[index], name: probability, "index": index} for index, probability in best]
