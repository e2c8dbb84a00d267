"""The evaluation transform of image models: one frozen description, applied in training's validation and in serving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ImageTransform:
    """Resize, crop the centre, scale to [0, 1], normalise.

    resize: [height, width], or one number for the shorter side (the aspect ratio kept).
    crop: [height, width] around the centre after the resize, or None.
    interpolation: a torchvision InterpolationMode value: "bilinear", "bicubic", "nearest".
    mean, std: per channel, of images in [0, 1].
    """

    resize: int | tuple[int, int]
    crop: tuple[int, int] | None = None
    interpolation: str = "bilinear"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ImageTransform:
        """Read what `to_dict` wrote; an unknown key is a TypeError."""
        fields = dict(values)
        for key in ("resize", "crop", "mean", "std"):
            if isinstance(fields.get(key), list):
                fields[key] = tuple(fields[key])
        return cls(**fields)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def geometry(self, image_CHW: Tensor) -> Tensor:
        """Resize and crop a uint8 image; the dtype stays uint8, which halves the work of the float path."""
        size = [self.resize] if isinstance(self.resize, int) else list(self.resize)
        image_CHW = F.resize(image_CHW, size, interpolation=InterpolationMode(self.interpolation), antialias=True)
        return F.center_crop(image_CHW, list(self.crop)) if self.crop else image_CHW

    def geometry_on_gpu(self, images_NCHW: Tensor) -> Tensor:
        """The same of uint8 images on a GPU, to a level of 255: rounded between the two directions, as on a CPU.

        Resized in both directions at once, as torch does on a GPU, a network's probabilities move by hundredths.
        """
        height, width = images_NCHW.shape[-2:]
        if isinstance(self.resize, int):
            short = min(height, width)
            target = [int(self.resize * height / short), int(self.resize * width / short)]
        else:
            target = list(self.resize)
        for size in ([height, target[1]], target):
            images_NCHW = F.resize(images_NCHW, size, interpolation=InterpolationMode(self.interpolation))
        return F.center_crop(images_NCHW, list(self.crop)) if self.crop else images_NCHW

    def normalise(self, images: Tensor) -> Tensor:
        """uint8 (…, 3, H, W) → float32, scaled and normalised; works on one image or a batch, on any device."""
        mean = torch.tensor(self.mean, device=images.device).mul_(255).view(3, 1, 1)
        std = torch.tensor(self.std, device=images.device).mul_(255).view(3, 1, 1)
        return images.to(torch.float32).sub_(mean).div_(std)

    def __call__(self, image_CHW: Tensor) -> Tensor:
        """uint8 (3, H, W) of any size → float32 (3, height, width)."""
        return self.normalise(self.geometry(image_CHW))

    def example(self) -> Tensor:
        """An image of noise as a batch of one, uint8 (1, 3, height, width): what a graph is traced with."""
        noise = torch.randint(0, 256, (3, 256, 256), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        return self.geometry(noise)[None]
