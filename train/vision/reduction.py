"""Reduces images of many pixels before they are augmented, which would take GB of memory at their own size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision import tv_tensors
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from train.vision.images import read_file

# Times the size at which a network sees the image: a crop of a third of the sides, about the smallest that is made, has
# as many pixels as the network takes.
KEPT = 3

# (height, width) of an image → of what the network and the augmentation can use of it.
Reduced = Callable[[int, int], tuple[int, int]]


def for_sides(shorter: int, longer: int) -> Reduced:
    """For a network that resizes an image until neither side is above its bound."""

    def reduced(height: int, width: int) -> tuple[int, int]:
        return scaled(height, width, min(shorter / min(height, width), longer / max(height, width)))

    return reduced


def for_size(tall: int, wide: int) -> Reduced:
    """For a network with an input of one size, to which images are stretched, or that crops are resized to."""

    def reduced(height: int, width: int) -> tuple[int, int]:
        return scaled(height, width, max(tall / height, wide / width))

    return reduced


def for_detector(resizing: Any) -> Reduced:
    """resizing: torchvision's GeneralizedRCNNTransform, or one with its attributes."""
    fixed = getattr(resizing, "fixed_size", None)
    return for_size(fixed[1], fixed[0]) if fixed else for_sides(max(resizing.min_size), resizing.max_size)


def scaled(height: int, width: int, seen: float) -> tuple[int, int]:
    """seen: the scale at which the network sees the image."""
    scale = min(1.0, KEPT * seen)
    return max(1, round(height * scale)), max(1, round(width * scale))


def read_reduced(path: Path, size: tuple[int, int], reduced: Reduced) -> tv_tensors.Image:
    """Read an image of `size`, (height, width), at its reduced size. Raises ExperimentError."""
    target = reduced(*size)
    if target == size:
        return tv_tensors.Image(read_file(path))
    image = read_file(path, side=min(target))
    return tv_tensors.Image(F.resize(image, list(target), antialias=True))


def reduce_mask(mask_HW: NDArray[np.uint8], reduced: Reduced) -> tv_tensors.Mask:
    """A mask or label map (height, width) at its reduced size: each pixel is one of the original's."""
    mask = torch.from_numpy(mask_HW)
    target = reduced(*mask_HW.shape)
    if target != mask_HW.shape:
        mask = F.resize(mask[None], list(target), interpolation=InterpolationMode.NEAREST_EXACT)[0]
    return tv_tensors.Mask(mask)
