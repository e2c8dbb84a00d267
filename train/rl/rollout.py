"""A rollout: consecutive steps in several copies of an environment, with their advantages and value targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Rollout:
    """Consecutive steps in all copies of an environment; every tensor is (steps, copies, …).

    values: the critic's, of the observations. next_values: the critic's, of the observation after each action, also
    after the last one of an episode. terminated, truncated: see `environments.Step`.
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
        """Generalised advantage estimates (Schulman et al. 2016) and value targets, each (steps, copies).

        After a terminated episode the value is 0. A truncated episode could have continued, so the value of its last
        observation counts, but the next episode's advantages do not. At the end of the rollout, the value of the next
        observation counts.
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
    """Steps of a rollout in random order; every tensor is (B, …). advantages: normalised over the mini-batch."""

    observations: Tensor
    actions: Tensor
    log_probabilities: Tensor
    advantages: Tensor
    targets: Tensor


def minibatches(
    rollout: Rollout, advantages: Tensor, targets: Tensor, size: int, generator: torch.Generator
) -> Iterator[Minibatch]:
    """Yield every step of a rollout once, in random order, in mini-batches of `size` steps or slightly more.

    advantages, targets: from `Rollout.advantages`.
    """
    flat = [part.flatten(0, 1) for part in (rollout.observations, rollout.actions, rollout.log_probabilities)]
    advantages, targets = advantages.flatten(), targets.flatten()
    order = torch.randperm(len(targets), generator=generator, device=targets.device)
    for chosen in order.tensor_split(max(1, len(order) // size)):
        observations, actions, log_probabilities = (part[chosen] for part in flat)
        yield Minibatch(observations, actions, log_probabilities, normalised(advantages[chosen]), targets[chosen])


def normalised(advantages: Tensor) -> Tensor:
    """The advantages shifted and scaled to mean 0 and standard deviation 1; all 0 if they are all the same."""
    return (advantages - advantages.mean()) / (advantages.std() + 1e-8)
