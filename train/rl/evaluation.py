"""Measures a policy by whole episodes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import gymnasium as gym
import numpy as np
import torch
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.typing import NDArray
from torch import Tensor

from train.rl.environments import as_tensor


@torch.no_grad()
def evaluate(act: Callable[[Tensor], Tensor], environment: str, episodes: int, seed: int) -> NDArray[np.float64]:
    """The undiscounted return of each of `episodes` episodes, (episodes,), which are played in parallel.

    act: observations (episodes, …) → actions (episodes, …). seed: of the first episode; the others have the next ones.
    """
    envs = SyncVectorEnv([partial(gym.make, environment)] * episodes, autoreset_mode=AutoresetMode.NEXT_STEP)
    space = envs.single_action_space
    observations, _ = envs.reset(seed=seed)
    returns, playing = np.zeros(episodes), np.ones(episodes, dtype=bool)
    while playing.any():
        actions = act(as_tensor(observations)).cpu().numpy()
        if isinstance(space, Box):
            actions = np.clip(actions, space.low, space.high)
        observations, rewards, terminated, truncated, _ = envs.step(actions)
        returns += rewards * playing
        playing &= ~(terminated | truncated)
    envs.close()
    return returns


def summary(returns: NDArray[np.float64]) -> dict[str, float | int]:
    """The metrics of a policy's test. returns: of its episodes."""
    return {
        "mean return": round(float(returns.mean()), 2),
        "standard deviation": round(float(returns.std()), 2),
        "least return": round(float(returns.min()), 2),
        "episodes": len(returns),
    }
