"""A replay buffer: the last transitions, to be drawn from at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass
class Transitions:
    """next_observations: what an action led to, an episode's last one included; (B, …) as the observations.

    terminated: nothing comes after. truncated: the episode was cut there but would have gone on, so what followed has
    a value; only the one that begins next is another's.
    """

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    next_observations: Tensor
    terminated: Tensor
    truncated: Tensor


class ReplayBuffer:
    """The last `capacity` transitions, in tensors made once on `device`; the oldest gives way to the newest."""

    def __init__(self, capacity: int, shape: tuple[int, ...], device: torch.device | str = "cpu") -> None:
        """shape: of one observation, without the batch."""
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
        """Add transitions. Raises ValueError for more than it can hold."""
        count = len(transitions.rewards)
        if count > self.capacity:
            raise ValueError(f"{count} transitions at once; the buffer holds {self.capacity}")
        places = (self.position + torch.arange(count, device=self.device)) % self.capacity
        for name, column in vars(self.stored).items():
            column[places] = getattr(transitions, name).to(self.device, column.dtype)
        self.position = (self.position + count) % self.capacity
        self.size = min(self.size + count, self.capacity)

    def sample(self, count: int, generator: torch.Generator) -> Transitions:
        """Draw `count` transitions uniformly, with replacement. Raises ValueError while it is empty.

        generator: on the buffer's device.
        """
        if not self.size:
            raise ValueError("nothing to draw from: the buffer is empty")
        chosen = torch.randint(self.size, (count,), generator=generator, device=self.device)
        return Transitions(**{name: column[chosen] for name, column in vars(self.stored).items()})

    def state_dict(self) -> dict[str, Any]:
        """Its transitions, and the index of the next one."""
        columns = {name: column[: self.size].clone() for name, column in vars(self.stored).items()}
        return {"capacity": self.capacity, "position": self.position, "size": self.size, "columns": columns}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises ValueError for the state of a buffer of another capacity, whose order of transitions differs."""
        if state["capacity"] != self.capacity:
            raise ValueError(
                f"the state is of a buffer for {state['capacity']} transitions; this is for {self.capacity}"
            )
        self.position, self.size = state["position"], state["size"]
        for name, column in vars(self.stored).items():
            column[: self.size] = state["columns"][name].to(self.device)
