"""Composed images: textured shapes over photographs, with occlusion, uneven light, blur, noise and JPEG artefacts."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from train.demo.shapes.photographs import HELD_OUT, TRAINING, Photograph, photograph
from train.demo.shapes.shapes import SHAPES, area, coverage, outline, place, texture

# Minimum visible share of every shape, so that it can be recognised. A shape is skipped if it would lie further outside
# or cover another one further.
VISIBLE = 0.6
PARTS = ("training", "validation", "test")


@dataclass(frozen=True)
class Composed:
    """A composed image of size (H, W) with N shapes and its ground truth.

    image_HWC: uint8, RGB. label_map_HW: uint8, 0 for the background, otherwise 1 + the shape's index in SHAPES.
    instances_HW: uint8, 0 for the background, otherwise 1 + the shape's index in boxes and labels.
    boxes: float32 (N, 4), x1, y1, x2, y2 in pixels around the visible part; x2 and y2 are exclusive.
    labels: int64 (N,), numbered like label_map_HW.
    """

    image_HWC: NDArray[np.uint8]
    label_map_HW: NDArray[np.uint8]
    instances_HW: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]


def compose(rng: Generator, photographs: tuple[str, ...], size: tuple[int, int]) -> Composed:
    """Compose an image of `size` (height, width) with up to five shapes, each 15 to 60 % of the shorter side across.

    The same state of `rng` gives the same image.
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
    return Composed(
        image_HWC=_photograph_again(canvas_HWC, rng),
        label_map_HW=np.array([0, *labels], np.uint8)[instances_HW],
        instances_HW=instances_HW,
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        labels=np.array(labels, np.int64),
    )


def background(source: Photograph, size: tuple[int, int], rng: Generator) -> NDArray[np.float32]:
    """A random crop of a photograph, at least a third of its sides, randomly flipped, with other light and colours."""
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
    """Draw a polygon onto the canvas and into the instance map. Returns False and draws nothing if VISIBLE forbids it.

    areas: full areas of the map's instances, as if uncovered; the background, 0, has no limit.
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
    """Imitate a camera: a light gradient, blur, sensor noise, JPEG compression."""
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


def composed(part: str, index: int, seed: int = 0, sides: tuple[int, int] | None = None) -> Composed:
    """The image at an index of a part, which depends only on the arguments.

    part: one of PARTS. The training part has its own photographs and smaller images.
    sides: minimum and maximum side in pixels; by default the part's.
    """
    photographs, usual = (TRAINING, (192, 320)) if part == "training" else (HELD_OUT, (240, 640))
    least, largest = sides or usual
    rng = np.random.default_rng([PARTS.index(part), seed, index])
    height, width = (int(side) for side in rng.integers(least, largest + 1, 2))
    return compose(rng, photographs, (height, width))
