"""Actor and critic as two small multilayer perceptrons, for discrete or continuous actions."""

from __future__ import annotations

from torch import Tensor, nn


class Discrete(nn.Module):
    """observations (B, size) → logits (B, actions), values (B,)."""

    def __init__(self, size: int, actions: int, hidden: int = 64) -> None:
        super().__init__()
        self.actor = perceptron(size, hidden, actions, gain=0.01)
        self.critic = perceptron(size, hidden, 1, gain=1.0)

    def forward(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        return self.actor(observations), self.critic(observations).squeeze(1)


def perceptron(inputs: int, hidden: int, outputs: int, gain: float) -> nn.Sequential:
    """Two hidden layers with tanh. Orthogonal weights; a small last gain lets a policy start near uniform (Andrychowicz
    et al. 2021, "What matters in on-policy reinforcement learning")."""
    first, second, last = nn.Linear(inputs, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, outputs)
    for layer, scale in ((first, 2**0.5), (second, 2**0.5), (last, gain)):
        nn.init.orthogonal_(layer.weight, scale)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(first, nn.Tanh(), second, nn.Tanh(), last)
