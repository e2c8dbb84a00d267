"""Answers people look at: boxes and masks drawn over the image, as PNG."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision import utils

from handlers.vision.decoding import to_png

GOLDEN_RATIO = 0.618034


def colour(index: int) -> tuple[int, int, int]:
    """A colour of its own for each class: hues a golden ratio apart stay distinct however many there are."""
    red, green, blue = colorsys.hsv_to_rgb(index * GOLDEN_RATIO % 1.0, 0.85, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_boxes(image_CHW: Tensor, boxes_N4: Tensor, indices: Sequence[int], captions: Sequence[str]) -> bytes:
    """Boxes with captions over a uint8 image, as PNG."""
    if len(indices):
        width = max(2, round(max(image_CHW.shape) / 300))
        colours = [colour(index) for index in indices]
        image_CHW = utils.draw_bounding_boxes(image_CHW, boxes_N4, labels=list(captions), colors=colours, width=width)
    return to_png(image_CHW.permute(1, 2, 0).numpy())


def draw_keypoints(
    image_CHW: Tensor, points_NK2: Tensor, indices: Sequence[int], skeleton: Sequence[tuple[int, int]]
) -> Tensor:
    """Points with lines between some of them over a uint8 image; a uint8 image again.

    indices: of the objects' classes, whose colours the points have. skeleton: pairs of points.
    """
    size = max(2, round(max(image_CHW.shape) / 300))
    for points_K2, index in zip(points_NK2, indices, strict=True):
        image_CHW = utils.draw_keypoints(
            image_CHW, points_K2[None], list(skeleton), colors=colour(index), radius=size, width=size
        )
    return image_CHW


def draw_masks(image_CHW: Tensor, masks: Iterable[Tensor], indices: Sequence[int]) -> Tensor:
    """Half-transparent masks (height, width) over a uint8 image; a uint8 image again.

    As torchvision's draw_segmentation_masks, which wants all masks at once and mixes in float32: where masks overlap it
    is dark. Here one mask is in memory at a time.
    """
    if not len(indices):
        return image_CHW
    drawn_CHW = image_CHW.clone()
    once, twice = (torch.zeros(image_CHW.shape[1:], dtype=torch.bool) for _ in range(2))
    for mask, index in zip(masks, indices, strict=True):
        for channel, level in zip(drawn_CHW, colour(index), strict=True):
            channel[mask] = level
        twice |= once & mask
        once |= mask
    for channel in drawn_CHW:
        channel[twice] = 0
    return (image_CHW & drawn_CHW) + ((image_CHW ^ drawn_CHW) >> 1)  # the mean of both, rounded down


def draw_label_map(image_CHW: Tensor, label_map_HW: NDArray[np.uint8], background: int | None = 0) -> bytes:
    """Every class but the background tinted over the image, as PNG."""
    present = [int(index) for index in np.unique(label_map_HW) if index != background]
    masks = (torch.from_numpy(label_map_HW == i) for i in present)
    return to_png(draw_masks(image_CHW, masks, present).permute(1, 2, 0).numpy())
