"""Settings that all reinforcement learning shares: the environment, evaluations, and when it counts as solved."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from train.core.experiment import Staged


class PolicySettings(Staged):
    """An algorithm defines its network and how the network acts."""

    environment: str = Field(default="CartPole-v1", description="Gymnasium's name; of your own, `module:Name-v0`")
    labels: tuple[str, ...] = Field(default=(), description="names of discrete actions")
    total_steps: int = Field(ge=1, description="of all copies of the environment together, at most")
    solved_return: float | None = Field(
        default=None, description="training ends once the mean return of `evaluation_episodes` reaches it"
    )
    solved_training_return: float | None = Field(
        default=None, description="and once that of the last 100 training episodes, exploration included, reaches this"
    )
    evaluation_episodes: int = Field(default=100, ge=1, description="of the test, and to confirm a solution")
    evaluate_every: int = Field(default=10_240, ge=1, description="steps between evaluations; the best policy is kept")
    selection_episodes: int = Field(default=20, ge=1, description="of each of these evaluations")
    checkpoint_every: int = Field(
        default=20_480, ge=1, description="steps; an interrupted training continues from the last checkpoint"
    )
    gamma: float = Field(default=0.99, ge=0, le=1, description="discount")
    device: Literal["cpu", "cuda"] = Field(default="cpu", description="small networks are fastest on the CPU")

    def network(self) -> nn.Module:
        """The untrained network; the same for the same seed."""
        raise TypeError(f"{type(self).__name__} does not define network()")

    def act(self, network: nn.Module, observations: Tensor) -> Tensor:
        """The actions (B, …) for observations (B, …), without exploration."""
        raise TypeError(f"{type(self).__name__} does not define act(network, observations)")
