"""Draws predictions over images."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib import get_data_path
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as transforms
from torchvision.utils import draw_bounding_boxes, draw_segmentation_masks, make_grid, save_image

_TILE = 320
_COUNT = 20
_COLUMNS = 5
_FONT = str(Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"))


def colour(index: int) -> tuple[int, int, int]:
    """A class colour; hues in golden-ratio steps stay distinct for any number of classes."""
    red, green, blue = colorsys.hsv_to_rgb(index * 0.618034 % 1.0, 0.85, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def chosen(length: int, count: int = _COUNT) -> list[int]:
    """At most `count` indices, evenly spaced over `length` items."""
    return [index * length // min(count, length) for index in range(min(count, length))]


def write_grid(tiles: Sequence[Tensor], path: Path) -> None:
    """Write uint8 images (3, H, W) of any sizes as one image, in rows of five."""
    small = [_fit(tile) for tile in tiles]
    padded = [F.pad(tile, (0, _TILE - tile.shape[2], 0, _TILE - tile.shape[1])) for tile in small]
    save_image(make_grid(torch.stack(padded), nrow=_COLUMNS) / 255, path)


def write_pairs(predicted: Sequence[Tensor], true: Sequence[Tensor], path: Path) -> None:
    """Like `write_grid`, with rows of predictions above rows of ground truth."""
    blank = torch.zeros(3, _TILE, _TILE, dtype=torch.uint8)
    tiles = []
    for start in range(0, len(predicted), _COLUMNS):
        for row in (predicted[start : start + _COLUMNS], true[start : start + _COLUMNS]):
            tiles += [*row, *[blank] * (_COLUMNS - len(row))]
    write_grid(tiles, path)


def _fit(image_CHW: Tensor) -> Tensor:
    height, width = image_CHW.shape[-2:]
    scale = _TILE / max(height, width)
    size = [max(1, round(height * scale)), max(1, round(width * scale))]
    return transforms.resize(image_CHW, size, antialias=True)


def draw_boxes(
    image_CHW: Tensor, boxes_N4: Tensor, colours: str | list[tuple[int, int, int]], captions: list[str] | None = None
) -> Tensor:
    """Draw boxes over a uint8 image, thick enough to be visible in a grid."""
    if not len(boxes_N4):
        return image_CHW
    scale = max(image_CHW.shape) / _TILE
    width, size = max(2, round(2 * scale)), max(9, round(11 * scale))
    style: dict[str, Any] = {"font": _FONT, "font_size": size, "label_colors": "black", "fill_labels": True}
    return draw_bounding_boxes(image_CHW, boxes_N4, captions, colours, width=width, **(style if captions else {}))


def draw_found(image_CHW: Tensor, found: dict[str, Tensor], labels: list[str]) -> Tensor:
    """Draw detections with labels and scores, and boolean masks (N, H, W) if there are any."""
    indices = found["labels"].tolist()
    colours = [colour(index) for index in indices]
    if "masks" in found and indices:
        image_CHW = draw_segmentation_masks(image_CHW, found["masks"], alpha=0.5, colors=colours)
    captions = [f"{labels[i]} {score:.2f}" for i, score in zip(indices, found["scores"].tolist(), strict=True)]
    return draw_boxes(image_CHW, found["boxes"], colours, captions)


def draw_label_map(image_CHW: Tensor, label_map_HW: Tensor) -> Tensor:
    """Tint every class except the background (0); ignored pixels (255) are white."""
    present = [index for index in label_map_HW.unique().tolist() if index]
    if not present:
        return image_CHW
    masks_NHW = torch.stack([label_map_HW == index for index in present])
    colours = [(255, 255, 255) if index == 255 else colour(index) for index in present]
    return draw_segmentation_masks(image_CHW, masks_NHW, alpha=0.6, colors=colours)


def confident(found: dict[str, Tensor], threshold: float = 0.5) -> dict[str, Tensor]:
    """Detections with at least this score, on the CPU."""
    kept = found["scores"] >= threshold
    return {name: values[kept].cpu() for name, values in found.items()}
