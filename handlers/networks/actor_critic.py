"""Actor and critic as two small multilayer perceptrons, for discrete or continuous actions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from handlers.networks.standardisation import Standardisation


class Discrete(nn.Module):
    """observations (B, …) of `size` numbers each → logits (B, actions), values (B,)."""

    def __init__(self, size: int, actions: int, hidden: int = 64, standardise: bool = False) -> None:
        super().__init__()
        self.standardisation = Standardisation(size) if standardise else nn.Identity()
        self.actor = perceptron(size, hidden, actions, gain=0.01)
        self.critic = perceptron(size, hidden, 1, gain=1.0)

    def forward(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        features = self.standardisation(observations.flatten(1))
        return self.actor(features), self.critic(features).squeeze(1)


class Continuous(nn.Module):
    """observations (B, …) of `size` numbers each → mean (B, actions), std (B, actions), values (B,).

    A diagonal Gaussian whose standard deviation is learnt, but does not depend on the observation. Its actions are
    not bounded: who takes them clips them.
    """

    def __init__(self, size: int, actions: int, hidden: int = 64, standardise: bool = False) -> None:
        super().__init__()
        self.standardisation = Standardisation(size) if standardise else nn.Identity()
        self.actor = perceptron(size, hidden, actions, gain=0.01)
        self.log_std = nn.Parameter(torch.zeros(actions))
        self.critic = perceptron(size, hidden, 1, gain=1.0)

    def forward(self, observations: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.standardisation(observations.flatten(1))
        mean = self.actor(features)
        return mean, self.log_std.exp().expand_as(mean), self.critic(features).squeeze(1)


def perceptron(inputs: int, hidden: int, outputs: int, gain: float) -> nn.Sequential:
    """Two hidden layers with tanh. Orthogonal weights; a small last gain lets a policy start near uniform (Andrychowicz
    et al. 2021, "What matters in on-policy reinforcement learning")."""
    first, second, last = nn.Linear(inputs, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, outputs)
    for layer, scale in ((first, 2**0.5), (second, 2**0.5), (last, gain)):
        nn.init.orthogonal_(layer.weight, scale)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(first, nn.Tanh(), second, nn.Tanh(), last)
