"""AVIF, by the libavif in Pillow's wheel: the still image, or the first frame of a sequence."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from PIL import (
    Image,
    _avif,  # its decoder itself: AvifImageFile reads the EXIF block too, and fails where that is odd
)
from torch import Tensor

from handlers.errors import MalformedInput, UnsupportedMedia
from handlers.vision.formats.colours import to_rgb
from handlers.vision.formats.header import Header

BRANDS = (b"avif", b"avis")
MODES = ("L", "LA", "RGB", "RGBA")


def brands(data: bytes) -> list[bytes]:
    """Of a file of the ISO base media family (ISO/IEC 14496-12, 4.3), its own and the compatible ones."""
    if data[4:8] != b"ftyp":
        return []
    end = min(int.from_bytes(data[:4], "big"), len(data), 256)
    return [data[8:12], *(data[at : at + 4] for at in range(16, end - 3, 4))]


def is_avif(data: bytes) -> bool:
    return any(brand in BRANDS for brand in brands(data))


def read(data: bytes) -> Header:
    """Raises MalformedInput for a file that libavif does not read."""
    try:
        decoder = _avif.AvifDecoder(data, "auto", 1)  # one thread: a worker has no more
    except (OSError, ValueError, SyntaxError, RuntimeError) as error:
        raise MalformedInput(f"the AVIF is broken: {str(error)[:120]}") from None
    (width, height), _, mode, _, _, orientation, _ = decoder.get_info()
    if mode not in MODES:
        raise UnsupportedMedia(f"the AVIF's colours are {mode}; wanted {', '.join(MODES)}")
    decode = partial(decode_image, decoder=decoder, mode=mode, size=(width, height))
    return Header("AVIF", width, height, decode, orientation if 1 <= orientation <= 8 else 1)


def decode_image(data: bytes, decoder: Any, mode: str, size: tuple[int, int]) -> Tensor:
    return torch.from_numpy(to_rgb(Image.frombuffer(mode, size, decoder.get_frame(0)[0]))).permute(2, 0, 1)
