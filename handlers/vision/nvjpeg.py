"""JPEGs on a GPU, by nvJPEG: which of them it decodes as the CPU does, and a batch of them in one call."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg

from handlers.vision.formats.header import UPRIGHT, Header
from handlers.vision.formats.jpeg import JpegHeader

END_OF_IMAGE = b"\xff\xd9"
COMPONENTS = (1, 2, 3)  # Y, Cb, Cr as JFIF numbers them
YCBCR = 1  # as Adobe's marker names the colours


def is_plain(header: Header, data: bytes) -> bool:
    """Whether a file is a baseline JPEG in YCbCr, upright and complete.

    nvJPEG decodes a file that was cut off without a word, turns none by its EXIF orientation, and takes three
    components for YCbCr where an Adobe marker says RGB. Compressed data hold FF D9 nowhere but at their end, so a
    file that ends with it has not been cut off in them; one with something behind it is left to the CPU.
    """
    return (
        isinstance(header, JpegHeader)
        and header.components == COMPONENTS
        and not header.progressive
        and header.adobe in (None, YCBCR)
        and header.orientation == UPRIGHT
        and data.endswith(END_OF_IMAGE)
    )


def decode_together(files: Sequence[bytes], device: torch.device) -> list[Tensor]:
    """uint8 (3, H, W) in RGB for each file, on the device. RuntimeError when nvJPEG refuses any of them.

    torchvision decodes on a stream of its own, into memory that work queued on ours may still be reading: hence the
    wait. It also waits for the decoding itself.
    """
    torch.cuda.current_stream(device).synchronize()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that bytes are not writable: nobody writes them
        buffers = [torch.frombuffer(file, dtype=torch.uint8) for file in files]
    images: list[Tensor] = decode_jpeg(buffers, mode=ImageReadMode.RGB, device=device)
    return images
