"""A rollout: some steps of several copies of an environment, with advantages and value targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Rollout:
    """Steps of all copies of an environment; every tensor is (steps, copies, …).

    next_values: the critic's value of the observation each step led to, the last one of an episode included.
    """

    observations: Tensor
    actions: Tensor
    log_probabilities: Tensor
    rewards: Tensor
    values: Tensor
    next_values: Tensor
    terminated: Tensor
    truncated: Tensor

    def advantages(self, gamma: float, gae_lambda: float) -> tuple[Tensor, Tensor]:
        """Generalised advantage estimates and value targets (Schulman et al. 2016).

        A terminated episode is worth nothing afterwards. A truncated one would have gone on, so the value of its last
        observation counts, but no advantage flows back over the cut. The last step of a rollout, wherever in an
        episode, counts the value of what it led to.
        """
        deltas = self.rewards + gamma * self.next_values * ~self.terminated - self.values
        not_done = ~(self.terminated | self.truncated)
        advantages = torch.zeros_like(deltas)
        advantage = torch.zeros_like(deltas[0])
        for step in reversed(range(len(deltas))):
            advantage = deltas[step] + gamma * gae_lambda * (advantage * not_done[step])
            advantages[step] = advantage
        return advantages, advantages + self.values


@dataclass
class Minibatch:
    """Part of a rollout, its steps shuffled. advantages: normalised over this part."""

    observations: Tensor
    actions: Tensor
    log_probabilities: Tensor
    values: Tensor
    advantages: Tensor
    targets: Tensor


def minibatches(
    rollout: Rollout, advantages: Tensor, targets: Tensor, size: int, generator: torch.Generator
) -> Iterator[Minibatch]:
    """Every step of a rollout once, shuffled, in parts of at least `size` steps: the last ones are not smaller."""
    flat = [
        part.flatten(0, 1)
        for part in (rollout.observations, rollout.actions, rollout.log_probabilities, rollout.values)
    ]
    advantages, targets = advantages.flatten(), targets.flatten()
    order = torch.randperm(len(targets), generator=generator, device=targets.device)
    for chosen in order.tensor_split(max(1, len(order) // size)):
        observations, actions, log_probabilities, values = (part[chosen] for part in flat)
        yield Minibatch(
            observations, actions, log_probabilities, values, normalised(advantages[chosen]), targets[chosen]
        )


def normalised(advantages: Tensor) -> Tensor:
    """With mean 0 and standard deviation 1, or all zero where they are all the same."""
    return (advantages - advantages.mean()) / (advantages.std() + 1e-8)
