"""Turns the image processor of a Hugging Face folder into our own transform, and compares the two."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handlers.formats import pretrained
from handlers.formats.configuration import MAX_SHOWN, MAX_SIDE
from handlers.formats.errors import UnsafeFile
from handlers.formats.huggingface import PROCESSOR

if TYPE_CHECKING:
    from torch import Tensor

    from handlers.vision.depth_transform import DepthTransform
    from handlers.vision.transform import ImageTransform

# By Pillow's numbers. Like transformers, we use bicubic for Lanczos (1).
INTERPOLATIONS = {0: "nearest", 1: "bicubic", 2: "bilinear", 3: "bicubic"}
# Of the images that both are tried on: wider, taller, and smaller than most models' inputs.
SIZES = ((300, 471), (331, 256), (64, 50))
TOLERANCE = 0.02
# Depth estimators, and the kind of depth they predict if their configuration does not say.
DEPTH_MODELS = {"dpt": "relative", "depth_anything": "relative", "glpn": "metric"}
UNSIZED = 384  # from this side on, ConvNeXt's images are not cropped


def processor_of(source: Path) -> Any:
    """The folder's image processor. Raises UnsafeFile if it cannot be read, or its sizes are absurd."""
    from transformers import AutoImageProcessor

    processor = pretrained.read(AutoImageProcessor, source, "image processor")
    for key in ("size", "crop_size", "pad_size"):
        for name, side in dict(getattr(processor, key, None) or {}).items():
            if side is not None and not (isinstance(side, (int, float)) and 0 < side <= MAX_SIDE):
                raise UnsafeFile(f"{PROCESSOR}: {key}.{name}: got {repr(side)[:MAX_SHOWN]}; wanted 1 to {MAX_SIDE}")
    return processor


def image_preprocessing(source: Path) -> dict[str, Any]:
    """The ImageTransform that is equivalent to the folder's image processor; the two are compared on images of noise.

    Raises UnsafeFile if the processor does more than resize, crop the centre and normalise.
    """
    from handlers.vision.transform import ImageTransform

    processor = processor_of(source)
    name = type(processor).__name__
    size, crop = dict(processor.size or {}), dict(processor.crop_size or {}) if processor.do_center_crop else {}
    if not processor.do_resize or not ({"height", "width"} <= size.keys() or size.keys() == {"shortest_edge"}):
        raise UnsafeFile(f"{name}: wanted a resize to height and width, or of the shorter side; got size {size}")
    mean, std = colours(processor)
    resize: Any = size.get("shortest_edge") or (size["height"], size["width"])
    cropped = (crop["height"], crop["width"]) if crop else None
    fraction = getattr(processor, "crop_pct", None)
    if fraction and isinstance(resize, int):
        edge = resize
        resize, cropped = (int(edge / fraction), (edge, edge)) if edge < UNSIZED else ((edge, edge), None)
    transform = ImageTransform(resize, cropped, interpolation(processor), mean, std, floor=cropped is not None)
    compare(processor, transform)
    return transform.to_dict()


def depth_preprocessing(source: Path) -> dict[str, Any]:
    """The preprocessing of a depth estimator's folder: DPT's, Depth Anything's or GLPN's. Raises UnsafeFile."""
    from transformers import AutoConfig

    from handlers.vision.depth_transform import DepthTransform

    configuration = pretrained.read(AutoConfig, source, "configuration")
    if configuration.model_type not in DEPTH_MODELS:
        raise UnsafeFile(f"model_type: got {configuration.model_type}, wanted one of {', '.join(DEPTH_MODELS)}")
    processor = processor_of(source)
    mean, std = colours(processor)
    size = dict(getattr(processor, "size", None) or {})
    transform = DepthTransform(
        size=(size["height"], size["width"]) if {"height", "width"} <= size.keys() else None,
        keep_aspect_ratio=bool(getattr(processor, "keep_aspect_ratio", False)),
        multiple=int(getattr(processor, "ensure_multiple_of", None) or getattr(processor, "size_divisor", None) or 1),
        interpolation=interpolation(processor),
        mean=mean,
        std=std,
    )
    compare(processor, transform)
    kind = getattr(configuration, "depth_estimation_type", DEPTH_MODELS[configuration.model_type])
    # The depth that these models call relative is inverse: Ranftl et al. 2020, 2021, and Yang et al. 2024.
    return {**transform.to_dict(), "kind": kind, "nearer": "lower" if kind == "metric" else "higher"}


def compare(processor: Any, transform: ImageTransform | DepthTransform) -> None:
    """Raise UnsafeFile if the transform and the processor differ on images of noise."""
    import torch

    from handlers.vision.transform import ImageTransform

    normalise = ImageTransform(1, mean=transform.mean, std=transform.std).normalise
    for height, width in SIZES:
        noise = torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        expected: Tensor = processor(images=noise, return_tensors="pt")["pixel_values"][0]
        actual = normalise(transform.geometry(noise))
        if actual.shape != expected.shape or not (actual - expected).abs().max() <= TOLERANCE:
            raise UnsafeFile(f"{type(processor).__name__}: does more than resize, crop the centre and normalise")


def interpolation(processor: Any) -> str:
    """torchvision's name for the processor's resampling filter."""
    name = INTERPOLATIONS.get(int(processor.resample))
    if name is None:
        raise UnsafeFile(f"resample: got {int(processor.resample)}, wanted one of {sorted(INTERPOLATIONS)}")
    return name


def colours(processor: Any) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """The mean and standard deviation with which the processor normalises images in [0, 1]."""
    scale = 255 * processor.rescale_factor if processor.do_rescale else 255.0
    normalises = processor.do_normalize
    mean: Sequence[float] = processor.image_mean if normalises else (0.0, 0.0, 0.0)
    std: Sequence[float] = processor.image_std if normalises else (1.0, 1.0, 1.0)
    if len(mean) != 3 or len(std) != 3:
        raise UnsafeFile(f"image_mean: wanted three numbers; got {list(mean)}")
    scaled = [tuple(value / scale for value in values) for values in (mean, std)]
    return (scaled[0][0], scaled[0][1], scaled[0][2]), (scaled[1][0], scaled[1][1], scaled[1][2])
