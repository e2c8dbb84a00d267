"""Copies of a Gymnasium environment that are stepped together, with a state that can be saved and restored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.typing import NDArray
from torch import Tensor

from train.core.config import ExperimentError


class Episode(NamedTuple):
    """The result of one episode: the undiscounted sum of its rewards, and its number of steps."""

    total: float
    length: int


class Step(NamedTuple):
    """The result of one step of every copy. Tensors are (copies, …).

    next_observations: the observation after each action, also after the last one of an episode. If the episode ended,
        it differs from `Environments.observations`, which belongs to the new episode.
    terminated: whether the task ended the episode.
    truncated: whether the episode was cut off, for example by a time limit, but could have continued.
    finished: the episodes that ended with this step.
    """

    next_observations: Tensor
    rewards: Tensor
    terminated: Tensor
    truncated: Tensor
    finished: list[Episode]


class Environments:
    """`count` copies of an environment, each in its own episode. observations: the current ones, (copies, …).

    Every episode has its own seed, so that a copy's state is a function of that seed and of the actions since:
    `state_dict` contains these, and `load_state_dict` replays them. This needs neither access to the internals of an
    environment nor pickle, but the environment must draw its randomness from `self.np_random`, as Gymnasium demands.
    Raises ExperimentError if the environment cannot be made.
    """

    def __init__(self, name: str, count: int, seed: int) -> None:
        with clear_errors(name):
            self.vector = SyncVectorEnv([partial(gym.make, name)] * count, autoreset_mode=AutoresetMode.DISABLED)
        self.name, self.count, self.seed = name, count, seed
        self.episodes = [0] * count
        self.actions: list[list[NDArray[Any]]] = [[] for _ in range(count)]
        self.totals = np.zeros(count)
        self.observations = as_tensor(self.vector.reset(seed=self.seeds())[0])

    def seeds(self) -> list[int | None]:
        """The seed of each copy's current episode. With 2**32 seeds, two episodes of a run rarely have the same."""
        drawn = (np.random.SeedSequence((self.seed, copy, n)) for copy, n in enumerate(self.episodes))
        return [int(sequence.generate_state(1)[0]) for sequence in drawn]

    def step(self, actions: Tensor) -> Step:
        """Take one step in every copy, and begin a new episode in those whose episode ends.

        actions: integers (copies,), or numbers (copies, size), which are clipped to the space's bounds. Raises
        ExperimentError for an observation or a reward that is not finite.
        """
        space = self.vector.single_action_space
        taken = actions.cpu().numpy()
        if isinstance(space, Box):
            taken = np.clip(taken, space.low, space.high)
        next_observations, rewards, terminated, truncated, _ = self.vector.step(taken)
        self.totals += rewards
        for history, action in zip(self.actions, taken, strict=True):
            history.append(action)
        step = Step(
            next_observations=as_tensor(next_observations),
            rewards=torch.from_numpy(rewards).float(),
            terminated=torch.from_numpy(terminated),
            truncated=torch.from_numpy(truncated),
            finished=[],
        )
        if not (step.next_observations.isfinite().all() and step.rewards.isfinite().all()):
            raise ExperimentError(
                f"environment {self.name}: a step returned an observation or a reward that is not finite"
            )
        self.observations = step.next_observations
        done = terminated | truncated
        if done.any():
            for copy in np.flatnonzero(done):
                step.finished.append(Episode(float(self.totals[copy]), len(self.actions[copy])))
                self.totals[copy] = 0.0
                self.actions[copy] = []
                self.episodes[copy] += 1
            fresh, _ = self.vector.reset(seed=self.seeds(), options={"reset_mask": done})
            self.observations = as_tensor(fresh)
        return step

    def state_dict(self) -> dict[str, Any]:
        return {
            "episodes": torch.tensor(self.episodes),
            "actions": [torch.from_numpy(np.array(history)) for history in self.actions],
            "observations": self.observations,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state by replaying each copy's episode. Raises ExperimentError if the last observation differs."""
        self.episodes = state["episodes"].tolist()
        self.actions = [list(history.numpy()) for history in state["actions"]]
        self.observations = state["observations"]
        for copy, (env, seed) in enumerate(zip(self.vector.envs, self.seeds(), strict=True)):
            observation, _ = env.reset(seed=seed)
            self.totals[copy] = 0.0
            for action in self.actions[copy]:
                observation, reward, *_ = env.step(action)
                self.totals[copy] += float(reward)
            if not torch.equal(as_tensor(observation), self.observations[copy]):
                raise ExperimentError(
                    f"environment {self.name}: the same seed and actions led to another observation, so a run cannot "
                    "be resumed; the environment must draw all its randomness from self.np_random"
                )

    def close(self) -> None:
        self.vector.close()


def as_tensor(observations: Any) -> Tensor:
    """A copy of the observations, in float32."""
    return torch.from_numpy(np.array(observations, dtype=np.float32))


def spaces_of(name: str) -> tuple[Box, Discrete | Box]:
    """(observation space, action space). Raises ExperimentError for an unknown environment or unsupported spaces."""
    with clear_errors(name):
        env = gym.make(name)
    observations, actions = env.observation_space, env.action_space
    env.close()
    if not isinstance(observations, Box):
        raise ExperimentError(f"environment {name}: wanted observations in a Box; got {observations}")
    if isinstance(actions, Discrete) and actions.start == 0:
        return observations, actions
    if isinstance(actions, Box) and len(actions.shape) == 1 and actions.is_bounded():
        return observations, actions
    raise ExperimentError(
        f"environment {name}: wanted Discrete actions from 0, or a bounded Box of one dimension; got {actions}"
    )


@contextmanager
def clear_errors(name: str) -> Iterator[None]:
    """Turn errors about an environment's name, which can be `module:Name-v0`, into ExperimentError."""
    try:
        yield
    except (gym.error.Error, ImportError, TypeError, ValueError) as error:
        raise ExperimentError(f"environment {name!r}: {error}") from None
