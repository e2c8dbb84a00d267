"""One image as each network of an ensemble sees it, packed into one tensor: a model has one input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from handlers.vision.transform import IMAGENET_MEAN, IMAGENET_STD, ImageTransform, noise


@dataclass(frozen=True)
class Views:
    """The transforms of an ensemble's members, in their order. Members of one resize and crop share its result.

    A packed image is uint8 (3, pixels): the rows of one view after the other.
    """

    members: tuple[ImageTransform, ...]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Views:
        """Read what `to_dict` wrote; a key beside it is a TypeError."""
        if values.keys() != {"members"}:
            others = ", ".join(sorted(values.keys() - {"members"}))
            raise TypeError(f"preprocessing: {others} beside members, which have their own")
        return cls(tuple(ImageTransform.from_dict(member) for member in values["members"]))

    def to_dict(self) -> dict[str, Any]:
        return {"members": [member.to_dict() for member in self.members]}

    @property
    def fixed_size(self) -> bool:
        """As ImageTransform's: of all packed images; `spans` refuses members of another kind."""
        return True

    @cached_property
    def distinct(self) -> tuple[ImageTransform, ...]:
        return tuple(dict.fromkeys(map(geometry_of, self.members)))

    @cached_property
    def spans(self) -> tuple[tuple[int, int, tuple[int, int]], ...]:
        """(begin, end, (height, width)) of each member's view among a packed image's pixels.

        ValueError for a transform whose output is of the image's own aspect.
        """
        begin, found = 0, {}
        for transform in self.distinct:
            height, width = transform.output_size
            found[transform] = (begin, begin + height * width, (height, width))
            begin += height * width
        return tuple(found[geometry_of(member)] for member in self.members)

    def geometry(self, image_CHW: Tensor) -> Tensor:
        """uint8 (3, H, W) of any size → uint8 (3, pixels)."""
        return torch.cat([transform.geometry(image_CHW).flatten(1) for transform in self.distinct], dim=1)

    def geometry_on_gpu(self, images_NCHW: Tensor) -> Tensor:
        """The same of uint8 images on a GPU, (N, 3, pixels)."""
        return torch.cat([transform.geometry_on_gpu(images_NCHW).flatten(2) for transform in self.distinct], dim=2)

    def check(self, height: int, width: int, max_pixels: int) -> None:
        """Raise TooLarge for an image that any member could not take."""
        for transform in self.distinct:
            transform.check(height, width, max_pixels)

    def is_strip(self, height: int, width: int) -> bool:
        return any(transform.is_strip(height, width) for transform in self.distinct)

    def example(self) -> Tensor:
        """An image of noise as a batch of one, uint8 (1, 3, pixels)."""
        return self.geometry(noise())[None]


def geometry_of(transform: ImageTransform) -> ImageTransform:
    """A transform's resize and crop alone: the colours are the network's."""
    return replace(transform, mean=IMAGENET_MEAN, std=IMAGENET_STD)
