"""A network over pictures as they are decoded: the normalisation is inside it, so that one graph holds all."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from handlers.image_transform import ImageTransform
from handlers.loader import channels_last


class Normalised(nn.Module):
    """uint8 (N, 3, H, W) → the network's logits as float32, or the probabilities of its classes.

    A network that answers with a dict, as torchvision's segmentation models do, gives its "out".
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, transform: ImageTransform, probabilities: bool = False) -> None:
        super().__init__()
        self.network = channels_last(network)
        self.probabilities = probabilities
        self.register_buffer("mean", torch.tensor(transform.mean).mul(255).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(transform.std).mul(255).view(3, 1, 1))

    def forward(self, images_NCHW: Tensor) -> Tensor:
        normalised = images_NCHW.to(torch.float32).sub(self.mean).div(self.std)
        output = self.network(normalised.contiguous(memory_format=torch.channels_last))
        logits: Tensor = (output["out"] if isinstance(output, dict) else output).float()
        return logits.softmax(dim=1) if self.probabilities else logits
