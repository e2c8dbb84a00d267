"""Composed pictures: textured shapes over photographs, occluded, unevenly lit, blurred, noisy, compressed."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors

from train.photographs import HELD_OUT, TRAINING, Photograph, photograph
from train.shapes import SHAPES, area, coverage, outline, place, texture

# At least this part of every shape shows; one that would lie further outside, or cover another further, is left out.
# So whatever is annotated can be recognised.
VISIBLE = 0.6


@dataclass(frozen=True)
class Picture:
    """A composed picture of size (H, W) with N shapes and its ground truth.

    image_HWC: uint8, RGB.
    label_map_HW: uint8, 0 where the photograph shows, else 1 + the shape's index in SHAPES.
    instances_HW: uint8, 0 where the photograph shows, else 1 + the shape's position in boxes and labels.
    boxes: float32 (N, 4), x1, y1, x2, y2 in pixels around the part that is visible, with x2 and y2 exclusive.
    labels: int64 (N,), numbered as in label_map_HW.
    """

    image_HWC: NDArray[np.uint8]
    label_map_HW: NDArray[np.uint8]
    instances_HW: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]


def compose(rng: Generator, photographs: tuple[str, ...], size: tuple[int, int]) -> Picture:
    """Compose a picture of `size` (height, width) with up to five shapes, each 15 to 60 % of the shorter side across.

    The same state of `rng` gives the same picture.
    """
    height, width = size
    canvas_HWC = background(photograph(photographs[rng.integers(len(photographs))]), size, rng)
    instances_HW = np.zeros(size, np.uint8)
    labels: list[int] = []
    areas = [0.0]
    for _ in range(rng.integers(1, 6)):
        index = int(rng.integers(len(SHAPES)))
        radius = min(size) / 2 * np.exp(rng.uniform(np.log(0.15), np.log(0.6)))
        centre = (rng.uniform(0, width), rng.uniform(0, height))
        points = place(outline(SHAPES[index], rng), centre, radius, rng)
        if _draw(canvas_HWC, instances_HW, points, areas, rng):
            labels.append(index + 1)
            areas.append(area(points))
    boxes = [_box(instances_HW == number) for number in range(1, len(labels) + 1)]
    return Picture(
        image_HWC=_photograph_again(canvas_HWC, rng),
        label_map_HW=np.array([0, *labels], np.uint8)[instances_HW],
        instances_HW=instances_HW,
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        labels=np.array(labels, np.int64),
    )


def background(source: Photograph, size: tuple[int, int], rng: Generator) -> NDArray[np.float32]:
    """A random part of a photograph, at least a third of its sides, mirrored or not, in other light and colours."""
    height, width = size
    full_height, full_width = source.shape[:2]
    scale = min(full_height / height, full_width / width) * rng.uniform(1 / 3, 1)
    left = rng.uniform(0, full_width - width * scale)
    top = rng.uniform(0, full_height - height * scale)
    box = (left, top, left + width * scale, top + height * scale)
    part = Image.fromarray(source).resize((width, height), Image.Resampling.BILINEAR, box=box)
    part_HWC = np.asarray(part, np.float32)[..., rng.permutation(3)] * rng.uniform(0.6, 1.2, 3).astype(np.float32)
    return np.ascontiguousarray(part_HWC[:, ::-1] if rng.random() < 0.5 else part_HWC)


def _draw(
    canvas_HWC: NDArray[np.float32],
    instances_HW: NDArray[np.uint8],
    points: NDArray[np.float64],
    areas: list[float],
    rng: Generator,
) -> bool:
    """Draw a polygon onto the canvas and into the instance map; False, and nothing drawn, where VISIBLE forbids it.

    areas: of the instances in the map, each as if nothing covered it; the background, 0, never lacks any.
    """
    height, width = instances_HW.shape
    x1, y1 = np.floor(points.min(0)).astype(int).clip(0, (width, height))
    x2, y2 = np.ceil(points.max(0)).astype(int).clip(0, (width, height))
    if x1 >= x2 or y1 >= y2:
        return False
    alpha_HW = coverage(points, (int(x1), int(y1), int(x2), int(y2)))
    inside_HW = alpha_HW >= 0.5
    if inside_HW.sum() < VISIBLE * area(points):
        return False
    covered_HW = instances_HW[y1:y2, x1:x2]
    remaining = np.bincount(instances_HW.ravel(), minlength=len(areas))
    remaining -= np.bincount(covered_HW[inside_HW], minlength=len(areas))
    if (remaining < VISIBLE * np.array(areas)).any():
        return False
    patch_HWC = canvas_HWC[y1:y2, x1:x2]
    filling_HWC = texture(inside_HW.shape, patch_HWC.mean((0, 1)), rng)
    patch_HWC += (filling_HWC - patch_HWC) * alpha_HW[..., None]
    covered_HW[inside_HW] = len(areas)
    return True


def _box(mask_HW: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    columns, rows = np.flatnonzero(mask_HW.any(0)), np.flatnonzero(mask_HW.any(1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _photograph_again(canvas_HWC: NDArray[np.float32], rng: Generator) -> NDArray[np.uint8]:
    """What a camera adds: a gradient of light, blur, sensor noise, JPEG."""
    height, width, _ = canvas_HWC.shape
    across, down = rng.uniform(-0.3, 0.3, 2)
    light_HW = 1 + across * np.linspace(-1, 1, width, dtype=np.float32) + down * np.linspace(-1, 1, height)[:, None]
    canvas_HWC = canvas_HWC * light_HW[..., None].astype(np.float32)
    if rng.random() < 0.5:
        canvas_HWC = canvas_HWC + rng.standard_normal(canvas_HWC.shape, np.float32) * np.float32(rng.uniform(2, 14))
    image = Image.fromarray(canvas_HWC.clip(0, 255).astype(np.uint8))
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.5)))
    if rng.random() < 0.5:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(rng.integers(30, 95)))
        image = Image.open(buffer)
    return np.array(image)


class ShapePictures(Dataset[tuple[tv_tensors.Image, dict[str, Tensor]]]):
    """Composed pictures of random sizes, made when asked for; index `i` of a split and seed is always the same.

    An item is (image uint8 (3, H, W), {"boxes": (N, 4), "labels": (N,), "mask": label map (H, W)}) in tv_tensors, so
    that torchvision's transforms move them together.

    split: "training" or "held-out", which share no photograph. Pictures held out are larger, up to 640 pixels.
    """

    def __init__(self, split: Literal["training", "held-out"], length: int, seed: int = 0) -> None:
        self.photographs: tuple[str, ...] = TRAINING if split == "training" else HELD_OUT
        self.sides = (192, 321) if split == "training" else (240, 641)
        self.key = (("training", "held-out").index(split), seed)
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[tv_tensors.Image, dict[str, Tensor]]:
        if not 0 <= index < self.length:
            raise IndexError(f"index is {index}; wanted 0 to {self.length - 1}")
        rng = np.random.default_rng([*self.key, index])
        height, width = (int(side) for side in rng.integers(*self.sides, 2))
        return as_tensors(compose(rng, self.photographs, (height, width)))


def as_tensors(picture: Picture) -> tuple[tv_tensors.Image, dict[str, Tensor]]:
    """The picture as a dataset item."""
    height, width = picture.label_map_HW.shape
    boxes = tv_tensors.BoundingBoxes(
        torch.from_numpy(picture.boxes),
        format=tv_tensors.BoundingBoxFormat.XYXY,
        canvas_size=(height, width),
    )
    target = {
        "boxes": boxes,
        "labels": torch.from_numpy(picture.labels),
        "mask": tv_tensors.Mask(torch.from_numpy(picture.label_map_HW)),
    }
    return tv_tensors.Image(torch.from_numpy(picture.image_HWC).permute(2, 0, 1)), target


def write_sample(path: Path) -> None:
    """Write a picture with three shapes or more, of 480 × 360 pixels over a photograph held out, as a JPEG."""
    rng = np.random.default_rng(360)
    picture = compose(rng, HELD_OUT, (360, 480))
    while len(picture.labels) < 3:
        picture = compose(rng, HELD_OUT, (360, 480))
    Image.fromarray(picture.image_HWC).save(path, quality=92)
