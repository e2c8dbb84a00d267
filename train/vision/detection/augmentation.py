"""Augmentation that moves boxes and masks with the image."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from train.core.config import StrictModel
from train.vision.augmentation import Augmentation as Extra
from train.vision.augmentation import BoxesFromMasks

# ImageNet's mean around an image that is zoomed out, nothing around its masks.
MEAN_COLOUR = {tv_tensors.Image: (124, 116, 104), "others": 0}


class DetectionAugmentation(StrictModel):
    """SSD's augmentation (Liu et al. 2016, section 2.2) by torchvision: each step with a probability of its own.

    zoom_out puts the image onto a larger canvas, up to `max_zoom` times as wide; crop keeps a part in which some
    object shows at least by a drawn overlap; together they are scale jitter, whatever the network resizes to.
    """

    RENAMED: ClassVar[dict[str, str]] = {"largest": "max_zoom", "further": "extra"}

    flip: float = Field(default=0.5, ge=0, le=1, description="probability; 0 where left and right differ in meaning")
    zoom_out: float = Field(default=0.3, ge=0, le=1, description="probability")
    max_zoom: float = Field(default=2.0, ge=1, description="of the canvas of zoom_out, over the image")
    crop: float = Field(default=0.5, ge=0, le=1, description="probability")
    colour: float = Field(default=0.5, ge=0, le=1, description="probability of each change of light and colour")
    extra: Extra | None = Field(
        default=None, description="rotation, shear, perspective, elastic, blur, noise: augmentation.py; it never crops"
    )

    def transform(self) -> Augmentation:
        extra = [*self.extra.geometric(), *self.extra.photometric(), BoxesFromMasks()] if self.extra else []
        return Augmentation(
            [
                v2.RandomPhotometricDistort(p=self.colour),
                v2.RandomZoomOut(MEAN_COLOUR, (1.0, self.max_zoom), self.zoom_out),
                v2.RandomApply([v2.RandomIoUCrop()], p=self.crop),
                v2.RandomHorizontalFlip(p=self.flip),
                *extra,
                v2.ClampBoundingBoxes(),
            ]
        )


class Augmentation:
    """(image, target) → (image, target): the steps, and what they made of each object made whole again."""

    def __init__(self, steps: list[v2.Transform]) -> None:
        # A crop leaves boxes of what it cut off: they go, with their masks and labels.
        self.steps = v2.Compose([*steps, v2.SanitizeBoundingBoxes(min_size=2, labels_getter=of_each_object)])

    def __call__(self, image: tv_tensors.Image, target: dict[str, Any]) -> tuple[tv_tensors.Image, dict[str, Any]]:
        moved, changed = self.steps(image, target)
        return moved, changed


def of_each_object(inputs: tuple[Any, dict[str, Any]]) -> tuple[Tensor, ...]:
    """The labels to drop with a dropped box; masks are found by their type."""
    target = inputs[1]
    return tuple(target[name] for name in ("labels", "iscrowd", "area"))
