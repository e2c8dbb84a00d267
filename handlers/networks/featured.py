"""Networks that look at features of a waveform, in two parts: a Fourier transform has no fast graph, the rest has."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor, nn


class Featured(nn.Module):
    """waveform (B, samples) → logits (B, classes). features: waveform → features (B, bands, frames)."""

    features: nn.Module

    @abstractmethod
    def classify(self, features: Tensor) -> Tensor:
        """features (B, bands, frames) → logits (B, classes)."""

    def forward(self, waveform: Tensor) -> Tensor:
        return self.classify(self.features(waveform))


class Classify(nn.Module):
    """The second part alone, as the faster forms of a model are: features → (logits,)."""

    def __init__(self, network: Featured) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor) -> tuple[Tensor]:
        return (self.network.classify(features),)
