"""torchvision's normalisation, in place."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection.transform import GeneralizedRCNNTransform


def normalise_in_place(resizing: Any) -> None:
    """Let a detector's `transform` normalise images that are only ours, without torchvision's two copies of each."""
    transform = GeneralizedRCNNTransform
    if isinstance(resizing, transform) and type(resizing).normalize is transform.normalize:
        mean, std = resizing.image_mean, resizing.image_std
        vars(resizing)["normalize"] = partial(normalise, mean=mean, std=std)


def normalise(image_CHW: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """As GeneralizedRCNNTransform does it, but in place."""
    centre, spread = (torch.tensor(values, dtype=image_CHW.dtype, device=image_CHW.device) for values in (mean, std))
    return image_CHW.sub_(centre[:, None, None]).div_(spread[:, None, None])
