"""Turns timm's data configuration of a model into our own transform.

timm's evaluation transform (timm/data/transforms_factory.py) resizes to the input's size over `crop_pct` and crops
the centre.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handlers.formats.configuration import MAX_SHOWN, MAX_SIDE

INTERPOLATIONS = ("bilinear", "bicubic", "nearest")
MODES = ("center", "squash")
# timm's own defaults.
MEAN, STD, CROP, SIZE = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 0.875, (3, 224, 224)


def problem(config: Mapping[str, Any]) -> str:
    """The first key read here whose value is not of the kind that timm writes; "" if there is none."""
    for key, is_valid in KINDS.items():
        value = config.get(key)
        if value and not is_valid(value):
            return f"{key}: got {str(value)[:MAX_SHOWN]}"
    return ""


def is_size(value: Any) -> bool:
    return are_numbers(value) and all(isinstance(side, int) and 0 < side <= MAX_SIDE for side in value)


def are_numbers(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(isinstance(number, (int, float)) for number in value)


def is_share(value: Any) -> bool:
    return isinstance(value, (int, float)) and 0.1 <= value <= 10


def is_text(value: Any) -> bool:
    return isinstance(value, str)


KINDS = {
    "input_size": is_size,
    "mean": are_numbers,
    "std": are_numbers,
    "crop_pct": is_share,
    "crop_mode": is_text,
    "interpolation": is_text,
}


def size_of(config: Mapping[str, Any]) -> tuple[int, int]:
    """(height, width) of the model's input."""
    _, height, width = config.get("input_size") or SIZE
    return height, width


def preprocessing(config: Mapping[str, Any], size: tuple[int, int] | None = None) -> dict[str, Any]:
    """The keys of an ImageTransform. config: a `pretrained_cfg`. size: of the input, if it is to differ."""
    height, width = size or size_of(config)
    share = config.get("crop_pct") or CROP
    scaled = [int(height / share), int(width / share)]
    keeps_ratio = mode_of(config) != "squash" and height == width
    return {
        "resize": scaled[0] if keeps_ratio else scaled,
        "crop": [height, width],
        "interpolation": interpolation_of(config),
        "mean": list(config.get("mean") or MEAN),
        "std": list(config.get("std") or STD),
    }


def differs(config: Mapping[str, Any]) -> str:
    """The parts of timm's transform that ours lacks; "" if there are none."""
    missing = []
    if mode_of(config) not in MODES:
        missing.append(f"crop_mode {mode_of(config)}")
    height, width = size_of(config)
    if mode_of(config) == "center" and height != width:
        missing.append(f"input_size {height} x {width}, cropped")
    interpolation = config.get("interpolation") or "bicubic"
    if interpolation not in INTERPOLATIONS:
        missing.append(f"interpolation {interpolation}")
    return ", ".join(missing)


def mode_of(config: Mapping[str, Any]) -> str:
    return config.get("crop_mode") or "center"


def interpolation_of(config: Mapping[str, Any]) -> str:
    """The configured one, or bicubic in place of those that torchvision lacks; the closest of them is Lanczos."""
    name = config.get("interpolation") or "bicubic"
    return name if name in INTERPOLATIONS else "bicubic"
