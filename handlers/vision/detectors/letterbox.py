"""An image fitted into a detector's fixed input, and its boxes fitted back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from handlers.errors import InvalidInput


@dataclass(frozen=True)
class Placement:
    """Where an image of height × width lies in the input: x_input = x * x_scale + left, and the same of y."""

    x_scale: float
    y_scale: float
    left: int
    top: int
    height: int
    width: int

    def back(self, boxes_N4: Tensor) -> Tensor:
        """Boxes x1 y1 x2 y2 of the input in the image's own pixels, cut at its edges."""
        shift = torch.tensor([self.left, self.top] * 2, dtype=boxes_N4.dtype)
        scale = torch.tensor([self.x_scale, self.y_scale] * 2, dtype=boxes_N4.dtype)
        limit = torch.tensor([self.width, self.height] * 2, dtype=boxes_N4.dtype)
        return ((boxes_N4 - shift) / scale).clamp(min=torch.zeros(4, dtype=boxes_N4.dtype), max=limit)


@dataclass(frozen=True)
class Letterbox:
    """size: [height, width] of the input. fit: "letterbox" keeps the aspect ratio and fills the rest; "stretch" not.

    align: where a letterboxed image lies, "centre" or "corner". fill: the level around it, 0 to 255. antialias: of
    images that shrink; OpenCV's linear resize, which most exports are trained with, has none. channels: "RGB" or "BGR".
    mean, std: per channel, of images in [0, 1]; a model of levels up to 255 has std [1/255, 1/255, 1/255].
    """

    size: tuple[int, int]
    fit: Literal["letterbox", "stretch"] = "letterbox"
    align: Literal["centre", "corner"] = "centre"
    fill: int = 114
    antialias: bool = False
    channels: Literal["RGB", "BGR"] = "RGB"
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Letterbox:
        """An unknown key is a TypeError."""
        fields: dict[str, Any] = {k: tuple(value) if isinstance(value, list) else value for k, value in values.items()}
        return cls(**fields)

    def scaled(self, height: int, width: int) -> tuple[float, float]:
        """(x, y) factors of the resize."""
        if self.fit == "stretch":
            return self.size[1] / width, self.size[0] / height
        scale = min(self.size[0] / height, self.size[1] / width)
        return scale, scale

    def check(self, height: int, width: int) -> None:
        """InvalidInput where the resize would leave no pixel of the shorter side."""
        x_scale, y_scale = self.scaled(height, width)
        if min(round(width * x_scale), round(height * y_scale)) < 1:
            raise InvalidInput(
                f"the image has {width} x {height} pixels; fitted into {self.size[1]} x {self.size[0]}, no pixel of "
                "its shorter side would be left"
            )

    def __call__(self, image_CHW: Tensor) -> tuple[Tensor, Placement]:
        """uint8 (3, height, width) → float32 (3, *size), and where the image lies in it."""
        height, width = image_CHW.shape[-2:]
        x_scale, y_scale = self.scaled(height, width)
        tall, wide = round(height * y_scale), round(width * x_scale)
        resized = image_CHW
        if (tall, wide) != (height, width):
            resized = F.resize(
                image_CHW, [tall, wide], interpolation=InterpolationMode.BILINEAR, antialias=self.antialias
            )
        # Half a pixel goes to the right and to the bottom, as in Ultralytics' LetterBox.
        spare = (self.size[0] - tall, self.size[1] - wide)
        top, left = (side // 2 for side in spare) if self.align == "centre" else (0, 0)
        canvas = torch.full((3, *self.size), self.fill, dtype=torch.uint8)
        canvas[:, top : top + tall, left : left + wide] = resized
        if self.channels == "BGR":
            canvas = canvas.flip(0)
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (self.mean, self.std))
        return canvas.float().div_(255).sub_(mean).div_(std), Placement(x_scale, y_scale, left, top, height, width)
