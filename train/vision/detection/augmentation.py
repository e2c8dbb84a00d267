"""Augmentation that transforms boxes and masks together with the image."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from train.core.config import StrictModel
from train.vision.augmentation import Augmentation as Extra
from train.vision.augmentation import BoxesFromMasks

# Zooming out fills the border of images with ImageNet's mean colour and of masks with 0.
MEAN_COLOUR = {tv_tensors.Image: (124, 116, 104), "others": 0}


class DetectionAugmentation(StrictModel):
    """SSD's augmentation (Liu et al. 2016, section 2.2), from torchvision; each step has its own probability.

    zoom_out places the image on a canvas up to `max_zoom` times as wide. crop keeps a part that overlaps some object by
    at least a randomly chosen IoU. Together they act as scale jitter, whatever size the network resizes to.
    """

    RENAMED: ClassVar[dict[str, str]] = {"largest": "max_zoom", "further": "extra"}

    flip: float = Field(
        default=0.5, ge=0, le=1, description="probability of a horizontal flip; 0 if left and right differ in meaning"
    )
    zoom_out: float = Field(default=0.3, ge=0, le=1, description="probability")
    max_zoom: float = Field(default=2.0, ge=1, description="maximum side of zoom_out's canvas, relative to the image")
    crop: float = Field(default=0.5, ge=0, le=1, description="probability")
    colour: float = Field(default=0.5, ge=0, le=1, description="probability of each change of brightness and colour")
    extra: Extra | None = Field(
        default=None,
        description="further steps of train/vision/augmentation.py, such as rotation or noise; never crops",
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
    """(image, target) → (image, target): applies the steps, then removes or repairs what they cut off."""

    def __init__(self, steps: list[v2.Transform]) -> None:
        # A crop leaves boxes of objects it cut off, which are removed with their masks and labels.
        self.steps = v2.Compose([*steps, v2.SanitizeBoundingBoxes(min_size=2, labels_getter=of_each_object)])

    def __call__(self, image: tv_tensors.Image, target: dict[str, Any]) -> tuple[tv_tensors.Image, dict[str, Any]]:
        moved, changed = self.steps(image, target)
        return moved, changed


def of_each_object(inputs: tuple[Any, dict[str, Any]]) -> tuple[Tensor, ...]:
    """The tensors to filter along with the boxes; masks are recognised by their type."""
    target = inputs[1]
    return tuple(target[name] for name in ("labels", "iscrowd", "area"))
