"""GIF (89a), by Pillow: the first frame on the canvas."""

from __future__ import annotations

import io
from functools import partial
from struct import unpack_from

import torch
from PIL import Image
from torch import Tensor

from handlers.errors import MalformedInput, TooLarge
from handlers.vision.formats.colours import to_rgb
from handlers.vision.formats.header import Header

SIGNATURES = (b"GIF87a", b"GIF89a")
# Blocks of comments and the like before the first frame, of up to 255 bytes each.
MAX_BLOCKS = 20_000
EXTENSION, FRAME = 0x21, 0x2C
GRAPHIC_CONTROL = 0xF9
HAS_PALETTE = 0x80


def read(data: bytes) -> Header:
    """Raises MalformedInput for a file without a frame, TooLarge for absurdly many blocks before it."""
    if len(data) < 13:
        raise MalformedInput("the GIF's header is cut off")
    width, height, flags = unpack_from("<HHB", data, 6)
    start = position = 13 + (3 << (flags & 7) + 1 if flags & HAS_PALETTE else 0)
    control, blocks = b"", 0
    while data[position : position + 1] == bytes((EXTENSION,)):
        begin, position = position, position + 2
        while position < len(data) and data[position]:
            position += 1 + data[position]
            blocks += 1
        position += 1
        if data[begin + 1 : begin + 2] == bytes((GRAPHIC_CONTROL,)):
            control = data[begin:position]
        blocks += 1
        if blocks > MAX_BLOCKS:
            raise TooLarge(f"the GIF has more than {MAX_BLOCKS} blocks before its first frame")
    if data[position : position + 1] != bytes((FRAME,)) or len(data) < position + 10:
        raise MalformedInput("the GIF has no frame, or is cut off before it")
    left, top, inner_width, inner_height = unpack_from("<4H", data, position + 1)
    width, height = max(width, left + inner_width), max(height, top + inner_height)
    if not (width and height):
        raise MalformedInput(f"a GIF of {width} x {height} pixels")
    return Header("GIF", width, height, partial(decode, image=(start, control, position), size=(width, height)))


def decode(data: bytes, image: tuple[int, bytes, int], size: tuple[int, int]) -> Tensor:
    """image: where the header ends, the control block of the first frame, and where that frame is."""
    start, control, frame = image
    first = Image.open(io.BytesIO(data[:start] + control + data[frame:]), formats=("GIF",))
    if first.size != size:
        raise MalformedInput("the GIF's frame and canvas do not fit together")
    return torch.from_numpy(to_rgb(first)).permute(2, 0, 1)
