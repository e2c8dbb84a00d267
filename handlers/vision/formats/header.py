"""The header of an image file, read before anything is decoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

UPRIGHT = 1
EXCHANGED = (5, 6, 7, 8)  # orientations that exchange width and height


@dataclass(frozen=True)
class Header:
    """width, height: pixels as they are stored. orientation: EXIF's, 1 to 8 (tag 0x0112 of Exif 2.3, 4.6.4).

    decode: the file's bytes → uint8 (3, height, width), RGB, as stored. It raises a RequestError, or whatever the
    decoder raises for a broken file.
    """

    format: str
    width: int
    height: int
    decode: Callable[[bytes], Tensor]
    orientation: int = UPRIGHT

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the upright image."""
        return (self.width, self.height) if self.orientation in EXCHANGED else (self.height, self.width)


def upright(image_CHW: Tensor, orientation: int) -> Tensor:
    """The image turned as its orientation asks: mirrored, turned upside down, or transposed."""
    if orientation == UPRIGHT:
        return image_CHW
    if orientation in EXCHANGED:
        image_CHW = image_CHW.transpose(1, 2)
    mirrored = [axis for axis, those in ((1, (3, 4, 7, 8)), (2, (2, 3, 6, 7))) if orientation in those]
    if mirrored:
        image_CHW = image_CHW.flip(mirrored)
    return image_CHW.permute(1, 2, 0).contiguous().permute(2, 0, 1)


def bytes_tensor(data: bytes) -> Tensor:
    """The bytes as torchvision's decoders take them: writable, or torch would warn."""
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)
