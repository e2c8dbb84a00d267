"""A model of transformers over recordings as a function of one tensor, as the faster forms of a model are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class WaveformModel(nn.Module):
    """name: of the network's input. read: its output → a tensor."""

    def __init__(self, network: nn.Module, name: str, read: Callable[[Any], Tensor]) -> None:
        super().__init__()
        self.network = network
        self.name = name
        self.read = read

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        """(B, …) as the network's feature extractor makes them → (what `read` gives,)."""
        return (self.read(self.network(**{self.name: inputs})),)
