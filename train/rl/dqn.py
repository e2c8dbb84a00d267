"""`system: dqn`: deep Q-learning (Mnih et al. 2015) with double estimation (van Hasselt et al. 2016), in one file."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from math import prod
from typing import Any, ClassVar, Literal, Self

import torch
from gymnasium.spaces import Discrete
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from handlers.networks.q_network import QNetwork
from train.core.config import ExperimentError
from train.rl.environments import Environments, Episode, spaces_of
from train.rl.experiment import Reinforcement
from train.rl.replay_buffer import ReplayBuffer, Transitions
from train.rl.settings import MAX_GRAD_NORM, NUM_ENVS, TOTAL_STEPS
from train.rl.training_loop import crossed

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"huber": F.huber_loss, "mse": F.mse_loss}


class DQN(Reinforcement):
    """DQN for discrete actions. All schedules count environment steps, of all copies together, not optimizer steps."""

    RENAMED: ClassVar[dict[str, str]] = {"environments": "num_envs", "max_gradient": "max_grad_norm"}
    outputs: ClassVar[Literal["logits", "values"]] = "values"

    total_steps: int = Field(default=100_000, ge=1, le=1 << 40, description=TOTAL_STEPS)
    num_envs: int = Field(default=1, ge=1, le=4_096, description=NUM_ENVS)
    buffer: int = Field(default=50_000, ge=1, le=10_000_000, description="capacity of the replay buffer in transitions")
    learning_starts: int = Field(
        default=1_000, ge=0, description="steps with random actions that fill the buffer before training starts"
    )
    train_every: int = Field(default=256, ge=1, description="steps between trainings")
    gradient_steps: int = Field(default=128, ge=1, description="number of mini-batches in each training")
    target_every: int = Field(default=256, ge=1, description="steps between updates of the target network")
    minibatch: int = Field(default=64, ge=1, le=1 << 20, description="size of a mini-batch in transitions")
    learning_rate: float = Field(default=2.3e-3, gt=0)
    loss: Literal["huber", "mse"] = "huber"
    double: bool = Field(
        default=True, description="double DQN: the online network selects the action that the target network evaluates"
    )
    epsilon_start: float = Field(default=1.0, ge=0, le=1, description="share of random actions at the start")
    epsilon_end: float = Field(default=0.04, ge=0, le=1, description="share of random actions after exploration_steps")
    exploration_steps: int = Field(default=8_000, ge=1, description="steps in which the share falls linearly")
    max_grad_norm: float = Field(default=10.0, gt=0, description=MAX_GRAD_NORM)
    hidden: int = Field(default=128, ge=1, le=16_384, description="number of units in each of the two hidden layers")

    @model_validator(mode="after")
    def check_buffer(self) -> Self:
        if self.num_envs > self.buffer:
            raise ValueError(f"buffer: wanted at least num_envs, {self.num_envs}; got {self.buffer}")
        return self

    def network(self) -> QNetwork:
        observations, actions = spaces_of(self.environment)
        if not isinstance(actions, Discrete):
            raise ExperimentError(f"environment {self.environment}: wanted discrete actions for DQN; got {actions}")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return QNetwork(prod(observations.shape), int(actions.n), self.hidden)

    def learner(self) -> DQNLearner:
        return DQNLearner(self)

    def act(self, network: nn.Module, observations: Tensor) -> Tensor:
        return network(observations.to(next(network.parameters()).device)).argmax(dim=1)

    def epsilon(self, steps: int) -> float:
        """The share of random actions after `steps` steps."""
        if steps < self.learning_starts:
            return 1.0
        progress = min(1.0, steps / self.exploration_steps)
        return self.epsilon_start + progress * (self.epsilon_end - self.epsilon_start)


class DQNLearner:
    """Acts in the environments, stores the transitions in a replay buffer, and trains the network on samples of it."""

    def __init__(self, settings: DQN) -> None:
        self.settings = settings
        self.network = settings.network().to(settings.device)
        self.target = deepcopy(self.network).requires_grad_(False)
        self.environments = Environments(settings.environment, settings.num_envs, settings.seed)
        self.buffer = ReplayBuffer(settings.buffer, self.environments.observations.shape[1:], settings.device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=settings.learning_rate, fused=True)
        self.generator = torch.Generator(settings.device).manual_seed(settings.seed)
        self.steps = 0

    def advance(self) -> tuple[dict[str, float], list[Episode]]:
        """Act until the next training is due, and train if `learning_starts` is over.

        Returns the scalars to plot, and the episodes that have ended.
        """
        settings = self.settings
        finished: list[Episode] = []
        while True:
            before = self.steps
            finished += self.step()
            if crossed(before, self.steps, settings.target_every):
                self.target.load_state_dict(self.network.state_dict())
            if crossed(before, self.steps, settings.train_every) or self.steps >= settings.total_steps:
                break
        scalars = {"dqn/epsilon": settings.epsilon(self.steps), "dqn/remembered": float(len(self.buffer))}
        if self.steps >= settings.learning_starts:
            scalars |= self.train()
        return scalars, finished

    def step(self) -> list[Episode]:
        """Take one step in every copy and store the transitions. Returns the episodes that ended with it."""
        observations = self.environments.observations
        actions = self.explore(observations)
        step = self.environments.step(actions)
        self.buffer.add(
            Transitions(observations, actions, step.rewards, step.next_observations, step.terminated, step.truncated)
        )
        self.steps += len(observations)
        return step.finished

    @torch.no_grad()
    def explore(self, observations: Tensor) -> Tensor:
        """Epsilon-greedy actions (copies,): random with probability epsilon, otherwise those with the highest value."""
        device = self.settings.device
        values = self.network(observations.to(device))
        drawn = torch.rand(len(values), generator=self.generator, device=device)
        random_actions = torch.randint(values.shape[1], (len(values),), generator=self.generator, device=device)
        return torch.where(drawn < self.settings.epsilon(self.steps), random_actions, values.argmax(dim=1))

    def train(self) -> dict[str, float]:
        """Train the network on `gradient_steps` mini-batches. Returns the means of the scalars to plot."""
        settings = self.settings
        scalars: list[Tensor] = []
        for _ in range(settings.gradient_steps):
            batch = self.buffer.sample(settings.minibatch, self.generator)
            targets = self.targets(batch)
            values = self.network(batch.observations).gather(1, batch.actions[:, None]).squeeze(1)
            loss = LOSSES[settings.loss](values, targets)
            self.optimizer.zero_grad()
            loss.backward()
            norm = nn.utils.clip_grad_norm_(self.network.parameters(), settings.max_grad_norm)
            self.optimizer.step()
            scalars.append(torch.stack([loss, values.mean(), norm]).detach())
        means = torch.stack(scalars).mean(0).tolist()
        return dict(zip(("dqn/loss", "dqn/value", "dqn/gradient norm"), means, strict=True))

    @torch.no_grad()
    def targets(self, batch: Transitions) -> Tensor:
        """The target value of each transition (B,): its reward plus the discounted value of the next observation.

        This value is 0 if the episode terminated. If it was truncated, it is that of its own last observation.
        """
        evaluated = self.target(batch.next_observations)
        selecting = self.network(batch.next_observations) if self.settings.double else evaluated
        next_values = evaluated.gather(1, selecting.argmax(dim=1, keepdim=True)).squeeze(1)
        return batch.rewards + self.settings.gamma * next_values * ~batch.terminated

    def state_dict(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "target": self.target.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "buffer": self.buffer.state_dict(),
            "generator": self.generator.get_state(),
            "environments": self.environments.state_dict(),
            "steps": self.steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in ("network", "target", "optimizer", "buffer", "environments"):
            getattr(self, name).load_state_dict(state[name])
        self.generator.set_state(state["generator"])
        self.steps = state["steps"]

    def close(self) -> None:
        self.environments.close()
