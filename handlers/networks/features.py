"""A detector's backbone taken out of it, made faster, and put back."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

# (width, height) where pictures keep their sizes: any that a pyramid's strides divide.
SIZE = (320, 256)


class FeatureTuple(nn.Module):
    """(N, 3, H, W), normalised → the backbone's maps as a tuple, which a graph can give."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images_NCHW: Tensor) -> tuple[Tensor, ...]:
        found = self.backbone(images_NCHW.contiguous(memory_format=torch.channels_last))
        return (found,) if isinstance(found, Tensor) else tuple(found.values())


class FeatureDict(nn.Module):
    """The same maps under the names that the detector's head knows them by."""

    def __init__(self, function: Callable[[Tensor], tuple[Tensor, ...]], names: Sequence[str]) -> None:
        super().__init__()
        self.function = function
        self.names = names

    def forward(self, images_NCHW: Tensor) -> OrderedDict[str, Tensor]:
        return OrderedDict(zip(self.names, self.function(images_NCHW), strict=True))


def backbone_of(detector: nn.Module) -> nn.Module | None:
    """The backbone of one of torchvision's detectors; None of another model, or of one that is scripted."""
    backbone = getattr(detector, "backbone", None)
    if isinstance(detector, torch.jit.ScriptModule) or not isinstance(backbone, nn.Module):
        return None
    return backbone if hasattr(getattr(detector, "transform", None), "fixed_size") else None


def example_for(detector: nn.Module) -> tuple[Tensor, tuple[int, ...]]:
    """Noise as the detector's backbone gets it, (1, 3, height, width), and the dimensions that are not always so."""
    fixed: tuple[int, int] | None = getattr(detector.transform, "fixed_size")  # noqa: B009 - nn.Module has no types
    width, height = fixed or SIZE
    noise = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    return noise, (0,) if fixed else (0, 2, 3)


@torch.inference_mode()
def names_of(backbone: nn.Module, example: Tensor) -> list[str]:
    """The names of the backbone's maps; torchvision's heads know a single one as "0"."""
    found = backbone(example)
    return ["0"] if isinstance(found, Tensor) else [str(name) for name in found]
