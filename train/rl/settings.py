"""Settings that all reinforcement learning shares: the environment, evaluations, and when it is solved."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from train.core.experiment import Staged

# Descriptions of fields whose defaults differ between the algorithms.
TOTAL_STEPS = "maximum number of steps, of all copies of the environment together"
NUM_ENVS = "number of copies of the environment, stepped together"
MAX_GRAD_NORM = "maximum norm of all gradients together"


class PolicySettings(Staged):
    """The settings of a policy's training. An algorithm adds its own, its network, and how the network acts."""

    environment: str = Field(
        default="CartPole-v1", description="Gymnasium's name, or `module:Name-v0` for one of your own"
    )
    labels: tuple[str, ...] = Field(default=(), description="names of discrete actions")
    total_steps: int = Field(ge=1, description=TOTAL_STEPS)
    solved_return: float | None = Field(
        default=None, description="training ends when the mean return of `evaluation_episodes` reaches it"
    )
    solved_training_return: float | None = Field(
        default=None,
        description="also required to end: mean return of the last 100 training episodes, which include exploration",
    )
    evaluation_episodes: int = Field(
        default=100,
        ge=1,
        le=1 << 20,
        description="number of episodes in the test, and to confirm that the environment is solved",
    )
    evaluate_every: int = Field(
        default=10_240, ge=1, description="steps between evaluations, which keep the best policy"
    )
    selection_episodes: int = Field(
        default=20, ge=1, le=1 << 20, description="number of episodes in each of these evaluations"
    )
    checkpoint_every: int = Field(
        default=20_480, ge=1, description="steps between checkpoints, from which an interrupted training continues"
    )
    gamma: float = Field(default=0.99, ge=0, le=1, description="discount factor")
    device: Literal["cpu", "cuda"] = Field(default="cpu", description="small networks are fastest on the CPU")

    def network(self) -> nn.Module:
        """The untrained network; the same seed gives the same weights."""
        raise TypeError(f"{type(self).__name__} does not define network()")

    def act(self, network: nn.Module, observations: Tensor) -> Tensor:
        """The actions (B, …) for observations (B, …), without exploration."""
        raise TypeError(f"{type(self).__name__} does not define act(network, observations)")
