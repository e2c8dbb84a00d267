"""Images on their way from requests to a batch on the model's device."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence
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
from handlers.vision.whole_image import WholeImage

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class JpegFile:
    """A JPEG that is decoded with the others of its batch. size: (height, width)."""

    data: bytes
    size: tuple[int, int]

    def pixels(self) -> Tensor:
        """uint8 (3, height, width), by the CPU. MalformedInput for a file that is broken behind its header."""
        return decode_pixels(open_image(self.data, self.size[0] * self.size[1]), self.data)


# (3, height, width) as the transform's geometry makes it, or (3, pixels) as Views packs it, on the CPU; or a file.
ImageData = Tensor | JpegFile
# Files, of one (height, width), → uint8 (N, 3, height, width) on the device; a RuntimeError when it refuses any.
DecodeFiles = Callable[[Sequence[bytes], int, int], Tensor]


@dataclass(frozen=True)
class ImageBatcher:
    """Decodes each image on the CPU while its request is read."""

    transform: ImageTransform | ImageProcessor | Views | WholeImage
    max_pixels: int
    device: torch.device

    def open(self, payload: Payload) -> ImageData:
        """One image; a RequestError as `decode_image` and the transform's `check` raise it."""
        return self.transform.geometry(decode_image(payload, self.max_pixels, self.check))

    def check(self, height: int, width: int) -> None:
        self.transform.check(height, width, self.max_pixels)

    def groups(self, opened: Sequence[ImageData]) -> list[list[int]]:
        """The indices of images that can share a batch: all, or those of one size each."""
        return [list(range(len(opened)))] if self.transform.fixed_size else same_sizes(opened)

    def batch(self, opened: Sequence[ImageData]) -> Tensor:
        """(N, 3, height, width) as the transform's geometry makes them, on the device, in the order given."""
        return to_device([self.decoded(one) for one in opened], self.device)

    def images(self, opened: Sequence[ImageData]) -> list[Tensor]:
        """The same of images of any sizes, (3, height, width) each."""
        return [self.decoded(one).to(self.device, non_blocking=True) for one in opened]

    def decoded(self, one: ImageData) -> Tensor:
        """Raises MalformedInput for a file that breaks off in what comes after its header."""
        return one if isinstance(one, Tensor) else self.transform.geometry(one.pixels())


@dataclass(frozen=True)
class JpegBatcher(ImageBatcher):
    """Decodes the JPEGs of a batch together, on the device; images that are not `is_plain` as ImageBatcher does."""

    transform: ImageTransform | Views | WholeImage
    decode_files: DecodeFiles

    def open(self, payload: Payload) -> ImageData:
        """The header is read here, so that its errors and the limit of pixels come before anything is decoded."""
        if isinstance(payload.data, bytes):
            header = open_image(payload.data, self.max_pixels, payload.content_type, self.check)
            if is_plain(header, payload.data) and not self.transform.is_strip(*header.size):
                return JpegFile(payload.data, header.size)
        return super().open(payload)

    def batch(self, opened: Sequence[ImageData]) -> Tensor:
        """As above; of files of one size without a copy."""
        files = [one for one in opened if isinstance(one, JpegFile)]
        if len(files) == len(opened) and len({file.size for file in files}) == 1:
            found = self.together(files)
            return super().batch(opened) if found is None else found
        return torch.stack(self.images(opened))

    def images(self, opened: Sequence[ImageData]) -> list[Tensor]:
        found: dict[int, Tensor] = {}
        for indices in same_sizes(opened):
            files = [one for index in indices if isinstance(one := opened[index], JpegFile)]
            images = [one for index in indices if isinstance(one := opened[index], Tensor)]
            decoded = self.together(files) if files else to_device(images, self.device)
            if decoded is None:
                return super().images(opened)
            found |= zip(indices, decoded, strict=True)
        return [found[index] for index in range(len(opened))]

    def together(self, files: Sequence[JpegFile]) -> Tensor | None:
        """Files of one size decoded, resized and cropped in one call each, since calls cost a GPU more than pixels do.

        None where the device refuses a file. Then the CPU decodes all, and its error is raised: `run_batch` halves the
        batch until only the file that is broken is answered with it.
        """
        try:
            return self.transform.geometry_on_gpu(self.decode_files([file.data for file in files], *files[0].size))
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            if is_poisoned(error):
                raise
            logger.info("a batch is decoded on the CPU: %s", str(error).partition("\n")[0])
            return None


def pixels_of(image: ImageData) -> Tensor:
    """uint8 (3, height, width) of an image without a geometry, on the CPU."""
    return image if isinstance(image, Tensor) else image.pixels()


def size_of(image: ImageData) -> tuple[int, int]:
    """(height, width)."""
    return (image.shape[1], image.shape[2]) if isinstance(image, Tensor) else image.size


def to_device(images: Sequence[Tensor], device: torch.device) -> Tensor:
    """Tensors of one shape as a batch on `device`: on a GPU through pinned memory, which is copied without a wait.

    torch reuses that memory only once the copy is over.
    """
    if device.type != "cuda":
        return torch.stack(list(images)).to(device)
    pinned = torch.empty((len(images), *images[0].shape), dtype=images[0].dtype, pin_memory=True)
    torch.stack(list(images), out=pinned)
    return pinned.to(device, non_blocking=True)


def from_device(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The tensors on the CPU; those of a GPU are copied into pinned memory and waited for once."""
    found = [tensor.to("cpu", non_blocking=True) for tensor in tensors]
    for device in {tensor.device for tensor in tensors if tensor.device.type == "cuda"}:
        torch.cuda.current_stream(device).synchronize()
    return found


def same_sizes(images: Sequence[ImageData]) -> list[list[int]]:
    """The indices of the images in groups of one shape each; files are in groups of their own."""
    groups: dict[Hashable, list[int]] = {}
    for index, image in enumerate(images):
        groups.setdefault(image.shape if isinstance(image, Tensor) else ("file", image.size), []).append(index)
    return list(groups.values())
