"""Pictures with predictions drawn over them, for people to look at."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as transforms
from torchvision.utils import draw_bounding_boxes, draw_segmentation_masks, make_grid, save_image

from handlers.image_transform import ImageTransform
from train.shape_pictures import ShapePictures

_COLOURS = ["black", "red", "orange", "yellow", "cyan", "magenta"]
_TILE = 320
_COUNT = 20


def _write(tiles: list[Tensor], path: Path) -> None:
    padded = [F.pad(tile, (0, _TILE - tile.shape[2], 0, _TILE - tile.shape[1])) for tile in tiles]
    save_image(make_grid(torch.stack(padded), nrow=5) / 255, path)


def _fit(image_CHW: Tensor) -> Tensor:
    height, width = image_CHW.shape[-2:]
    scale = _TILE / max(height, width)
    return transforms.resize(image_CHW, [round(height * scale), round(width * scale)], antialias=True)


@torch.inference_mode()
def boxes_gallery(network: nn.Module, pictures: ShapePictures, labels: list[str], path: Path) -> None:
    """Write the first twenty pictures as a PNG: true boxes in white, those found with a score of 0.5 in colour."""
    device = next(network.parameters()).device
    tiles = []
    for index in range(min(_COUNT, len(pictures))):
        image, target = pictures[index]
        (found,) = network([image.to(device) / 255])
        confident = found["scores"] >= 0.5
        indices = found["labels"][confident].tolist()
        captions = [f"{labels[i]} {s:.2f}" for i, s in zip(indices, found["scores"][confident].tolist(), strict=True)]
        drawn = draw_bounding_boxes(image, target["boxes"], colors="white", width=3)
        boxes = found["boxes"][confident].cpu()
        drawn = draw_bounding_boxes(drawn, boxes, captions, [_COLOURS[i] for i in indices], width=2)
        tiles.append(_fit(drawn))
    _write(tiles, path)


@torch.inference_mode()
def masks_gallery(network: nn.Module, transform: ImageTransform, pictures: ShapePictures, path: Path) -> None:
    """Write the first ten pictures as a PNG: rows of five with the predicted classes above the true ones."""
    device = next(network.parameters()).device
    predicted, true = [], []
    for index in range(min(_COUNT // 2, len(pictures))):
        image, target = pictures[index]
        plain = image.as_subclass(Tensor)
        logits_NCHW = network(transform(plain)[None].to(device))["out"]
        full_NCHW = F.interpolate(logits_NCHW, plain.shape[-2:], mode="bilinear", align_corners=False)
        predicted.append(_tinted(plain, full_NCHW[0].argmax(dim=0).cpu()))
        true.append(_tinted(plain, target["mask"].as_subclass(Tensor)))
    rows = [tiles[start : start + 5] for start in range(0, len(predicted), 5) for tiles in (predicted, true)]
    _write([tile for row in rows for tile in row], path)


def _tinted(image_CHW: Tensor, label_map_HW: Tensor) -> Tensor:
    masks_NHW = torch.stack([label_map_HW == index for index in range(1, len(_COLOURS))])
    return _fit(draw_segmentation_masks(image_CHW, masks_NHW, alpha=0.6, colors=_COLOURS[1:]))
