"""Whole episodes of an environment, each action asked of a served policy over gRPC."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from client import GrpcClient


@dataclass(frozen=True)
class Played:
    returns: list[float]
    steps: int
    seconds: float

    @property
    def mean(self) -> float:
        return float(np.mean(self.returns))

    def __str__(self) -> str:
        return f"mean return {self.mean:.1f}, {self.steps} steps, {self.steps / self.seconds:.0f} steps/s"


def play_alone(client: GrpcClient, model: str, environment: str, seeds: Sequence[int]) -> Played:
    """All episodes at the same time, a thread each, one observation a request."""

    def play(seed: int) -> tuple[float, int]:
        env = gym.make(environment)
        observation, _ = env.reset(seed=seed)
        total, steps, done = 0.0, 0, False
        while not done:
            action = client.predict(model, {"data": observation.tolist()}).json()["action"]
            observation, reward, terminated, truncated, _ = env.step(action)
            total, steps, done = total + float(reward), steps + 1, terminated or truncated
        return total, steps

    started = time.monotonic()
    with ThreadPoolExecutor(len(seeds)) as pool:
        played = list(pool.map(play, seeds))
    return Played([total for total, _ in played], sum(steps for _, steps in played), time.monotonic() - started)


def play_together(client: GrpcClient, model: str, environment: str, seeds: Sequence[int]) -> Played:
    """In step, the observations of all episodes that still go on in one request."""
    envs = [gym.make(environment) for _ in seeds]
    observations: dict[int, NDArray[np.float32]] = {
        number: env.reset(seed=seed)[0] for number, (env, seed) in enumerate(zip(envs, seeds, strict=True))
    }
    returns, steps, started = [0.0] * len(envs), 0, time.monotonic()
    while observations:
        data = [observation.tolist() for observation in observations.values()]
        answers = client.predict(model, {"data": data}).json()["predictions"]
        for number, answer in zip(list(observations), answers, strict=True):
            observation, reward, terminated, truncated, _ = envs[number].step(answer["action"])
            returns[number] += float(reward)
            steps += 1
            if terminated or truncated:
                del observations[number]
            else:
                observations[number] = observation
    return Played(returns, steps, time.monotonic() - started)
