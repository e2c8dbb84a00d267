"""Image augmentation, which moves boxes and masks along with the pixels."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field, field_validator
from torch import Tensor
from torchvision import tv_tensors
from torchvision.ops import masks_to_boxes
from torchvision.transforms import v2

from train.core.config import StrictModel
from train.vision.fourier_noise import FourierNoise

Probability = Annotated[float, Field(ge=0, le=1)]
Strength = Annotated[float, Field(ge=0)]
Range = Annotated[tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]], Field()]


class Augmentation(StrictModel):
    """Each part is off at 0. The defaults suit photographs of objects that look natural when mirrored."""

    crop_scale: Range | None = Field(
        default=(0.35, 1.0), description="cropped share of the area; None for the whole image"
    )
    crop_ratio: Range = Field(default=(3 / 4, 4 / 3), description="width / height of the crop before it is resized")
    flip: Probability = Field(default=0.5, description="probability of a horizontal flip")
    vertical_flip: Probability = 0.0
    geometry: Probability = Field(
        default=0.5, description="probability of rotate, translate, scale and shear, applied together"
    )
    rotate: Strength = Field(default=0.0, le=180, description="maximum in degrees, in either direction")
    translate: Strength = Field(default=0.0, le=1, description="maximum as a share of the side")
    scale: Range = (1.0, 1.0)
    shear: Strength = Field(default=0.0, le=60, description="maximum in degrees, in either direction")
    perspective: Strength = Field(default=0.0, le=1, description="distortion")
    perspective_probability: Probability = 0.5
    elastic: Strength = Field(default=0.0, description="root mean square displacement in pixels")
    elastic_probability: Probability = 0.5
    elastic_sigma: float = Field(
        default=5.0, gt=0, description="standard deviation in pixels of the Gaussian that smooths it"
    )
    colour: Probability = Field(
        default=1.0, description="probability of brightness, contrast, saturation and hue, applied together"
    )
    brightness: Strength = Field(default=0.2, description="0.2 draws a factor from 0.8 to 1.2")
    contrast: Strength = 0.2
    saturation: Strength = 0.2
    hue: Strength = Field(default=0.02, le=0.5)
    grayscale: Probability = 0.0
    blur: Probability = Field(default=0.0, description="Gaussian")
    blur_kernel: int = Field(default=5, ge=3, description="width of the blur in pixels, odd")
    blur_sigma: Range = Field(default=(0.1, 2.0), description="minimum and maximum in pixels")
    noise: Strength = Field(
        default=0.0, le=1, description="root mean square of Fourier noise, relative to the full range"
    )
    noise_exponent: Strength = Field(default=0.0, description="0 for white noise, 1 for pink")
    noise_probability: Probability = 0.5
    erase: Probability = Field(default=0.0, description="probability of erasing a rectangle (Zhong et al. 2020)")

    @field_validator("blur_kernel")
    @classmethod
    def odd(cls, width: int) -> int:
        if width % 2 == 0:
            raise ValueError(f"wanted an odd number of pixels; got {width}")
        return width

    def geometric(self) -> list[v2.Transform]:
        """Transforms that move pixels, together with boxes and masks."""
        ways: list[v2.Transform] = []
        if self.flip:
            ways.append(v2.RandomHorizontalFlip(self.flip))
        if self.vertical_flip:
            ways.append(v2.RandomVerticalFlip(self.vertical_flip))
        if self.rotate or self.translate or self.shear or self.scale != (1.0, 1.0):
            affine = v2.RandomAffine(
                self.rotate,
                (self.translate, self.translate),
                self.scale,
                self.shear or None,
                interpolation=v2.InterpolationMode.BILINEAR,
            )
            ways.append(v2.RandomApply([affine], self.geometry))
        if self.perspective:
            ways.append(v2.RandomPerspective(self.perspective, self.perspective_probability))
        if self.elastic:
            elastic = Elastic(elastic_alpha(self.elastic, self.elastic_sigma), self.elastic_sigma)
            ways.append(v2.RandomApply([elastic], self.elastic_probability))
        return ways

    def photometric(self) -> list[v2.Transform]:
        """Transforms that only change colours."""
        ways: list[v2.Transform] = []
        if self.brightness or self.contrast or self.saturation or self.hue:
            jitter = v2.ColorJitter(self.brightness, self.contrast, self.saturation, self.hue)
            ways.append(jitter if self.colour == 1 else v2.RandomApply([jitter], self.colour))
        if self.grayscale:
            ways.append(v2.RandomGrayscale(self.grayscale))
        if self.blur:
            ways.append(v2.RandomApply([v2.GaussianBlur(self.blur_kernel, self.blur_sigma)], self.blur))
        if self.noise:
            ways.append(v2.RandomApply([FourierNoise(self.noise, self.noise_exponent)], self.noise_probability))
        return ways

    def pipeline(self, size: tuple[int, int]) -> v2.Compose:
        """For classification: uint8 image (3, H, W) of any size → uint8 (3, *size)."""
        first = (
            v2.RandomResizedCrop(size, self.crop_scale, self.crop_ratio, antialias=True)
            if self.crop_scale
            else v2.Resize(size, antialias=True)
        )
        last = [v2.RandomErasing(self.erase)] if self.erase else []
        return v2.Compose([first, *self.geometric(), *self.photometric(), *last])


class Elastic(v2.ElasticTransform):
    """torchvision's transform, which fails to look up box corners at the right or lower border in its grid."""

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if isinstance(inpt, tv_tensors.BoundingBoxes):
            height, width = inpt.canvas_size
            corners = v2.functional.convert_bounding_box_format(inpt, new_format="XYXY").as_subclass(Tensor)
            inside = corners.minimum(torch.tensor([width - 1, height - 1, width - 1, height - 1]))
            xyxy = tv_tensors.BoundingBoxes(inside, format="XYXY", canvas_size=inpt.canvas_size)
            inpt = v2.functional.convert_bounding_box_format(xyxy, new_format=inpt.format)
        return super().transform(inpt, params)


def elastic_alpha(pixels: float, sigma: float) -> float:
    """torchvision's `alpha` for a root mean square displacement of `pixels`.

    torchvision draws uniform noise in [-1, 1], whose variance is 1/3, smooths it with a two-dimensional Gaussian, which
    keeps 1 / (4 π σ²) of the variance, and multiplies it by alpha in units of half a pixel.
    """
    return 2 * pixels * (3 * 4 * torch.pi * sigma**2) ** 0.5


class BoxesFromMasks(v2.Transform):
    """Fits every box to its transformed mask, because the corners of a rotated box enclose more than the object."""

    def forward(self, *inputs: Any) -> Any:
        image, target = inputs
        masks = target.get("masks")
        if masks is None or not len(masks):
            return image, target
        boxes = torch.zeros(len(masks), 4)
        masks = masks.as_subclass(Tensor).bool()
        shown = masks.flatten(1).any(dim=1)
        if shown.any():
            # torchvision returns the index of the last pixel, but a box ends after it.
            boxes[shown] = masks_to_boxes(masks[shown]) + torch.tensor([0.0, 0.0, 1.0, 1.0])
        xyxy = tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=masks.shape[-2:])
        return image, {**target, "boxes": v2.functional.convert_bounding_box_format(xyxy, new_format=format_of(target))}


def format_of(target: dict[str, Any]) -> tv_tensors.BoundingBoxFormat:
    return target["boxes"].format
