"""PPO: its advantages against the definition, and a toy environment it must solve."""

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

from train.experiment import load
from train.ppo import PPO, Rollout, evaluate


def test_advantages_are_the_sum_of_the_definition() -> None:
    """Schulman et al. 2016: the discounted sum of temporal differences up to the episode's end."""
    generator = torch.Generator().manual_seed(0)
    steps, environments, gamma, lam = 12, 3, 0.9, 0.8
    batch = Rollout.empty(steps, environments, 2)
    for name in ("rewards", "values", "next_values"):
        setattr(batch, name, torch.randn(steps, environments, generator=generator))
    batch.done = torch.rand(steps, environments, generator=generator) < 0.25
    batch.terminated = batch.done & (torch.rand(steps, environments, generator=generator) < 0.5)
    found, targets = batch.advantages(gamma, lam)
    for env in range(environments):
        for step in range(steps):
            expected, weight = 0.0, 1.0
            for later in range(step, steps):
                following = 0.0 if batch.terminated[later, env] else batch.next_values[later, env].item()
                delta = batch.rewards[later, env].item() + gamma * following - batch.values[later, env].item()
                expected += weight * delta
                weight *= gamma * lam
                if batch.done[later, env]:
                    break
            assert found[step, env].item() == pytest.approx(expected, abs=1e-5)
    torch.testing.assert_close(targets, found + batch.values)


class Guess(gym.Env[np.ndarray, np.int64]):
    """One step: the observation is a sign, the right action names it."""

    observation_space = gym.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, object] | None = None) -> tuple[np.ndarray, dict]:  # type: ignore[type-arg]
        super().reset(seed=seed)
        self.sign = float(self.np_random.choice([-1.0, 1.0]))
        return np.array([self.sign], np.float32), {}

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict]:  # type: ignore[type-arg]
        return np.array([self.sign], np.float32), float(int(action) == (self.sign > 0)), True, False, {}


@pytest.fixture(scope="module")
def guess() -> str:
    gym.register("Guess-v0", entry_point=lambda **_: Guess())
    return "Guess-v0"


def test_it_solves_a_toy_environment(guess: str) -> None:
    experiment = PPO(name="guess", system="ppo", environment=guess, total_steps=8_192, solved_return=1.0)
    network, _, _ = experiment.learn()
    assert evaluate(network, guess, 50, seed=7).mean() == 1.0


def test_the_artifact_answers_as_the_network(tmp_path: Path) -> None:
    """A few updates of the demo's own experiment; the exported program takes any batch."""
    experiment = load("cartpole", ["total_steps=1024", "evaluation_episodes=3"])
    experiment.run(tmp_path / "cartpole")
    program = torch.export.load(tmp_path / "cartpole" / "weights.pt2").module()
    logits, values = program(torch.zeros(5, 4))
    assert (logits.shape, values.shape) == ((5, 2), (5,))
