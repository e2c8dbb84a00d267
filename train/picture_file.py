"""Pictures on disk, turned upright as a server turns them, and what is wrong with one that cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

# EXIF orientations that exchange width and height.
TURNED = {5, 6, 7, 8}
ORIENTATION = 0x0112


def read_picture(path: Path) -> Tensor:
    """A picture as uint8 (3, height, width), RGB, upright by its EXIF orientation: the pixels a server would see."""
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    return torch.from_numpy(np.array(upright)).permute(2, 0, 1).contiguous()


def upright_size(path: Path, decode: bool) -> tuple[int, int] | str:
    """(height, width) of the upright picture, or what is wrong with the file.

    decode: read all pixels, which finds a file that was cut off; otherwise the header alone is read.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(ORIENTATION) in TURNED
            if decode:
                image.load()
    except FileNotFoundError:
        return "no such file"
    except UnidentifiedImageError:
        return "not a picture"
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return f"broken: {str(error).splitlines()[0][:80]}" if str(error) else "broken"
    return (width, height) if turned else (height, width)
