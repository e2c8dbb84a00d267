"""Attributions as a PNG: over an image, or as a spectrogram with its axes."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

# The PNG's longest side in pixels: larger images are drawn smaller.
LONGEST = 1024
# Attributions at this quantile or above have the full colour.
QUANTILE = 0.99
# The ends of ColorBrewer's diverging map RdBu, which the colour-blind can tell apart: for and against the target.
FOR, AGAINST = np.array([178, 24, 43], np.float32), np.array([33, 102, 172], np.float32)
# How much of a grey image is left under the map, and how light it is.
LIGHTER, STRONGEST = 0.45, 0.85
PAPER, INK = (255, 255, 255), (40, 40, 40)
MARGIN, CURVE, GAP, FONT = 44, 60, 12, 12


def strengths(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The attributions scaled to -1 … 1."""
    largest = float(np.quantile(np.abs(values), QUANTILE)) or float(np.abs(values).max())
    if not largest:
        return np.zeros_like(values)
    return np.clip(values / largest, -1, 1).astype(np.float32)


def tinted(paper_HW3: NDArray[np.float32], strengths_HW: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The paper tinted with the colours of the strengths."""
    alpha = (STRONGEST * np.abs(strengths_HW))[..., None]
    colours = np.where(strengths_HW[..., None] >= 0, FOR, AGAINST)
    return np.round(paper_HW3 * (1 - alpha) + colours * alpha).astype(np.uint8)


def over_image(
    image_HW3: NDArray[np.uint8], values: NDArray[np.float32], box: tuple[float, float, float, float]
) -> bytes:
    """A PNG of the image in light grey, with the attributions' colours over the part that the model saw.

    values: (rows, columns), of the box x1 y1 x2 y2 in the image's pixels; it may reach beyond the image.
    """
    height, width = image_HW3.shape[:2]
    scale = min(1.0, LONGEST / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    grey = np.asarray(Image.fromarray(image_HW3).resize(size, Image.Resampling.BILINEAR).convert("L"), np.float32)
    paper = 255 - (255 - grey) * (1 - LIGHTER)
    x1, y1, x2, y2 = box
    rows, columns = values.shape
    # From canvas coordinates to the grid's.
    across = np.array([columns / (x2 - x1) / scale, 0, -x1 * columns / (x2 - x1)])
    down = np.array([0, rows / (y2 - y1) / scale, -y1 * rows / (y2 - y1)])
    drawn = Image.fromarray(strengths(values)).transform(
        size, Image.Transform.AFFINE, (*across, *down), Image.Resampling.BILINEAR, fillcolor=0
    )
    mixed = tinted(np.repeat(paper[..., None], 3, axis=2), np.asarray(drawn, np.float32))
    return png(Image.fromarray(mixed))


def spectrogram(
    values: NDArray[np.float32], curve: NDArray[np.float32], seconds: tuple[float, float], top: str, bottom: str
) -> bytes:
    """A PNG of attributions (bands, frames), the lowest band at the bottom, with their curve over time below.

    seconds: of the first and the last frame. top, bottom: labels of the highest and the lowest band.
    """
    bands, frames = values.shape
    width, height = max(400, min(LONGEST, 4 * frames)), max(160, min(480, 4 * bands))
    canvas = Image.new("RGB", (width + 2 * MARGIN, height + CURVE + 2 * MARGIN + GAP), PAPER)
    map_ = Image.fromarray(strengths(values)[::-1].copy()).resize((width, height), Image.Resampling.NEAREST)
    white = np.full((height, width, 3), 255, np.float32)
    canvas.paste(Image.fromarray(tinted(white, np.asarray(map_, np.float32))), (MARGIN, GAP))
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(FONT)
    draw.rectangle((MARGIN - 1, GAP - 1, MARGIN + width, GAP + height), outline=INK)
    draw.text((MARGIN - 4, GAP), top, INK, font, anchor="rt")
    draw.text((MARGIN - 4, GAP + height), bottom, INK, font, anchor="rb")
    middle = GAP + height + MARGIN // 2 + CURVE // 2
    scaled = strengths(curve) * CURVE / 2
    steps = MARGIN + (np.arange(len(curve)) + 0.5) * width / len(curve)
    draw.line((MARGIN, middle, MARGIN + width, middle), fill=(200, 200, 200))
    for left, right in zip(range(len(curve) - 1), range(1, len(curve)), strict=True):
        colour = tuple(int(part) for part in (FOR if scaled[left] + scaled[right] >= 0 else AGAINST))
        line = (steps[left], middle - scaled[left], steps[right], middle - scaled[right])
        draw.line(line, fill=colour, width=2)
    line_below = middle + CURVE // 2 + GAP
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        at, second = MARGIN + share * width, seconds[0] + share * (seconds[1] - seconds[0])
        draw.line((at, line_below - 6, at, line_below - 2), fill=INK)
        draw.text((at, line_below), f"{second:.2f} s", INK, font, anchor="mt")
    return png(canvas)


def png(canvas: Image.Image) -> bytes:
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG")
    return buffer.getvalue()
