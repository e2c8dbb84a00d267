"""Images on their way from requests to a batch on the model's device."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from handlers.batching.isolation import is_poisoned
from handlers.protocol.payload import Payload
from handlers.vision.decoding import decode_image, decode_pixels, open_image
from handlers.vision.huggingface.image_processor import ImageProcessor
from handlers.vision.nvjpeg import is_plain
from handlers.vision.transform import ImageTransform
from handlers.vision.views import Views

logger = logging.getLogger(__name__)

# (3, height, width) as the transform's geometry makes it, or (3, pixels) as Views packs it, on the CPU; or a JPEG,
# decoded with the others of its batch.
ImageData = Tensor | bytes
DecodeFiles = Callable[[Sequence[bytes]], list[Tensor]]


@dataclass(frozen=True)
class ImageBatcher:
    """Decodes each image on the CPU while its request is read."""

    transform: ImageTransform | ImageProcessor | Views
    max_pixels: int
    device: torch.device

    def open(self, payload: Payload) -> ImageData:
        """One image; a RequestError as `decode_image` and the transform's `check` raise it."""
        return self.transform.geometry(decode_image(payload, self.max_pixels, self.check))

    def check(self, height: int, width: int) -> None:
        self.transform.check(height, width, self.max_pixels)

    def groups(self, opened: Sequence[ImageData]) -> list[list[int]]:
        """The indices of images that can share a batch: all, or those of one size each."""
        return [list(range(len(opened)))] if self.transform.fixed_size else same_shapes(opened)

    def batch(self, opened: Sequence[ImageData]) -> Tensor:
        """(N, 3, height, width) as the transform's geometry makes them, on the device, in the order given."""
        return to_device([self.decoded(one) for one in opened], self.device)

    def decoded(self, one: ImageData) -> Tensor:
        """Raises MalformedInput for a file that breaks off in what comes after its header."""
        if isinstance(one, Tensor):
            return one
        return self.transform.geometry(decode_pixels(open_image(one, self.max_pixels), one))


@dataclass(frozen=True)
class JpegBatcher(ImageBatcher):
    """Decodes the JPEGs of a batch together, on the device; images that are not `is_plain` as ImageBatcher does.

    decode_files: JPEGs → uint8 (3, H, W) each, on the device; a RuntimeError when it refuses any of them.
    """

    transform: ImageTransform | Views
    decode_files: DecodeFiles

    def open(self, payload: Payload) -> ImageData:
        """The header is read here, so that its errors and the limit of pixels come before anything is decoded."""
        if isinstance(payload.data, bytes):
            header = open_image(payload.data, self.max_pixels, payload.content_type, self.check)
            if is_plain(header, payload.data) and not self.transform.is_strip(*header.size):
                return payload.data
        return super().open(payload)

    def batch(self, opened: Sequence[ImageData]) -> Tensor:
        """As above. Where the device refuses a file, the CPU decodes all, and its error is raised: `run_batch` then
        halves the batch until only the file that is broken is answered with it."""
        files = [one for one in opened if isinstance(one, bytes)]
        if not files:
            return super().batch(opened)
        try:
            decoded = iter(self.together(files))
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            if is_poisoned(error):
                raise
            logger.info("a batch is decoded on the CPU: %s", str(error).partition("\n")[0])
            return super().batch(opened)
        rest = [one for one in opened if isinstance(one, Tensor)]
        moved = iter(to_device(rest, self.device) if rest else ())
        return torch.stack([next(decoded) if isinstance(one, bytes) else next(moved) for one in opened])

    def together(self, files: Sequence[bytes]) -> list[Tensor]:
        """Decoded, resized and cropped; those of one size in one call, since calls cost a GPU more than pixels do."""
        images = self.decode_files(files)
        for indices in same_shapes(images):
            resized = self.transform.geometry_on_gpu(torch.stack([images[index] for index in indices]))
            for index, image in zip(indices, resized, strict=True):
                images[index] = image
        return images


def to_device(images: Sequence[Tensor], device: torch.device) -> Tensor:
    """Tensors of one shape as a batch on `device`: on a GPU through pinned memory, which is copied without a wait.

    torch reuses that memory only once the copy is over.
    """
    if device.type != "cuda":
        return torch.stack(list(images)).to(device)
    pinned = torch.empty((len(images), *images[0].shape), dtype=images[0].dtype, pin_memory=True)
    torch.stack(list(images), out=pinned)
    return pinned.to(device, non_blocking=True)


def same_shapes(images: Sequence[ImageData]) -> list[list[int]]:
    """The indices of the images in groups of one shape each. JPEGs not yet decoded are a group of their own."""
    groups: dict[torch.Size | None, list[int]] = {}
    for index, image in enumerate(images):
        groups.setdefault(image.shape if isinstance(image, Tensor) else None, []).append(index)
    return list(groups.values())
