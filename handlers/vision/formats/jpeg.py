"""JPEG (ITU-T T.81): grey and colour by libjpeg-turbo through torchvision, CMYK by Pillow."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from struct import unpack_from

import torch
from PIL.JpegImagePlugin import JpegImageFile
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg

from handlers.errors import MalformedInput, TooLarge
from handlers.vision.formats.colours import to_rgb
from handlers.vision.formats.exif import orientation
from handlers.vision.formats.header import UPRIGHT, Header, bytes_tensor

SIGNATURE = b"\xff\xd8\xff"
# Each scan of a progressive image goes over all of its pixels. Encoders write 10, exhaustive ones up to 64.
MAX_SCANS = 100
# Segments before the pixels. Colour profiles and large metadata come in pieces of 64 KiB.
MAX_SEGMENTS = 2_000
START_OF_SCAN, START_OF_IMAGE, END_OF_IMAGE = 0xDA, 0xD8, 0xD9
FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
BARE = {0x01, *range(0xD0, 0xD8)}  # markers without a segment
EXIF, ADOBE = 0xE1, 0xEE
MARKER = re.compile(rb"\xff[^\x00\xff]", re.DOTALL)
MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)


@dataclass(frozen=True)
class JpegHeader(Header):
    """components: their identifiers. adobe: the transform that an Adobe marker names, None without one."""

    components: tuple[int, ...] = ()
    progressive: bool = False
    adobe: int | None = None


def read(data: bytes) -> JpegHeader:
    """Raises TooLarge for a file of more scans or segments than any encoder writes, MalformedInput for a broken one."""
    frame, exif, adobe = None, b"", None
    position = 2
    for _ in range(MAX_SEGMENTS):
        marker, position = next_marker(data, position)
        if marker in BARE:
            continue
        if marker in (START_OF_IMAGE, END_OF_IMAGE):
            break
        length = unpack_from(">H", data, position)[0] if position + 2 <= len(data) else 0
        if length < 2 or position + length > len(data):
            break
        segment = data[position + 2 : position + length]
        if marker in FRAMES:
            if frame:
                break
            frame = (marker, segment)
        elif marker == EXIF and segment.startswith(b"Exif\0\0") and not exif:
            exif = segment
        elif marker == ADOBE and segment.startswith(b"Adobe") and len(segment) >= 12:
            adobe = segment[11]
        elif marker == START_OF_SCAN:
            if frame is None:
                break
            check_scans(data, position + length)
            return header_of(*frame, exif, adobe)
        position += length
    else:
        raise TooLarge(f"the JPEG has more than {MAX_SEGMENTS} segments before its pixels")
    raise MalformedInput("the JPEG's header is broken or cut off")


def next_marker(data: bytes, position: int) -> tuple[int, int]:
    """The next marker and the position behind it. What is between segments is skipped, as libjpeg does."""
    found = MARKER.search(data, position)
    if found is None:
        raise MalformedInput("the JPEG has no pixels")
    return data[found.end() - 1], found.end()


def header_of(marker: int, segment: bytes, exif: bytes, adobe: int | None) -> JpegHeader:
    """From the frame header (T.81, B.2.2), the EXIF block and Adobe's marker."""
    if len(segment) < 6 or len(segment) < 6 + 3 * segment[5]:
        raise MalformedInput("the JPEG's frame header is cut off")
    height, width, number = unpack_from(">HHB", segment, 1)
    components = tuple(segment[6 + 3 * index] for index in range(number))
    if not (width and height) or number not in (1, 3, 4):
        raise MalformedInput(
            f"a JPEG of {width} x {height} pixels and {number} components; wanted 1, 3 or 4 components"
        )
    decode = partial(decode_cmyk, size=(width, height)) if number == 4 else decode_rgb
    turned = orientation(exif) if exif else UPRIGHT
    return JpegHeader("JPEG", width, height, decode, turned, components, marker in PROGRESSIVE, adobe)


def check_scans(data: bytes, position: int) -> None:
    """TooLarge for more than MAX_SCANS scans, from behind the first scan's header.

    Counting the marker's bytes anywhere in the file is quick, and enough for nearly all files. Thumbnails and what
    cameras append hold them as well, so only a file with many is read marker by marker, up to its end.
    """
    if data.count(bytes((0xFF, START_OF_SCAN))) <= MAX_SCANS:
        return
    scans = 1
    for segments, marker in enumerate(markers(data, position)):
        scans += marker == START_OF_SCAN
        if scans > MAX_SCANS or segments > MAX_SEGMENTS:
            raise TooLarge(f"the JPEG has more scans than any encoder writes; the limit is {MAX_SCANS}")


def markers(data: bytes, position: int) -> Iterator[int]:
    """Those behind the first scan's header, up to the image's end."""
    while (found := MARKER_IN_SCAN.search(data, position)) is not None:
        marker, position = data[found.end() - 1], found.end()
        if marker == END_OF_IMAGE:
            return
        yield marker
        if marker not in BARE and position + 2 <= len(data):
            position += unpack_from(">H", data, position)[0]


def decode_rgb(data: bytes) -> Tensor:
    """Twice as fast as Pillow, and as strict about a file that was cut off."""
    return decode_jpeg(bytes_tensor(data), mode=ImageReadMode.RGB)


def decode_cmyk(data: bytes, size: tuple[int, int]) -> Tensor:
    image = JpegImageFile(io.BytesIO(data))
    if image.size != size:
        raise MalformedInput("the JPEG has more than one frame header")
    return torch.from_numpy(to_rgb(image)).permute(2, 0, 1)
