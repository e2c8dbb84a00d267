"""The five shapes and their textures."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SHAPES = ("circle", "square", "triangle", "star", "cross")
_SUPERSAMPLING = 4


def outline(shape: str, rng: Generator) -> NDArray[np.float64]:
    """Vertices (N, 2) of `shape`, centred in the unit circle; the slenderness of stars and crosses varies."""
    if shape == "circle":
        return _regular(64)
    if shape == "square":
        return _regular(4)
    if shape == "triangle":
        return _regular(3)
    if shape == "star":
        points = _regular(10)
        points[1::2] *= rng.uniform(0.4, 0.52)
        return points
    if shape == "cross":
        arm = rng.uniform(0.25, 0.4)
        corner = np.array([(1.0, arm), (arm, arm), (arm, 1.0)])
        quarter_turn = np.array([(0.0, 1.0), (-1.0, 0.0)])
        turns = [corner @ np.linalg.matrix_power(quarter_turn, k) for k in range(4)]
        return np.concatenate(turns) / np.hypot(arm, 1.0)
    raise ValueError(f"shape is {shape!r}; wanted one of {', '.join(SHAPES)}")


def _regular(corners: int) -> NDArray[np.float64]:
    angles = 2 * np.pi * np.arange(corners) / corners
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def place(
    points: NDArray[np.float64], centre: tuple[float, float], radius: float, rng: Generator
) -> NDArray[np.float64]:
    """Stretch (aspect ratio up to 4:3), rotate and move an outline. radius: half its longer side in pixels."""
    aspect = np.exp(rng.uniform(-1, 1) * np.log(4 / 3))
    stretch = np.array([aspect, 1.0]) / max(aspect, 1.0)
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
    return points * stretch @ turn * radius + np.array(centre)


def area(points: NDArray[np.float64]) -> float:
    """The area of a polygon in square pixels (shoelace formula)."""
    x, y = points.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def coverage(points: NDArray[np.float64], box: tuple[int, int, int, int]) -> NDArray[np.float32]:
    """The covered share of each pixel of `box` (x1, y1, x2, y2): (y2 - y1, x2 - x1) in [0, 1]."""
    x1, y1, x2, y2 = box
    canvas = Image.new("L", ((x2 - x1) * _SUPERSAMPLING, (y2 - y1) * _SUPERSAMPLING))
    # PIL's coordinates refer to pixel centres; in an outline's coordinates, pixel 0 spans [0, 1).
    vertices = (points - (x1, y1)) * _SUPERSAMPLING - 0.5
    ImageDraw.Draw(canvas).polygon([(float(x), float(y)) for x, y in vertices], fill=255)
    return np.asarray(canvas.reduce(_SUPERSAMPLING), dtype=np.float32) / np.float32(255)


def texture(size: tuple[int, int], away_from: NDArray[np.float32], rng: Generator) -> NDArray[np.float32]:
    """A texture (height, width, 3) in [0, 255]: plain, gradient, stripes, chequers or blotches in two colours.

    away_from: mean colour of the covered area; the first colour is chosen to differ from it.
    """
    height, width = size
    candidates = rng.uniform(0, 255, (4, 3)).astype(np.float32)
    first = candidates[np.abs(candidates - away_from).sum(1).argmax()]
    second = np.clip(first + rng.uniform(-110, 110, 3), 0, 255).astype(np.float32)
    kind = rng.integers(5)
    if kind == 0:
        return np.broadcast_to(first, (height, width, 3)).astype(np.float32)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    period = rng.uniform(4, 16)
    if kind == 1:
        mix = (along - along.min()) / max(float(np.ptp(along)), 1.0)
    elif kind == 2:
        mix = (along % period > period / 2).astype(np.float32)
    elif kind == 3:
        mix = ((along % period > period / 2) ^ (across % period > period / 2)).astype(np.float32)
    else:
        coarse = rng.integers(0, 256, (max(2, height // 6), max(2, width // 6)), dtype=np.uint8)
        mix = (
            np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)
            / 255
        )
    return np.asarray(first + (second - first) * mix[..., None], dtype=np.float32)
