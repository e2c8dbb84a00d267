"""Strips: images that a resize of the shorter side makes enormous, of which only what is shown is made."""

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from handlers.errors import TooLarge
from handlers.vision.transform import ImageTransform

MAX_PIXELS = 25_000_000
RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize(
    ("height", "width"), [(1, 40), (1, 1999), (2, 333), (7, 1003), (13, 430), (29, 900), (1500, 1), (1003, 7)]
)
@pytest.mark.parametrize(("resize", "crop"), [(64, (56, 48)), (61, (61, 61)), (40, (50, 44))])
def test_the_centre_of_a_strip_is_torchvisions_to_the_bit(
    height: int, width: int, resize: int, crop: tuple[int, int], interpolation: str
) -> None:
    transform = ImageTransform(resize, crop, interpolation)
    image = torch.from_numpy(RANDOM.integers(0, 256, (height, width, 3), dtype=np.uint8)).permute(2, 0, 1)
    assert transform.is_strip(height, width)
    whole = F.resize(image, [resize], interpolation=InterpolationMode(interpolation), antialias=True)
    assert torch.equal(transform.geometry(image), F.center_crop(whole, list(crop)))


@pytest.mark.parametrize("size", [(1, 24_000_000), (24_000_000, 1), (3, 8_000_000), (4000, 6000)])
def test_with_a_crop_any_shape_within_the_limit_is_answered(size: tuple[int, int]) -> None:
    transform = ImageTransform(resize=256, crop=(224, 224))
    transform.check(*size, MAX_PIXELS)
    assert transform.geometry(torch.zeros(3, *size, dtype=torch.uint8)).shape == (3, 224, 224)


@pytest.mark.parametrize(
    ("transform", "size"),
    [
        (ImageTransform(resize=256), (1, 300)),
        (ImageTransform(resize=256), (300, 1)),
        (ImageTransform(resize=(224, 224)), (1_000_000, 1)),
        (ImageTransform(resize=3000, crop=(224, 224)), (100, 1500)),
    ],
)
def test_what_would_become_too_large_on_its_way_is_refused(transform: ImageTransform, size: tuple[int, int]) -> None:
    with pytest.raises(TooLarge, match=f"has {size[1]} x {size[0]} pixels and would have"):
        transform.check(*size, MAX_PIXELS)
    transform.check(480, 640, MAX_PIXELS)
