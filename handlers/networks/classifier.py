"""torchvision's classifiers with a head for classes of one's own."""

from __future__ import annotations

from typing import Any

from torch import nn
from torchvision import models
from torchvision.models import get_model, list_models


def names() -> list[str]:
    """Every image classifier torchvision has."""
    return list_models(module=models)


def classifier(model: str, classes: int, **arguments: Any) -> nn.Module:
    """torchvision's `model` with `classes` outputs: (B, 3, H, W) → logits (B, classes). No weights are fetched.

    classes: of all tasks together where the model answers several; an answer holds them one task after the other.
    arguments: of the model's own builder, such as dropout or, of a vision transformer, image_size.
    Raises ValueError for a name torchvision does not have.
    """
    if model not in names():
        raise ValueError(f"torchvision has no classifier {model!r}; there are {', '.join(names())}")
    # These two have branches that only a training from nothing uses, and draw their first weights slowly.
    own = {"aux_logits": False, "init_weights": False} if model in ("googlenet", "inception_v3") else {}
    network: nn.Module = get_model(model, weights=None, num_classes=classes, **own, **arguments)
    return network
