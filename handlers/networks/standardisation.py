"""Observations brought to mean 0 and variance 1 by statistics that travel with the weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LIMIT = 10.0


class Standardisation(nn.Module):
    """(B, size) → (B, size), clipped to ±10; the statistics are 0 and 1 until `update` has seen observations.

    The statistics are buffers: they are in the state dict and in an exported program.
    """

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(size, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    def forward(self, features: Tensor) -> Tensor:
        scale = (self.variance + 1e-8).rsqrt()
        return ((features - self.mean.float()) * scale.float()).clamp(-LIMIT, LIMIT)

    @torch.no_grad()
    def update(self, features: Tensor) -> None:
        """Take (B, size) further observations into the statistics (Chan et al. 1983, merging of two samples)."""
        features = features.double()
        count = self.count + len(features)
        shift = features.mean(0) - self.mean
        squares = self.variance * self.count + features.var(0, correction=0) * len(features)
        squares += shift.square() * self.count * len(features) / count
        self.mean += shift * len(features) / count
        self.variance.copy_(squares / count)
        self.count.copy_(count)
