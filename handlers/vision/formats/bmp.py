"""BMP, by Pillow."""

from __future__ import annotations

import io
from struct import unpack_from

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from handlers.errors import MalformedInput, UnsupportedMedia
from handlers.vision.formats.colours import to_rgb
from handlers.vision.formats.header import Header

SIGNATURE = b"BM"
CORE_HEADER = 12  # bytes of the first version's, whose width and height have 16 bits
RUN_LENGTHS = (1, 2)


def read(data: bytes) -> Header:
    """Raises MalformedInput for a broken header, UnsupportedMedia for run lengths: Pillow decodes those in Python, in
    a second for what other formats decode in ten milliseconds."""
    if len(data) < 34:
        raise MalformedInput("the BMP's header is cut off")
    (length,) = unpack_from("<I", data, 14)
    width, height = unpack_from("<HH", data, 18) if length == CORE_HEADER else unpack_from("<ii", data, 18)
    if width <= 0 or not height:
        raise MalformedInput(f"a BMP of {width} x {height} pixels")
    if length != CORE_HEADER and unpack_from("<I", data, 30)[0] in RUN_LENGTHS:
        raise UnsupportedMedia("the BMP is compressed by run lengths; wanted one without compression")
    return Header("BMP", width, abs(height), decode)


def decode(data: bytes) -> Tensor:
    image: Image.Image = Image.open(io.BytesIO(data), formats=("BMP",))
    image.load()
    if image.mode == "RGBA" and not np.asarray(image.getchannel("A")).any():
        image = image.convert("RGB")  # programs that know no opacity leave its byte 0
    return torch.from_numpy(to_rgb(image)).permute(2, 0, 1)
