"""A network over images as they are decoded: the normalisation is inside it, so that one graph holds all."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from handlers.loader import channels_last
from handlers.vision.depth_transform import DepthTransform
from handlers.vision.transform import ImageTransform
from handlers.vision.views import Views


class Normalised(nn.Module):
    """uint8 (N, 3, H, W) → the network's outputs as float32: logits, perhaps with what layers computed, or depths.

    A network that answers with a dict, as torchvision's segmentation models do, gives its "out".
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, *transforms: ImageTransform | DepthTransform) -> None:
        super().__init__()
        self.network = channels_last(network)
        for name in ("mean", "std"):
            values = torch.tensor([getattr(transform, name) for transform in transforms])
            self.register_buffer(name, values.mul(255).view(-1, 3, 1, 1))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        output = self.network(self.inputs(images))
        if isinstance(output, dict):
            output = output["out"]
        return tuple(part.float() for part in (output if isinstance(output, tuple) else (output,)))

    def inputs(self, images: Tensor) -> Tensor | list[Tensor]:
        """The images as the network takes them."""
        return normalise(images, self.mean[0], self.std[0])


class NormalisedViews(Normalised):
    """uint8 (N, 3, pixels), packed as `Views` does → an ensemble's outputs. Each member gets images of its own."""

    def __init__(self, network: nn.Module, views: Views) -> None:
        super().__init__(network, *views.members)
        self.spans = views.spans

    def inputs(self, images: Tensor) -> Tensor | list[Tensor]:
        found = []
        for (begin, end, (height, width)), mean, std in zip(self.spans, self.mean, self.std, strict=True):
            view_NCHW = images[:, :, begin:end].reshape(-1, 3, height, width)
            found.append(normalise(view_NCHW, mean, std))
        return found


def normalise(images_NCHW: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return images_NCHW.to(torch.float32).sub(mean).div(std).contiguous(memory_format=torch.channels_last)


def normalised(network: nn.Module, transform: ImageTransform | DepthTransform | Views) -> Normalised:
    """The network over images as the transform's `geometry` leaves them."""
    if isinstance(transform, Views):
        return NormalisedViews(network, transform)
    return Normalised(network, transform)
