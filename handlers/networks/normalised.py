"""A network over images as they are decoded: the normalisation is inside it, so that one graph holds all."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from handlers.loader import channels_last
from handlers.vision.depth_transform import DepthTransform
from handlers.vision.transform import ImageTransform


class Normalised(nn.Module):
    """uint8 (N, 3, H, W) → the network's outputs as float32: logits, or logits and an embedding, or depths.

    A network that answers with a dict, as torchvision's segmentation models do, gives its "out".
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, transform: ImageTransform | DepthTransform) -> None:
        super().__init__()
        self.network = channels_last(network)
        self.register_buffer("mean", torch.tensor(transform.mean).mul(255).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(transform.std).mul(255).view(3, 1, 1))

    def forward(self, images_NCHW: Tensor) -> tuple[Tensor, ...]:
        normalised = images_NCHW.to(torch.float32).sub(self.mean).div(self.std)
        output = self.network(normalised.contiguous(memory_format=torch.channels_last))
        if isinstance(output, dict):
            output = output["out"]
        return tuple(part.float() for part in (output if isinstance(output, tuple) else (output,)))
