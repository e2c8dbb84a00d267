"""Draws augmented samples with their boxes and masks into one image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as transforms
from torchvision.utils import draw_bounding_boxes, draw_segmentation_masks, make_grid, save_image

TILE = 240
COLOURS = ["red", "orange", "yellow", "lime", "cyan", "magenta", "blue", "white"]
Sample = tuple[Tensor, dict[str, Any]]


def write_grid(path: Path, samples: Sequence[Sample], augment: Callable[[Sample], Sample], times: int = 5) -> None:
    """Write an image with one row per sample: the original, then `times` augmented versions.

    samples: (uint8 image (3, H, W), target with optional "boxes" (N, 4), "masks" (N, H, W) and "labels" (N,)).
    """
    tiles = []
    for sample in samples:
        tiles += [tile(*sample), *(tile(*augment(sample)) for _ in range(times))]
    path.parent.mkdir(parents=True, exist_ok=True)
    save_image(make_grid(torch.stack(tiles), nrow=times + 1, padding=4, pad_value=255) / 255, path)


def tile(image_CHW: Tensor, target: dict[str, Any]) -> Tensor:
    """The image with its boxes and masks, resized to fit a square of TILE pixels."""
    drawn = image_CHW.as_subclass(Tensor)
    masks, boxes = target.get("masks"), target.get("boxes")
    if masks is not None and len(masks):
        drawn = draw_segmentation_masks(drawn, masks.as_subclass(Tensor).bool(), 0.4, colours(len(masks)))
    if boxes is not None and len(boxes):
        xyxy = transforms.convert_bounding_box_format(boxes, new_format="XYXY").as_subclass(Tensor)
        drawn = draw_bounding_boxes(drawn, xyxy, colors=colours(len(boxes)), width=max(2, drawn.shape[-1] // 120))
    height, width = drawn.shape[-2:]
    scale = TILE / max(height, width)
    drawn = transforms.resize(drawn, [max(1, round(height * scale)), max(1, round(width * scale))], antialias=True)
    return F.pad(drawn, (0, TILE - drawn.shape[2], 0, TILE - drawn.shape[1]))


def colours(count: int) -> list[str]:
    return [COLOURS[number % len(COLOURS)] for number in range(count)]
