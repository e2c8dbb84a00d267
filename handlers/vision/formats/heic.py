"""HEIC, by the libheif in pi-heif's wheel: the primary image."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from handlers.errors import MalformedInput, UnsupportedMedia
from handlers.vision.formats import heic_items
from handlers.vision.formats.avif import brands
from handlers.vision.formats.colours import scaled, to_rgb
from handlers.vision.formats.header import Header

BRANDS = {b"heic", b"heix", b"heim", b"heis", b"mif1"}
GREY_16 = "I;16"
MODES = ("L", "LA", "RGB", "RGBA", "RGBa", GREY_16)
# pi-heif's: one thread, as a worker has no more; colours of more bits as 8, grey as 16; RGB; rows without padding; any
# decoder; libheif's limits, by which no part is larger than the file says.
OPTIONS = (1, True, False, True, True, "", False)
BROKEN = (OSError, ValueError, SyntaxError, RuntimeError, EOFError, MemoryError)


def is_heic(data: bytes) -> bool:
    return not BRANDS.isdisjoint(brands(data))


def read(data: bytes) -> Header:
    """Turned upright already, by the file's own rotation. Raises MalformedInput for a file that libheif does not read,
    and what `heic_items.check` raises."""
    heic_items.check(data)
    try:
        import _pi_heif  # its decoder itself: HeifFile reads the EXIF block too, and fails where that is odd
    except ImportError:
        raise UnsupportedMedia("the input's format is HEIC, which this server lacks pi-heif to read") from None
    try:
        images = [image for image in _pi_heif.load_file(data, *OPTIONS) if image is not None and image.primary]
        (width, height), mode = images[0].size_mode
    except (*BROKEN, IndexError) as error:
        raise MalformedInput(f"the HEIC is broken: {' '.join(str(error).split())[:120]}") from None
    if mode not in MODES:
        raise UnsupportedMedia(f"the HEIC's colours are {mode}; wanted {', '.join(MODES)}")
    return Header("HEIC", width, height, partial(decode_image, image=images[0], mode=mode))


def decode_image(data: bytes, image: Any, mode: str) -> Tensor:
    pixels = image.data
    (width, height), _ = image.size_mode
    if mode == GREY_16:
        found = scaled(np.frombuffer(pixels, np.uint16).reshape(height, width, 1), 65535)
    else:
        decoded = Image.frombuffer(mode, (width, height), pixels, "raw", mode, image.stride, 1)
        found = to_rgb(decoded.convert("RGBA") if mode == "RGBa" else decoded)
    return torch.from_numpy(found).permute(2, 0, 1)
