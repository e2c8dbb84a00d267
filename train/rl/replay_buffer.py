"""A replay buffer: the latest transitions, from which mini-batches are sampled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass
class Transitions:
    """A batch of steps in an environment; every tensor is (B, …).

    next_observations: the observation after each action, also after the last one of an episode.
    terminated: whether the task ended the episode, so that nothing of value follows.
    truncated: whether the episode was cut off, so that the next observation still has a value.
    """

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    next_observations: Tensor
    terminated: Tensor
    truncated: Tensor


class ReplayBuffer:
    """The latest `capacity` transitions, in tensors that are allocated once on `device`. New ones replace the oldest.

    shape: of one observation. position: where the next transition is stored. size: the number of transitions so far.
    """

    def __init__(self, capacity: int, shape: tuple[int, ...], device: torch.device | str = "cpu") -> None:
        self.capacity = capacity
        self.device = torch.device(device)
        self.stored = Transitions(
            observations=torch.zeros(capacity, *shape, device=device),
            actions=torch.zeros(capacity, dtype=torch.long, device=device),
            rewards=torch.zeros(capacity, device=device),
            next_observations=torch.zeros(capacity, *shape, device=device),
            terminated=torch.zeros(capacity, dtype=torch.bool, device=device),
            truncated=torch.zeros(capacity, dtype=torch.bool, device=device),
        )
        self.position = 0
        self.size = 0

    def __len__(self) -> int:
        return self.size

    def add(self, transitions: Transitions) -> None:
        """Add transitions. Raises ValueError if there are more than `capacity`."""
        count = len(transitions.rewards)
        if count > self.capacity:
            raise ValueError(f"wanted at most {self.capacity} transitions, the buffer's capacity; got {count}")
        places = (self.position + torch.arange(count, device=self.device)) % self.capacity
        for name, column in vars(self.stored).items():
            column[places] = getattr(transitions, name).to(self.device, column.dtype)
        self.position = (self.position + count) % self.capacity
        self.size = min(self.size + count, self.capacity)

    def sample(self, count: int, generator: torch.Generator) -> Transitions:
        """Sample `count` transitions uniformly, with replacement. Raises ValueError if the buffer is empty.

        generator: on the buffer's device.
        """
        if not self.size:
            raise ValueError("the buffer is empty; add transitions before sampling")
        chosen = torch.randint(self.size, (count,), generator=generator, device=self.device)
        return Transitions(**{name: column[chosen] for name, column in vars(self.stored).items()})

    def state_dict(self) -> dict[str, Any]:
        """A copy of the transitions, and where the next one is stored."""
        columns = {name: column[: self.size].clone() for name, column in vars(self.stored).items()}
        return {"capacity": self.capacity, "position": self.position, "size": self.size, "columns": columns}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state. Raises ValueError if the state's capacity differs, because so does the order then."""
        if state["capacity"] != self.capacity:
            raise ValueError(f"wanted a state with capacity {self.capacity}, as this buffer's; got {state['capacity']}")
        self.position, self.size = state["position"], state["size"]
        for name, column in vars(self.stored).items():
            column[: self.size] = state["columns"][name].to(self.device)
