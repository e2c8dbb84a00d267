"""WebP (RFC 9649), by libwebp through torchvision; of an animation the first frame, on a white canvas."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from struct import pack, unpack_from

import torch
from torch import Tensor
from torchvision.io import ImageReadMode, decode_webp

from handlers.errors import MalformedInput
from handlers.vision.formats.colours import on_white
from handlers.vision.formats.exif import orientation
from handlers.vision.formats.header import Header, bytes_tensor

# Chunks before the first frame, or in it, and behind the image. Animations have more, but those are never read.
MAX_CHUNKS = 100
ANIMATED, ALPHA, FRAME_HEADER = 0x02, 0x10, 16


def is_webp(data: bytes) -> bool:
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def read(data: bytes) -> Header:
    """Raises MalformedInput for a header that is broken."""
    found = dict(reversed(list(chunks(data, 12, len(data)))))  # of chunks with one name the first
    exif = orientation(found.get(b"EXIF", b""))
    extended = found.get(b"VP8X", b"")
    if len(extended) >= 10 and extended[0] & ANIMATED:
        return animation(found, extended, exif)
    name, image = next(((n, found[n]) for n in (b"VP8 ", b"VP8L") if n in found), (b"", b""))
    if b"VP8X" in found and len(extended) < 10:
        raise MalformedInput("the WebP's header is cut off")
    width, height, alpha = size_of(name, image)
    canvas = (uint24(extended, 4) + 1, uint24(extended, 7) + 1) if extended else (width, height)
    if canvas != (width, height):
        raise MalformedInput(f"a WebP of {width} x {height} pixels for a canvas of {canvas[0]} x {canvas[1]}")
    return Header("WEBP", width, height, partial(decode, alpha=alpha or b"ALPH" in found), exif)


def chunks(data: bytes, position: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    """(name, content) of the chunks in data[position:end]; the last may be cut off."""
    for _ in range(MAX_CHUNKS):
        if position + 8 > end:
            return
        name, length = unpack_from("<4sI", data, position)
        yield name, data[position + 8 : min(position + 8 + length, end)]
        position += 8 + length + length % 2


def uint24(data: bytes, position: int) -> int:
    return int.from_bytes(data[position : position + 3], "little")


def size_of(name: bytes, image: bytes) -> tuple[int, int, bool]:
    """(width, height, whether pixels may be transparent) from the first bytes of a frame."""
    if name == b"VP8 " and len(image) >= 10 and image[3:6] == b"\x9d\x01\x2a":
        width, height = unpack_from("<HH", image, 6)
        if (width & 0x3FFF) and (height & 0x3FFF):
            return width & 0x3FFF, height & 0x3FFF, False
    elif name == b"VP8L" and len(image) >= 5 and image[0] == 0x2F:
        bits = int.from_bytes(image[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    raise MalformedInput("the WebP's header is broken or cut off")


def animation(found: dict[bytes, bytes], extended: bytes, exif: int) -> Header:
    frame = found.get(b"ANMF", b"")
    width, height = uint24(extended, 4) + 1, uint24(extended, 7) + 1
    parts = dict(reversed(list(chunks(frame, FRAME_HEADER, len(frame)))))
    name, image = next(((n, parts[n]) for n in (b"VP8 ", b"VP8L") if n in parts), (b"", b""))
    left, top = 2 * uint24(frame, 0), 2 * uint24(frame, 3)
    inner_width, inner_height, alpha = size_of(name, image)
    if left + inner_width > width or top + inner_height > height:
        raise MalformedInput("the WebP's first frame lies outside its canvas")
    still = b"WEBP"
    if b"ALPH" in parts and name == b"VP8 ":
        alpha = True
        canvas = (inner_width - 1).to_bytes(3, "little") + (inner_height - 1).to_bytes(3, "little")
        still += chunk(b"VP8X", bytes((ALPHA, 0, 0, 0)) + canvas) + chunk(b"ALPH", parts[b"ALPH"])
    still = chunk(b"RIFF", still + chunk(name, image))
    return Header(
        "WEBP",
        width,
        height,
        partial(decode_first, still=still, alpha=alpha, at=(top, left), size=(height, width)),
        exif,
    )


def chunk(name: bytes, content: bytes) -> bytes:
    return name + pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def decode(data: bytes, alpha: bool) -> Tensor:
    """alpha: whether pixels may be transparent; white is behind them."""
    mode = ImageReadMode.RGB_ALPHA if alpha else ImageReadMode.RGB
    image_CHW = decode_webp(bytes_tensor(data), mode=mode)
    if not alpha:
        return image_CHW
    return torch.from_numpy(on_white(image_CHW.permute(1, 2, 0).numpy())).permute(2, 0, 1)


def decode_first(data: bytes, still: bytes, alpha: bool, at: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """still: the first frame as a file of its own. at: (top, left) on a canvas of `size`."""
    image_CHW = decode(still, alpha)
    if image_CHW.shape[1:] == size:
        return image_CHW
    canvas_HWC = torch.full((*size, 3), 255, dtype=torch.uint8)
    height, width = image_CHW.shape[1:]
    canvas_HWC[at[0] : at[0] + height, at[1] : at[1] + width] = image_CHW.permute(1, 2, 0)
    return canvas_HWC.permute(2, 0, 1)
