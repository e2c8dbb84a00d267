"""The value of each action as one small multilayer perceptron."""

from __future__ import annotations

from torch import Tensor, nn


class QNetwork(nn.Module):
    """observations (B, …) of `size` numbers each → values (B, actions): the discounted return expected after each."""

    def __init__(self, size: int, actions: int, hidden: int = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, actions)
        )

    def forward(self, observations: Tensor) -> Tensor:
        return self.layers(observations.flatten(1))
