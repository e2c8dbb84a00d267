"""The photographs that scikit-image and scikit-learn install, used as backgrounds and samples."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_sample_image

Photograph = NDArray[np.uint8]

# Only images in the wheels, because skimage.data downloads the others. Images of coins, clocks and the like are
# excluded, because they show the same shapes that are drawn over them.
_PHOTOGRAPHS: dict[str, Callable[[], Photograph]] = {
    "astronaut": skimage.data.astronaut,
    "brick": skimage.data.brick,
    "camera": skimage.data.camera,
    "chelsea": skimage.data.chelsea,
    "china": lambda: load_sample_image("china.jpg"),
    "coffee": skimage.data.coffee,
    "flower": lambda: load_sample_image("flower.jpg"),
    "grass": skimage.data.grass,
    "gravel": skimage.data.gravel,
    "hubble": skimage.data.hubble_deep_field,
    "ihc": skimage.data.immunohistochemistry,
    "moon": skimage.data.moon,
    "motorcycle": lambda: skimage.data.stereo_motorcycle()[0],
    "page": skimage.data.page,
    "rocket": skimage.data.rocket,
}

TRAINING = ("brick", "chelsea", "china", "coffee", "grass", "hubble", "ihc", "moon", "motorcycle", "page")
HELD_OUT = ("astronaut", "camera", "flower", "gravel", "rocket")


@cache
def photograph(name: str) -> Photograph:
    """The photograph in RGB, uint8 (H, W, 3), read-only. Raises KeyError for an unknown name."""
    pixels = _PHOTOGRAPHS[name]()
    image_HWC = np.ascontiguousarray(Image.fromarray(pixels).convert("RGB"))
    image_HWC.setflags(write=False)
    return image_HWC
