"""The evaluation transform of image models: one frozen description, applied in training's validation and in serving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from handlers.errors import TooLarge
from handlers.vision.resampling import taps, weighted

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# From this many times as long as wide an image is a strip. Panoramas have 4 to 10.
STRIP = 16


@dataclass(frozen=True)
class ImageTransform:
    """Resize, crop the centre, scale to [0, 1], normalise.

    resize: [height, width], or one number for the shorter side (the aspect ratio kept).
    crop: [height, width] around the centre after the resize, or None.
    interpolation: a torchvision InterpolationMode value: "bilinear", "bicubic", "nearest".
    mean, std: per channel, of images in [0, 1].
    floor: the crop starts at the whole pixel before the centre, as transformers has it, and not at the nearest one.
    """

    resize: int | tuple[int, int]
    crop: tuple[int, int] | None = None
    interpolation: str = "bilinear"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    floor: bool = False

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ImageTransform:
        """Read what `to_dict` wrote; an unknown key is a TypeError."""
        fields = dict(values)
        for key in ("resize", "crop", "mean", "std"):
            if isinstance(fields.get(key), list):
                fields[key] = tuple(fields[key])
        return cls(**fields)

    def to_dict(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "floor" or value}

    def geometry(self, image_CHW: Tensor) -> Tensor:
        """Resize and crop a uint8 image; the dtype stays uint8, which halves the work of the float path."""
        height, width = image_CHW.shape[-2:]
        size = list(self.resized(height, width))
        if self.crop and self.is_strip(height, width):
            image_CHW, size = self.centre_of_strip(image_CHW, size, self.crop)
        image_CHW = F.resize(image_CHW, size, interpolation=InterpolationMode(self.interpolation), antialias=True)
        return self.centre(image_CHW, self.crop) if self.crop else image_CHW

    def centre(self, images: Tensor, crop: tuple[int, int]) -> Tensor:
        """The centre of images (…, H, W), filled up with zeros where they are smaller."""
        if self.floor:  # with an even number of rows and columns left to cut off, the centre is a whole pixel
            height, width = (
                side - (side - part) % 2 if side > part else side
                for side, part in zip(images.shape[-2:], crop, strict=True)
            )
            images = images[..., :height, :width]
        return F.center_crop(images, list(crop))

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of an image after the resize, rounded as torchvision does."""
        if not isinstance(self.resize, int):
            return self.resize[0], self.resize[1]
        short, long = sorted((height, width))
        longer = int(self.resize * long / short)
        return (self.resize, longer) if height <= width else (longer, self.resize)

    @property
    def fixed_size(self) -> bool:
        """Whether images of all sizes become inputs of one size, which then share a batch."""
        return self.crop is not None or not isinstance(self.resize, int)

    def is_strip(self, height: int, width: int) -> bool:
        """Whether the resize enlarges an image to so long a strip that the crop shows little of it."""
        return (
            self.crop is not None
            and isinstance(self.resize, int)
            and min(height, width) < self.resize
            and max(self.resized(height, width)) > max(STRIP * self.resize, *self.crop)
        )

    def centre_of_strip(
        self, image_CHW: Tensor, size: list[int], crop_size: tuple[int, int]
    ) -> tuple[Tensor, list[int]]:
        """The long side enlarged already, but only where the crop is; and the size that is left to resize to.

        The pixels are those of the whole strip: torch resizes along the rows first, so an upright strip's rows are.
        """
        axis = 1 if size[0] > size[1] else 2
        long, crop = size[axis - 1], crop_size[axis - 1]
        start = (long - crop) // 2 if self.floor else round((long - crop) / 2)  # as `centre` has it
        neighbours, weights = taps(image_CHW.shape[axis], long, start, start + crop, self.interpolation)
        if axis == 1:
            first, last = int(neighbours.min()), int(neighbours.max())
            rows = [last - first + 1, size[1]]
            mode = InterpolationMode(self.interpolation)
            image_CHW = F.resize(image_CHW[:, first : last + 1], rows, interpolation=mode, antialias=True)
            neighbours = neighbours - first
        size[axis - 1] = crop
        return weighted(image_CHW, axis, neighbours, weights), size

    def check(self, height: int, width: int, max_pixels: int) -> None:
        """Raise TooLarge for an image that would become too large on its way, before any work begins.

        Without a crop, a resize of the shorter side has an output of any length, which the network then works on;
        and torch resizes rows before it drops any, so a tall image is as tall and as wide as the output in between.
        """
        if self.crop and self.is_strip(height, width):
            return
        tall, wide = self.resized(height, width)
        if not self.crop and isinstance(self.resize, int) and max(tall, wide) > STRIP * self.resize:
            raise TooLarge(
                f"the image has {width} x {height} pixels and would have {wide} x {tall} when resized for the model; "
                f"wanted sides of at most {STRIP} to 1"
            )
        check_resizing((height, width), (max(height, tall), wide), max_pixels)

    def geometry_on_gpu(self, images_NCHW: Tensor) -> Tensor:
        """The same of uint8 images on a GPU, to a level of 255: rounded between the two directions, as on a CPU.

        Resized in both directions at once, as torch does on a GPU, a network's probabilities move by hundredths.
        """
        height, width = images_NCHW.shape[-2:]
        target = list(self.resized(height, width))
        for size in ([height, target[1]], target):
            images_NCHW = F.resize(images_NCHW, size, interpolation=InterpolationMode(self.interpolation))
        return self.centre(images_NCHW, self.crop) if self.crop else images_NCHW

    def normalise(self, images: Tensor) -> Tensor:
        """uint8 (…, 3, H, W) → float32, scaled and normalised; works on one image or a batch, on any device."""
        mean = torch.tensor(self.mean, device=images.device).mul_(255).view(3, 1, 1)
        std = torch.tensor(self.std, device=images.device).mul_(255).view(3, 1, 1)
        return images.to(torch.float32).sub_(mean).div_(std)

    def __call__(self, image_CHW: Tensor) -> Tensor:
        """uint8 (3, H, W) of any size → float32 (3, height, width)."""
        return self.normalise(self.geometry(image_CHW))

    @property
    def output_size(self) -> tuple[int, int]:
        """(height, width) of the result. ValueError where that depends on the image."""
        if self.crop is not None:
            return self.crop
        if isinstance(self.resize, int):
            raise ValueError("a transform that keeps the aspect ratio needs a crop")
        return self.resize

    def example(self) -> Tensor:
        """An image of noise as a batch of one, uint8 (1, 3, height, width): what a graph is traced with."""
        return self.geometry(noise())[None]


def check_resizing(size: tuple[int, int], between: tuple[int, int], max_pixels: int) -> None:
    """TooLarge for an image that has more pixels than that when its rows have been resized, and its columns not yet.

    size, between: its (height, width) as it came and then.
    """
    if between[0] * between[1] > max_pixels:
        raise TooLarge(
            f"the image has {size[1]} x {size[0]} pixels and would have {between[1]} x {between[0]} while it is "
            f"resized; the limit is {max_pixels}"
        )


def noise() -> Tensor:
    """uint8 (3, 256, 256), always the same."""
    return torch.randint(0, 256, (3, 256, 256), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
