"""torchvision's and timm's classifiers with a head for classes of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from torch import nn
from torchvision import models
from torchvision.models import WeightsEnum, get_model, list_models

# These two have branches that only a training from nothing uses, and draw their first weights slowly.
BRANCHED = ("googlenet", "inception_v3")
VIT_SIZE = 224  # of the images that torchvision's vision transformers take by default
TIMM = "timm/"  # in front of a name of timm's registry


def names() -> list[str]:
    """Every image classifier torchvision has."""
    return list_models(module=models)


def derived(model: str, weights: WeightsEnum | None) -> dict[str, Any]:
    """The arguments that torchvision's builder of `model` takes from its published weights: none without weights.

    GoogLeNet and Inception v3 were trained on images normalised otherwise, which they then do themselves, and are used
    without their auxiliary heads; a vision transformer has as many positions as an image of its size has patches.
    """
    if weights is None:
        return {}
    if model in BRANCHED:
        return {"transform_input": True, "aux_logits": False, "init_weights": False}
    size = min(weights.meta.get("min_size", (0,)))
    return {"image_size": size} if model.startswith("vit_") and size != VIT_SIZE else {}


def classifier(model: str, classes: int, **arguments: Any) -> nn.Module:
    """`model` with `classes` outputs: (B, 3, H, W) → logits (B, classes). No weights are fetched.

    model: of torchvision, such as resnet18, or of timm, such as timm/resnet18.
    classes: of all tasks together where the model answers several; an answer holds them one task after the other.
    arguments: of the model's own builder, such as dropout or, of a vision transformer, image_size.
    Raises ValueError for a name that neither has.
    """
    if model.startswith(TIMM):
        return of_timm(model.removeprefix(TIMM), classes, arguments)
    if model not in names():
        raise ValueError(f"torchvision has no classifier {model!r}; there are {', '.join(names())}")
    own = {"aux_logits": False, "init_weights": False} if model in BRANCHED else {}
    network: nn.Module = get_model(model, weights=None, num_classes=classes, **{**own, **arguments})
    return network


def of_timm(name: str, classes: int, arguments: Mapping[str, Any]) -> nn.Module:
    import timm  # by those that have a model of it

    if not timm.is_model(name):
        close = ", ".join(get_close_matches(name, timm.list_models(), n=3))
        raise ValueError(f"timm has no model {name!r}{f'; did you mean {close}?' if close else ''}")
    network: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes, **arguments)
    return network
