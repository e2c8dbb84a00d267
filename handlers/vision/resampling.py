"""A part of an enlarged image without the rest of it: the centre of a strip that a resize would make enormous."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# Pixels on either side that a new pixel is made from, as Pillow and torch have it.
SUPPORT = {"bilinear": 1, "bicubic": 2}
PRECISION = 14  # bits behind the point of a weight


def weighted(image_CHW: Tensor, axis: int, neighbours: NDArray[np.int64], weights: NDArray[np.int32]) -> Tensor:
    """A uint8 image resampled along one axis: each position the weighted sum of its neighbours, (positions, n)."""
    pixels = image_CHW.movedim(axis, -1).numpy()
    total = np.full((*pixels.shape[:-1], len(neighbours)), 1 << (PRECISION - 1), np.int32)
    for neighbour, weight in zip(neighbours.T, weights.T, strict=True):
        total += pixels[..., neighbour] * weight
    return torch.from_numpy(np.clip(total >> PRECISION, 0, 255).astype(np.uint8)).movedim(-1, axis)


def taps(
    length: int, size: int, start: int, stop: int, interpolation: str
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """(neighbours, weights), each (stop - start, n), of the positions from start to stop on an axis of `length` pixels
    that is enlarged to `size`.

    To the bit what torch.nn.functional.interpolate(antialias=True) makes of uint8, whose weights are 16-bit integers
    (aten/src/ATen/native/cpu/UpSampleKernel.cpp). The largest weight of an enlargement is that of a pixel at the edge,
    1 or a little more, which fixes their precision.
    """
    positions = np.arange(start, stop)
    scale = length / size
    if interpolation not in SUPPORT:
        nearest = np.minimum((positions.astype(np.float32) * np.float32(scale)).astype(np.int64), length - 1)
        return nearest[:, None], np.full((len(positions), 1), 1 << PRECISION, np.int32)
    support = SUPPORT[interpolation]
    centre = scale * (positions + 0.5)
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    behind = np.minimum((centre + support + 0.5).astype(np.int64), length)
    sources = first[:, None] + np.arange(2 * support + 1)
    weights = kernel(np.abs(sources - centre[:, None] + 0.5), interpolation)
    weights[sources >= behind[:, None]] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    rounded = np.trunc(weights * (1 << PRECISION) + np.where(weights < 0, -0.5, 0.5)).astype(np.int32)
    return np.minimum(sources, length - 1), rounded


def kernel(distance: NDArray[np.float64], interpolation: str) -> NDArray[np.float64]:
    """The weight at a distance in source pixels: a triangle, or Keys' cubic convolution (1981) with a = -0.5."""
    if interpolation == "bilinear":
        return np.maximum(0.0, 1 - distance)
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = (((distance - 5) * distance + 8) * distance - 4) * -0.5  # in torch's order, for equal rounding
    return np.where(distance < 1, near, np.where(distance < 2, far, 0.0))
