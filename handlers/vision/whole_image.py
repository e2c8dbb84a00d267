"""The transform of models that resize images themselves, such as torchvision's detectors: none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor


@dataclass(frozen=True)
class WholeImage:
    """refuse: raises a RequestError for a (height, width) that the model cannot take."""

    refuse: Callable[[int, int], None]
    fixed_size: ClassVar[bool] = False

    def check(self, height: int, width: int, max_pixels: int) -> None:
        self.refuse(height, width)

    def geometry(self, image_CHW: Tensor) -> Tensor:
        return image_CHW

    def geometry_on_gpu(self, images_NCHW: Tensor) -> Tensor:
        return images_NCHW

    def is_strip(self, height: int, width: int) -> bool:
        return False
