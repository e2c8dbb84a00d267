"""The transform of depth estimators: a resize that may follow the image's own shape, and the normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from handlers.errors import InvalidInput, TooLarge
from handlers.vision.transform import IMAGENET_MEAN, IMAGENET_STD, check_resizing


@dataclass(frozen=True)
class DepthTransform:
    """As the image processors of transformers for DPT, Depth Anything and GLPN have it.

    size: (height, width) to resize to; None keeps the image's own, each side rounded down to `multiple`.
    keep_aspect_ratio: one side becomes that of `size`, the one that changes less, and the other follows.
    multiple: of pixels, that each side is rounded to.
    interpolation: a torchvision InterpolationMode value. mean, std: per channel, of images in [0, 1].
    """

    size: tuple[int, int] | None
    keep_aspect_ratio: bool = False
    multiple: int = 1
    interpolation: str = "bicubic"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DepthTransform:
        """Read what `to_dict` wrote; an unknown key is a TypeError."""
        fields: dict[str, Any] = {k: tuple(value) if isinstance(value, list) else value for k, value in values.items()}
        return cls(**fields)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def is_fixed(self) -> bool:
        """Whether all images get one size."""
        return self.size is not None and not self.keep_aspect_ratio

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of an image as the model sees it; a side may be 0, of an image that cannot be taken."""
        if self.size is None:
            return height // self.multiple * self.multiple, width // self.multiple * self.multiple
        tall, wide = self.size[0] / height, self.size[1] / width
        if self.keep_aspect_ratio:
            tall = wide = wide if abs(1 - wide) < abs(1 - tall) else tall
        return round(tall * height / self.multiple) * self.multiple, round(wide * width / self.multiple) * self.multiple

    def check(self, height: int, width: int, max_pixels: int, max_model_pixels: int) -> None:
        """Refuse an image that no pixel would be left of, or that would be too large on its way, before any work.

        Rows are resized before columns. Raises InvalidInput and TooLarge.
        """
        tall, wide = self.resized(height, width)
        if not tall or not wide:
            raise InvalidInput(
                f"the image has {width} x {height} pixels; resized for the model, no pixel of its shorter "
                "side would be left"
            )
        if tall * wide > max_model_pixels:
            raise TooLarge(
                f"the image has {width} x {height} pixels and would have {wide} x {tall} for the model; "
                f"the limit is {max_model_pixels}"
            )
        check_resizing((height, width), (max(height, tall), wide), max_pixels)

    def geometry(self, image_CHW: Tensor) -> Tensor:
        """Resize a uint8 image."""
        size = list(self.resized(*image_CHW.shape[-2:]))
        return F.resize(image_CHW, size, interpolation=InterpolationMode(self.interpolation), antialias=True)
