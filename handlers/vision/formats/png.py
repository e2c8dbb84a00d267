"""PNG (ISO/IEC 15948), by libpng through torchvision, which sees only the chunks that make the image."""

from __future__ import annotations

from functools import partial
from struct import unpack_from

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.io import ImageReadMode, decode_png

from handlers.errors import MalformedInput, TooLarge
from handlers.vision.formats.colours import DEPTHS, from_grey, on_white, scaled
from handlers.vision.formats.exif import orientation
from handlers.vision.formats.header import Header, bytes_tensor

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Of pixels too small a piece is odd: encoders write 8 KiB and more into each.
MAX_CHUNKS = 50_000
IMAGE = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
GREY, RGB, PALETTE = 0, 2, 3
WITH_ALPHA = {4, 6}


def read(data: bytes) -> Header:
    """Raises MalformedInput for a broken header, TooLarge for a file in absurdly many pieces."""
    if len(data) < 33 or data[12:16] != b"IHDR":
        raise MalformedInput("the PNG's header is cut off")
    width, height, depth, kind = unpack_from(">IIBB", data, 16)
    if not (width and height):
        raise MalformedInput(f"a PNG of {width} x {height} pixels")
    pieces, exif, transparent = [SIGNATURE], b"", b""
    position, kept = len(SIGNATURE), len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if position + 8 > len(data):
            break
        length, name = unpack_from(">I4s", data, position)
        end = position + 12 + length
        if name not in IMAGE:
            pieces.append(data[kept:position])
            kept = end
            if name == b"eXIf" and not exif:
                exif = data[position + 8 : end - 4]
        elif name == b"tRNS" and not transparent:
            transparent = data[position + 8 : end - 4]
        position = end
        if name == b"IEND":
            break
    else:
        raise TooLarge(f"the PNG has more than {MAX_CHUNKS} chunks")
    pieces.append(data[kept:position])
    decode = partial(decode_image, image=b"".join(pieces), depth=depth, kind=kind, transparent=transparent)
    return Header("PNG", width, height, decode, orientation(exif))


def decode_image(data: bytes, image: bytes, depth: int, kind: int, transparent: bytes) -> Tensor:
    """image: the file without text, colour profile and whatever else is not the image, of any size."""
    with_alpha = kind in WITH_ALPHA or (kind == PALETTE and bool(transparent))
    grey = depth == 16 and kind == GREY
    mode = ImageReadMode.RGB_ALPHA if with_alpha else ImageReadMode.GRAY if grey else ImageReadMode.RGB
    stored = decode_png(bytes_tensor(image), mode=mode).permute(1, 2, 0).numpy()
    if with_alpha:
        return torch.from_numpy(on_white(stored)).permute(2, 0, 1)
    if grey:
        pixels = from_grey(stored[..., 0], DEPTHS["I;16"])
    else:
        pixels = stored if stored.dtype == np.uint8 else scaled(stored, 65535)
    key = transparent_colour(kind, depth, transparent)
    if key is not None:
        pixels[(stored == key).all(axis=2)] = 255
    return torch.from_numpy(pixels).permute(2, 0, 1)


def transparent_colour(kind: int, depth: int, transparent: bytes) -> NDArray[np.int64] | None:
    """The one colour of an image without an alpha channel that is not to be seen, as libpng gives its samples."""
    number = {GREY: 1, RGB: 3}.get(kind, 0)
    if not number or len(transparent) < 2 * number:
        return None
    values = np.array(unpack_from(f">{number}H", transparent)) & ((1 << depth) - 1)
    return values * (255 // ((1 << depth) - 1)) if depth < 8 else values
