"""Images as training reads them, by the decoder that serves them, and what is wrong with one that cannot be read."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from handlers.errors import RequestError
from handlers.protocol.payload import Payload
from handlers.vision.decoding import MAX_PIXELS, decode_image
from train.core.progress import progress

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"}
SERVED = ("JPEG", "PNG", "WEBP")
FORMATS = (*SERVED, "BMP", "TIFF", "PPM")
ORIENTATION = 0x0112  # the tag of EXIF
TURNED = {5, 6, 7, 8}  # its values that exchange width and height

Read = Callable[[str], bytes]


class Unreadable(Exception):
    """A file that is not an image, or a broken one; the message is the reason."""


def read_image(data: bytes, side: int | None = None) -> Tensor:
    """An image as uint8 (3, height, width), RGB, upright; the same as a server makes of it. Unreadable when broken.

    side: where given, a JPEG may come smaller, by 2, 4 or 8, with no side shorter than this: its decoder then skips
        most of the work.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        check_size(image)
        if side and image.format == "JPEG" and min(image.size) >= 2 * side:
            image.draft("RGB", (side, side))
        elif image.format in SERVED:
            return decode_image(Payload(data))
        upright = ImageOps.exif_transpose(image).convert("RGB")
    except RequestError as error:
        raise Unreadable(str(error)) from None
    except UnidentifiedImageError:
        raise Unreadable(f"no image in any of the formats {', '.join(FORMATS)}") from None
    except (OSError, RuntimeError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Unreadable(" ".join(str(error).split())[:200]) from None
    return torch.from_numpy(np.array(upright)).permute(2, 0, 1).contiguous()


def check(data: bytes) -> None:
    """Raise Unreadable where `read_image` would; all of it is decoded, a JPEG to an eighth of its size."""
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        check_size(image)
        if image.format == "JPEG":
            image.draft("RGB", (image.width // 8, image.height // 8))
        image.load()
    except UnidentifiedImageError:
        raise Unreadable(f"no image in any of the formats {', '.join(FORMATS)}") from None
    except (OSError, RuntimeError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Unreadable(" ".join(str(error).split())[:200]) from None


def upright_size(path: Path, decode: bool) -> tuple[int, int] | str:
    """(height, width) of the upright image, or what is wrong with the file.

    decode: read all pixels, which finds a file that was cut off; otherwise only the header is read.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            check_size(image)
            width, height = image.size
            turned = image.getexif().get(ORIENTATION) in TURNED
            if decode:
                image.load()
    except FileNotFoundError:
        return "no such file"
    except UnidentifiedImageError:
        return "not an image"
    except Unreadable as error:
        return str(error)
    except (OSError, RuntimeError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return f"broken: {str(error).splitlines()[0][:80]}" if str(error) else "broken"
    return (width, height) if turned else (height, width)


def check_size(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise Unreadable(f"{image.width} x {image.height} pixels; the limit is {MAX_PIXELS}")


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
