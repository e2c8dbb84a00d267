"""Reads training images with the decoder that serving uses, and explains why an image cannot be read."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from torch import Tensor

from handlers.errors import RequestError
from handlers.protocol.payload import Payload
from handlers.vision.decoding import BROKEN, MEDIA_TYPES, decode_image, decode_pixels, open_image, reader_of
from handlers.vision.formats.colours import to_rgb
from handlers.vision.formats.header import Header, upright
from handlers.vision.formats.jpeg import SIGNATURE as JPEG
from train.core.config import ExperimentError
from train.core.data_file import read_bytes, reason
from train.core.progress import progress

SUFFIXES = {
    ".jpg",
    ".jpeg",
    ".png",
    ".webp",
    ".gif",
    ".bmp",
    ".tif",
    ".tiff",
    ".avif",
    ".heic",
    ".heif",
    ".ppm",
    ".pgm",
}
FORMATS = (*dict.fromkeys(MEDIA_TYPES.values()), "PPM")
PPM_STARTS = (b"P5", b"P6", b"P2", b"P3")
# A server's own limit may be lower, because it holds many images at a time.
MAX_PIXELS = 40_000_000

Read = Callable[[str], bytes]


class Unreadable(Exception):
    """The file is not an image or is broken; the message gives the reason."""


def read_image(data: bytes, side: int | None = None) -> Tensor:
    """Decode an image to upright RGB, uint8 (3, height, width), exactly as a server does. Raises Unreadable.

    side: if given, a JPEG may be reduced by 2, 4 or 8 as long as no side gets shorter than this, which saves most of
        the decoding time.
    """
    try:
        if data.startswith(PPM_STARTS):
            return read_ppm(data)
        if side is None:
            return decode_image(Payload(data), MAX_PIXELS)
        header = open_image(data, MAX_PIXELS)
        if header.format == "JPEG" and min(header.size) >= 2 * side:
            return read_smaller(data, header, side)
        return decode_pixels(header, data)
    except RequestError as error:
        raise Unreadable(str(error)) from None


def read_file(path: Path, side: int | None = None) -> Tensor:
    """Read a training image of detection or segmentation. Raises ExperimentError if that is not possible.

    side: as for `read_image`.
    """
    try:
        return read_image(read_bytes(path), side)
    except (Unreadable, OSError) as error:
        raise ExperimentError(f"{path} cannot be read: {error}; with data.decode it would have been left out") from None


def read_smaller(data: bytes, header: Header, side: int) -> Tensor:
    """Let the JPEG decoder reduce an image to a half, a quarter or an eighth of its size."""
    try:
        image = JpegImageFile(io.BytesIO(data))
        image.draft("RGB", (side, side))
        image_CHW = torch.from_numpy(to_rgb(image)).permute(2, 0, 1)
    except BROKEN as error:
        raise Unreadable(" ".join(str(error).split())[:200]) from None
    return upright(image_CHW, header.orientation)


def read_ppm(data: bytes) -> Tensor:
    """Read Netpbm's formats, which serving does not support."""
    try:
        image = Image.open(io.BytesIO(data), formats=("PPM",))
        if image.width * image.height > MAX_PIXELS:
            raise Unreadable(f"{image.width} x {image.height} pixels; the limit is {MAX_PIXELS}")
        return torch.from_numpy(to_rgb(image)).permute(2, 0, 1)
    except BROKEN as error:
        raise Unreadable(" ".join(str(error).split())[:200]) from None


def check(data: bytes) -> None:
    """Raise Unreadable if `read_image` would. The whole image is decoded, a JPEG to an eighth of its size."""
    if data.startswith(JPEG):
        read_image(data, side=1)
    else:
        read_image(data)


def upright_size(path: Path, decode: bool) -> tuple[int, int] | str:
    """(height, width) of the upright image, or the problem with the file.

    decode: decode all pixels, which detects truncated files; otherwise read only the header.
    """
    try:
        data = read_bytes(path)
        if data.startswith(PPM_STARTS):
            height, width = read_ppm(data).shape[1:]
            return height, width
        if reader_of(data) is None:
            return "not an image"
        if decode:
            check(data)
        return open_image(data, MAX_PIXELS).size
    except OSError as error:
        return reason(error)
    except (Unreadable, RequestError) as error:
        return f"broken: {str(error)[:80]}"


def unreadable(files: Sequence[str], read: Read, threads: int) -> dict[str, str]:
    """Check every file, with a progress bar. Return the reason by unreadable file."""

    def problem(file: str) -> str | None:
        try:
            check(read(file))
        except Unreadable as error:
            return str(error)
        except OSError as error:
            return reason(error)
        return None

    bad: dict[str, str] = {}
    with ThreadPoolExecutor(threads) as pool, progress() as bar:
        task = bar.add_task("checking images", total=len(files), info=f"{len(files)} images")
        for file, found in zip(files, pool.map(problem, files), strict=True):
            if found is not None:
                bad[file] = found
                bar.update(task, info=f"{len(bad)} unreadable of {len(files)}")
            bar.advance(task)
    return bad
