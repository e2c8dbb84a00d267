"""Augmentation that transforms a label map together with its image."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torchvision import tv_tensors
from torchvision.transforms import v2

from train.core.config import StrictModel
from train.vision.augmentation import Augmentation as Extra
from train.vision.segmentation.data import Augment


class SegmentationAugmentation(StrictModel):
    """A crop, resized to the network's input; flips; changes of brightness and colour."""

    RENAMED: ClassVar[dict[str, str]] = {"smallest": "min_scale", "further": "extra"}

    flip: float = Field(default=0.5, ge=0, le=1, description="probability; 0 where left and right differ in meaning")
    min_scale: float = Field(default=0.4, gt=0, le=1, description="minimum share of the image's area in the crop")
    stretch: float = Field(default=1.25, ge=1, description="maximum aspect ratio of the crop, in either direction")
    colour: float = Field(default=0.5, ge=0, le=1, description="probability of each change of light and colour")
    extra: Extra | None = Field(
        default=None, description="rotation, shear, perspective, elastic, blur, noise: augmentation.py; it never crops"
    )

    def transform(self, size: tuple[int, int]) -> Augment:
        """Build the transform. size: height and width of the network's input."""
        extra = [*self.extra.geometric(), *self.extra.photometric()] if self.extra else []
        steps = v2.Compose(
            [
                v2.RandomPhotometricDistort(p=self.colour),
                v2.RandomResizedCrop(
                    size, scale=(self.min_scale, 1.0), ratio=(1 / self.stretch, self.stretch), antialias=True
                ),
                v2.RandomHorizontalFlip(p=self.flip),
                *extra,
            ]
        )

        def augment(image: tv_tensors.Image, mask: tv_tensors.Mask) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
            moved, changed = steps(image, mask)
            return moved, changed

        return augment
