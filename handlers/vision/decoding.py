"""Images from bytes or JSON: files of the formats below, or height × width × 3 numbers from 0 to 255."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from handlers.errors import InvalidInput, MalformedInput, TooLarge, UnsupportedMedia
from handlers.protocol.payload import Payload
from handlers.vision.formats import avif, bmp, gif, heic, jpeg, png, tiff, webp
from handlers.vision.formats.header import Header, upright

# The types an image may be sent with, and their formats. A file's first bytes decide which format it is.
MEDIA_TYPES = {
    "image/jpeg": "JPEG",
    "image/jpg": "JPEG",
    "image/pjpeg": "JPEG",
    "image/png": "PNG",
    "image/x-png": "PNG",
    "image/apng": "PNG",
    "image/webp": "WebP",
    "image/gif": "GIF",
    "image/bmp": "BMP",
    "image/x-ms-bmp": "BMP",
    "image/x-bmp": "BMP",
    "image/tiff": "TIFF",
    "image/tif": "TIFF",
    "image/avif": "AVIF",
    "image/avif-sequence": "AVIF",
    "image/heic": "HEIC",
    "image/heic-sequence": "HEIC",
    "image/heif": "HEIC",
    "image/heif-sequence": "HEIC",
}
FORMATS = tuple(dict.fromkeys(MEDIA_TYPES.values()))
NAMED_TYPES = tuple(f"image/{name.lower()}" for name in FORMATS)
STARTS: dict[bytes, Callable[[bytes], Header]] = {
    jpeg.SIGNATURE: jpeg.read,
    png.SIGNATURE: png.read,
    **dict.fromkeys(gif.SIGNATURES, gif.read),
    **dict.fromkeys(tiff.SIGNATURES + tiff.BIG_SIGNATURES, tiff.read),
    bmp.SIGNATURE: bmp.read,
}
# Files that people send and that are not taken, so that the answer can name them.
OTHERS = {
    b"\x00\x00\x00\x0cJXL ": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"\x00\x00\x00\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"8BPS": "Photoshop",
    b"\x00\x00\x01\x00": "icon",
    b"%PDF": "PDF",
    b"%!PS": "PostScript",
    b"<svg": "SVG",
    b"<?xml": "XML",
    b"<!DOCTYPE": "HTML",
    b"<html": "HTML",
    b"\x1a\x45\xdf\xa3": "WebM or Matroska",
    b"RIFF": "WAV or AVI",
    b"OggS": "Ogg",
    b"fLaC": "FLAC",
    b"ID3": "MP3",
    b"data:": "a data URL, which JSON may hold",
    b"iVBORw0K": "PNG in base64, which JSON may hold",
    b"/9j/": "JPEG in base64, which JSON may hold",
}
# Pixels of an image where a spec gives no limit: see ImageLimits.
MAX_PIXELS = 25_000_000

# What the decoders raise for a broken file: torchvision's RuntimeError, Pillow's all of them.
BROKEN = (
    *(OSError, RuntimeError, ValueError, SyntaxError, TypeError, KeyError, IndexError, EOFError, struct.error),
    Image.DecompressionBombError,
)

# Takes (height, width) of the upright image before anything is decompressed; raises a RequestError to refuse it.
Check = Callable[[int, int], None]


def decode_image(payload: Payload, max_pixels: int = MAX_PIXELS, check: Check | None = None) -> Tensor:
    """An image as uint8 (3, height, width), RGB, turned upright by its EXIF orientation, transparent pixels on white.

    check: refuses sizes that the task cannot take.

    Raises UnsupportedMedia for another content type or format, TooLarge above max_pixels (read from the header,
    before anything is decompressed), MalformedInput for a broken or truncated file, InvalidInput for a bad array.
    """
    if isinstance(payload.data, (list, np.ndarray)):
        return from_numbers(payload.data, max_pixels, check)
    if isinstance(payload.data, str):
        raise InvalidInput("the data is text; wanted an image")
    data = payload.data
    return decode_pixels(open_image(data, max_pixels, payload.content_type, check), data)


def open_image(data: bytes, max_pixels: int, content_type: str = "", check: Check | None = None) -> Header:
    """The header of an image, nothing decompressed yet; content_type: as the sender named it.

    Raises UnsupportedMedia, TooLarge and MalformedInput, as `decode_image`.
    """
    if content_type and content_type not in MEDIA_TYPES:
        raise UnsupportedMedia(f"content type {content_type[:60]!r}; this model takes {', '.join(NAMED_TYPES)}")
    header = read_header(data)
    check_size(header.width, header.height, max_pixels)
    if check:
        check(*header.size)
    return header


def reader_of(data: bytes) -> Callable[[bytes], Header] | None:
    """The function that reads this file's header; None where the file is not an image of any format above."""
    read = next((read for start, read in STARTS.items() if data.startswith(start)), None)
    if read is None and webp.is_webp(data):
        return webp.read
    if read is None and avif.is_avif(data):
        return avif.read
    return heic.read if read is None and heic.is_heic(data) else read


def read_header(data: bytes) -> Header:
    read = reader_of(data)
    if read is None:
        wanted = f"wanted {', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        if name := name_of(data):
            raise UnsupportedMedia(f"the input's format is {name}; {wanted}")
        raise MalformedInput(f"the input is not an image; {wanted}")
    return read(data)


def name_of(data: bytes) -> str:
    """The format of a file that is not taken, "" for one that is unknown here."""
    if avif.brands(data):
        return "MP4 or QuickTime"
    return next((name for start, name in OTHERS.items() if data.startswith(start)), "")


def check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise TooLarge(f"the image has {width} x {height} pixels, the limit is {max_pixels}")


def decode_pixels(header: Header, data: bytes) -> Tensor:
    """The image whose header `open_image` has read from `data`. Raises MalformedInput, and what is said there."""
    try:
        return upright(header.decode(data), header.orientation)
    except BROKEN as error:
        raise MalformedInput(f"the image is broken: {' '.join(str(error).split())[:120]}") from None


def from_numbers(values: list[Any] | np.ndarray[Any, Any], max_pixels: int, check: Check | None = None) -> Tensor:
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, OverflowError):
        raise InvalidInput("the array is ragged or holds something other than numbers") from None
    if array.dtype.kind not in "iuf":
        raise InvalidInput("the array is ragged, empty or holds something other than numbers")
    if array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise InvalidInput(f"the array has shape {str(list(array.shape))[:80]}; wanted [height, width, 3]")
    check_size(array.shape[1], array.shape[0], max_pixels)
    if check:
        check(array.shape[0], array.shape[1])
    lowest, highest = array.min(), array.max()
    if not (lowest >= 0 and highest <= 255):  # NaN is in no order
        raise InvalidInput(f"the array's values are from {lowest:g} to {highest:g}; wanted 0 to 255")
    if array.dtype.kind == "f" and 0 < highest <= 1:
        raise InvalidInput("the array's values are fractions up to 1; wanted 0 to 255, so multiply them by 255")
    pixels = array.copy() if array.dtype == np.uint8 else np.rint(array).astype(np.uint8)  # those of a request stay
    return torch.from_numpy(pixels).permute(2, 0, 1)


def to_png(array: np.ndarray[Any, Any]) -> bytes:
    """A uint8 array (height, width) or (height, width, 3) as PNG; compressed lightly, speed matters more here."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
