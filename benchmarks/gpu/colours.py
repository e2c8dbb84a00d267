"""How far JPEGs that a GPU decodes are from those that libjpeg-turbo decodes, in levels of 0 to 255."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg

from handlers.protocol.payload import Payload
from handlers.vision.decoding import decode_image
from handlers.vision.nvjpeg import NvJpeg

Decode = Callable[[Sequence[bytes]], Tensor]  # files of one size → uint8 (N, 3, height, width)


@dataclass(frozen=True)
class Difference:
    """mean, largest: levels, over all pixels and colours."""

    decoder: str
    mean: float
    largest: int


def differences(files: Sequence[bytes], device: torch.device) -> Iterator[Difference]:
    """Of the decoder that workers use, which interpolates colours, and of torchvision's, which repeats them.

    files: JPEGs of one size.
    """
    height, width = decode_image(Payload(files[0])).shape[1:]
    ours = NvJpeg(device)
    yield difference(f"a worker's, {ours.backend} backend", lambda some: ours(some, height, width), files)
    yield difference("torchvision's", lambda some: by_torchvision(some, device), files)


def difference(name: str, decode: Decode, files: Sequence[bytes]) -> Difference:
    wanted = torch.stack([decode_image(Payload(file)) for file in files]).int()
    apart = (decode(files).cpu().int() - wanted).abs()
    return Difference(name, apart.float().mean().item(), int(apart.max()))


def by_torchvision(files: Sequence[bytes], device: torch.device) -> Tensor:
    tensors = [torch.frombuffer(bytearray(file), dtype=torch.uint8) for file in files]
    return torch.stack(decode_jpeg(tensors, mode=ImageReadMode.RGB, device=device))
