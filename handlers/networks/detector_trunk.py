"""A detector's trunk, its backbone and one-stage head, extracted to be made faster, and installed again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from copy import copy

import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList

# (width, height) for a detector that keeps images' sizes; a pyramid's strides divide it.
SIZE = (320, 256)

Detections = list[dict[str, Tensor]]


class Trunk(nn.Module):
    """(N, 3, H, W), normalised → the backbone's maps, then the head's outputs: one tuple, which a graph can give."""

    def __init__(self, backbone: nn.Module, head: nn.Module | None) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, images_NCHW: Tensor) -> tuple[Tensor, ...]:
        found = self.backbone(images_NCHW.contiguous(memory_format=torch.channels_last))
        maps = (found,) if isinstance(found, Tensor) else tuple(found.values())
        return maps if self.head is None else (*maps, *self.head(list(maps)).values())


class HeadOutputs(nn.Module):
    """In the head's place: what came with the maps, under the names that the detector knows it by."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = names
        self.found: tuple[Tensor, ...] = ()

    def forward(self, maps: list[Tensor]) -> dict[str, Tensor]:
        return dict(zip(self.names, self.found, strict=True))


class FeatureMaps(nn.Module):
    """In the backbone's place: the maps under their names, and the rest for `outputs`. Not for several threads."""

    def __init__(self, function: Callable[[Tensor], tuple[Tensor, ...]], names: Sequence[str], outputs: HeadOutputs):
        super().__init__()
        self.function = function
        self.names = names
        self.outputs = outputs

    def forward(self, images_NCHW: Tensor) -> OrderedDict[str, Tensor]:
        found = self.function(images_NCHW)
        maps = len(self.names)
        self.outputs.found = found[maps:]
        return OrderedDict(zip(self.names, found[:maps], strict=True))


def extract(detector: nn.Module) -> Trunk | None:
    """The trunk of one of torchvision's detectors, with the head of a one-stage detector (SSD, RetinaNet, FCOS).

    None for any other model, and for a scripted one.
    """
    backbone = getattr(detector, "backbone", None)
    if isinstance(detector, torch.jit.ScriptModule) or not isinstance(backbone, nn.Module):
        return None
    if not hasattr(getattr(detector, "transform", None), "fixed_size"):
        return None
    head = getattr(detector, "head", None)
    one_stage = isinstance(head, nn.Module) and hasattr(detector, "anchor_generator")
    return Trunk(backbone, head if one_stage else None).eval()


def classes(detector: nn.Module) -> int | None:
    """How many classes one of torchvision's detectors knows, the background included; None for any other model."""
    for path in ("roi_heads.box_predictor.cls_score", "head.classification_head"):
        part = detector
        for name in path.split("."):
            part = getattr(part, name, None)  # type: ignore[assignment]
        for attribute in ("out_features", "num_classes", "num_columns"):  # of R-CNNs; RetinaNet and FCOS; SSDs
            found = getattr(part, attribute, None)
            if isinstance(found, int):
                return found
    return None


@torch.inference_mode()
def names_of(trunk: Trunk, example: Tensor) -> tuple[list[str], list[str]]:
    """The names of the maps and of the head's outputs; torchvision's heads know a single map as "0"."""
    found = trunk.backbone(example)
    maps = OrderedDict({"0": found}) if isinstance(found, Tensor) else found
    return list(maps), [] if trunk.head is None else list(trunk.head(list(maps.values())))


def install(
    detector: nn.Module, function: Callable[[Tensor], tuple[Tensor, ...]], maps: list[str], outputs: list[str]
) -> None:
    """Make the detector call `function`, a faster form of its trunk, whose outputs have the given names."""
    head = HeadOutputs(outputs)
    detector.backbone = FeatureMaps(function, maps, head)
    if outputs:
        detector.head = head


def example_for(detector: nn.Module) -> tuple[Tensor, tuple[int, ...]]:
    """Noise of the backbone's input shape (1, 3, height, width), and the dimensions that may differ."""
    fixed: tuple[int, int] | None = getattr(detector.transform, "fixed_size")  # noqa: B009 - nn.Module has no types
    width, height = fixed or SIZE
    noise = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    return noise, (0,) if fixed else (0, 2, 3)


class AsTheyAre(nn.Module):
    """In the transform's place: images of one size as a batch, and detections in its pixels."""

    def forward(self, images: list[Tensor], targets: None = None) -> tuple[ImageList, None]:
        return ImageList(torch.stack(images), [(image.shape[1], image.shape[2]) for image in images]), None

    def postprocess(self, found: Detections, sizes: object, originals: object) -> Detections:
        return found


def decoder_of_trunk(
    detector: nn.Module, shape: Sequence[int], maps: list[str], outputs: list[str]
) -> Callable[[Sequence[Tensor]], Detections]:
    """A function of a trunk's outputs for images of one shape (3, height, width): what the detector finds by them.

    maps, outputs: their names. The detector itself stays as it is.
    """
    rest = copy(detector)
    rest._modules = {**detector._modules, "transform": AsTheyAre()}

    def decode(found: Sequence[Tensor]) -> Detections:
        install(rest, lambda images: tuple(found), maps, outputs)
        detections: Detections = rest(list(found[0].new_zeros(len(found[0]), *shape)))
        return detections

    return decode
