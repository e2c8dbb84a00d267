"""Pixels of any mode as 8-bit RGB: transparent ones over white, grey of more bits scaled, in bands to spare memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handlers.errors import InvalidInput, UnsupportedMedia

# Pixels that are converted at a time: what a conversion needs beside its result stays small.
BAND = 1 << 19
# Pillow's modes of grey with more than 8 bits, and the largest values of the depths that each may hold. Files do not
# say how many of their bits are used, so an image has the smallest depth that holds all of its values: cameras and
# X-ray detectors write 12 bits into 16.
DEPTHS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("I;16", "I;16B", "I;16L", "I;16N"), (4095, 65535)),
    "I": (255, 4095, 65535),
    "F": (1, 255, 4095, 65535),
}
Pixels = NDArray[np.uint8]


def in_bands(height: int, width: int, convert: Callable[[slice], Pixels]) -> Pixels:
    """(height, width, 3), of which `convert` makes the given rows, so that it is never more than a band."""
    pixels = np.empty((height, width, 3), np.uint8)
    rows = max(1, BAND // width)
    for top in range(0, height, rows):
        band = slice(top, min(top + rows, height))
        pixels[band] = convert(band)
    return pixels


def to_rgb(image: Image.Image) -> Pixels:
    """A Pillow image as (height, width, 3)."""
    image.load()
    if image.mode in DEPTHS:
        return from_grey(np.asarray(image), DEPTHS[image.mode])
    if image.mode == "LAB":
        raise UnsupportedMedia("the image's colours are CIE L*a*b*; wanted grey, RGB or CMYK")

    def convert(band: slice) -> Pixels:
        part = image.crop((0, band.start, image.width, band.stop))
        if part.has_transparency_data:
            return over_white((part.convert("LA") if part.mode == "La" else part).convert("RGBA"))
        return np.asarray(part.convert("RGB"))

    return in_bands(image.height, image.width, convert)


def over_white(image: Image.Image) -> Pixels:
    """An RGBA image over white: (height, width, 3)."""
    canvas = Image.new("RGB", image.size, "white")
    canvas.paste(image, mask=image)
    return np.asarray(canvas)


def on_white(rgba: NDArray[Any]) -> Pixels:
    """(height, width, 4) of 8 or 16 bits, of which the last channel is the opacity, over white: (height, width, 3)."""
    height, width = rgba.shape[:2]
    if rgba.dtype == np.uint8:
        return in_bands(height, width, lambda band: over_white(Image.fromarray(rgba[band])))
    table = to_8_bits(65535)
    return in_bands(height, width, lambda band: over_white(Image.fromarray(table[rgba[band]])))


def to_8_bits(white: int) -> Pixels:
    """For each whole number up to `white` what it is of 255, rounded."""
    return np.rint(np.arange(white + 1) * (255 / white)).astype(np.uint8)


def scaled(values: NDArray[Any], white: int) -> Pixels:
    """Whole numbers (height, width, 1 or 3) from 0 to `white` as (height, width, 3) of 8 bits."""
    height, width = values.shape[:2]
    table = to_8_bits(white)
    return in_bands(height, width, lambda band: table[values[band]])


def from_grey(values: NDArray[Any], depths: tuple[int, ...]) -> Pixels:
    """Grey (height, width) with more than 8 bits as (height, width, 3), scaled so that white stays white.

    depths: the largest values that there may be, of which the smallest that holds all values is white.
    """
    lowest, highest = values.min(), values.max()
    white = next((depth for depth in depths if highest <= depth), None)
    if white is None or not lowest >= 0:  # NaN is in no order
        raise InvalidInput(f"grey values from {lowest:g} to {highest:g}; wanted 0 to {depths[-1]}")
    if values.dtype.kind in "iu":
        return scaled(values[..., None], white)
    height, width = values.shape
    factor = np.float32(255 / white)
    return in_bands(height, width, lambda band: np.rint(values[band, :, None] * factor).astype(np.uint8))
