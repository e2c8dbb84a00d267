"""Toy environments of which the best return is known, as stable-baselines3's identity environments are."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

LENGTH = 8

Observation = NDArray[np.float32]


class Identity(gym.Env[Observation, Any]):
    """The observation is one-hot, the right action names it: a reward of 1. Cut by a time limit, never terminated."""

    observation_space = Box(0, 1, (3,), np.float32)
    action_space: gym.Space[Any] = Discrete(3)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        super().reset(seed=seed)
        return self.draw(), {}

    def draw(self) -> Observation:
        self.wanted = int(self.np_random.integers(3))
        return np.eye(3, dtype=np.float32)[self.wanted]

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        reward = self.reward(action)
        return self.draw(), reward, False, False, {}

    def reward(self, action: Any) -> float:
        return float(int(action) == self.wanted)


class Match(Identity):
    """The action is to be -0.5, 0 or 0.5 by the observation: a reward of minus the error. Observations in thousands."""

    observation_space = Box(0, 1000, (3,), np.float32)
    action_space = Box(-0.75, 0.75, (1,), np.float32)

    def draw(self) -> Observation:
        return 1000 * super().draw()

    def reward(self, action: Any) -> float:
        return -abs(float(action[0]) - (self.wanted - 1) / 2)


class Walk(gym.Env[Observation, Any]):
    """A noisy walk in two dimensions that ends (terminated) far from the origin; episodes of many lengths."""

    observation_space = Box(-np.inf, np.inf, (2,), np.float32)
    action_space = Discrete(2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        super().reset(seed=seed)
        self.place = self.np_random.normal(size=2)
        return self.place.astype(np.float32), {}

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        self.place += self.np_random.normal(scale=0.5, size=2) + (0.3 if action else -0.3)
        distance = float(np.abs(self.place).max())
        return self.place.astype(np.float32), 1.0 - distance, distance > 3.0, False, {}


class Unseeded(Walk):
    """Its randomness is its own, not `self.np_random`: a mistake of environments. Too little to end an episode."""

    noise = np.random.default_rng()

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        self.place += self.noise.uniform(0, 1e-3, size=2)
        return super().step(action)


class Broken(Walk):
    """Its rewards are no numbers."""

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        observation, _, terminated, truncated, info = super().step(action)
        return observation, float("nan"), terminated, truncated, info


for name in ("Identity", "Match", "Walk", "Unseeded", "Broken"):
    gym.register(f"{name}-v0", entry_point=f"{__name__}:{name}", max_episode_steps=LENGTH)
