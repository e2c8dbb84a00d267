"""Images as training reads them, by the decoder that serves them, and what is wrong with one that cannot be read."""

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
# A server's own limit may be lower: it holds many images at a time.
MAX_PIXELS = 40_000_000

Read = Callable[[str], bytes]


class Unreadable(Exception):
    """A file that is not an image, or a broken one; the message is the reason."""


def read_image(data: bytes, side: int | None = None) -> Tensor:
    """An image as uint8 (3, height, width), RGB, upright; the same as a server makes of it. Unreadable when broken.

    side: where given, a JPEG may come smaller, by 2, 4 or 8, with no side shorter than this: its decoder then skips
        most of the work.
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


def read_smaller(data: bytes, header: Header, side: int) -> Tensor:
    """A JPEG at a half, a quarter or an eighth of its size, by its decoder."""
    try:
        image = JpegImageFile(io.BytesIO(data))
        image.draft("RGB", (side, side))
        image_CHW = torch.from_numpy(to_rgb(image)).permute(2, 0, 1)
    except BROKEN as error:
        raise Unreadable(" ".join(str(error).split())[:200]) from None
    return upright(image_CHW, header.orientation)


def read_ppm(data: bytes) -> Tensor:
    """Netpbm's formats, which nobody sends to a server."""
    try:
        image = Image.open(io.BytesIO(data), formats=("PPM",))
        if image.width * image.height > MAX_PIXELS:
            raise Unreadable(f"{image.width} x {image.height} pixels; the limit is {MAX_PIXELS}")
        return torch.from_numpy(to_rgb(image)).permute(2, 0, 1)
    except BROKEN as error:
        raise Unreadable(" ".join(str(error).split())[:200]) from None


def check(data: bytes) -> None:
    """Raise Unreadable where `read_image` would; all of it is decoded, a JPEG to an eighth of its size."""
    if data.startswith(JPEG):
        read_image(data, side=1)
    else:
        read_image(data)


def upright_size(path: Path, decode: bool) -> tuple[int, int] | str:
    """(height, width) of the upright image, or what is wrong with the file.

    decode: read all pixels, which finds a file that was cut off; otherwise nothing is decoded.
    """
    try:
        data = path.read_bytes()
        if data.startswith(PPM_STARTS):
            height, width = read_ppm(data).shape[1:]
            return height, width
        if reader_of(data) is None:
            return "not an image"
        if decode:
            check(data)
        return open_image(data, MAX_PIXELS).size
    except FileNotFoundError:
        return "no such file"
    except OSError as error:
        return error.strerror or str(error)
    except (Unreadable, RequestError) as error:
        return f"broken: {str(error)[:80]}"


def unreadable(files: Sequence[str], read: Read, threads: int) -> dict[str, str]:
    """Check every file, with a progress bar: those that cannot be read, each with the reason."""

    def reason(file: str) -> str | None:
        try:
            check(read(file))
        except Unreadable as error:
            return str(error)
        except OSError as error:
            return error.strerror or str(error)
        return None

    bad: dict[str, str] = {}
    with ThreadPoolExecutor(threads) as pool, progress() as bar:
        task = bar.add_task("checking images", total=len(files), info=f"{len(files)} images")
        for file, found in zip(files, pool.map(reason, files), strict=True):
            if found is not None:
                bad[file] = found
                bar.update(task, info=f"{len(bad)} unreadable of {len(files)}")
            bar.advance(task)
    return bad
