"""Environments: steps at the end of an episode, and states that are restored exactly."""

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

from tests.train.rl import toy_environments
from train.core.config import ExperimentError
from train.rl.environments import Environments, Step, spaces_of
from train.rl.evaluation import evaluate

TOYS = toy_environments.__name__
WALK = f"{TOYS}:Walk-v0"


def play(environments: Environments, steps: int, seed: int) -> list[Step]:
    generator = torch.Generator().manual_seed(seed)
    return [environments.step(torch.randint(2, (environments.count,), generator=generator)) for _ in range(steps)]


def test_a_step_equals_gymnasiums_own_environment() -> None:
    """Copy by copy and episode by episode: the last observation is the old episode's, the next one the new one's."""
    environments = Environments(WALK, 3, seed=4)
    first = environments.observations
    seeds = [list(environments.seeds())]
    generator = torch.Generator().manual_seed(0)
    actions, steps, befores = [], [], []
    for _ in range(40):
        befores.append(environments.observations)
        actions.append(torch.randint(2, (3,), generator=generator))
        steps.append(environments.step(actions[-1]))
        seeds.append(environments.seeds())
    ends = set()
    for copy in range(3):
        env = gym.make(WALK)
        observation, _ = env.reset(seed=seeds[0][copy])
        np.testing.assert_array_equal(observation, first[copy])
        total, length, finished = 0.0, 0, []
        for number, step in enumerate(steps):
            np.testing.assert_array_equal(observation, befores[number][copy])
            observation, reward, terminated, truncated, _ = env.step(int(actions[number][copy]))
            total, length = total + float(reward), length + 1
            np.testing.assert_array_equal(observation, step.next_observations[copy])
            assert step.rewards[copy].item() == pytest.approx(float(reward), abs=1e-6)
            assert (bool(step.terminated[copy]), bool(step.truncated[copy])) == (terminated, truncated)
            if terminated or truncated:
                finished.append((total, length))
                ends.add("terminated" if terminated else "truncated")
                observation, _ = env.reset(seed=seeds[number + 1][copy])
                total, length = 0.0, 0
        for found in finished:
            assert any(np.allclose(found, episode) for step in steps for episode in step.finished)
    assert ends == {"terminated", "truncated"}
    assert len({seed for row in seeds for seed in row}) == 3 + sum(len(step.finished) for step in steps)


def test_a_saved_state_is_restored(tmp_path: Path) -> None:
    environments = Environments(WALK, 3, seed=1)
    play(environments, 13, seed=0)
    torch.save(environments.state_dict(), tmp_path / "state.pt")
    wanted = play(environments, 20, seed=5)
    other = Environments(WALK, 3, seed=1)
    play(other, 7, seed=9)
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for found, step in zip(play(other, 20, seed=5), wanted, strict=True):
        for one, two in zip(found[:4], step[:4], strict=True):
            assert torch.equal(one, two)
        assert found.finished == step.finished


def test_an_environment_with_randomness_of_its_own_is_refused() -> None:
    environments = Environments(f"{TOYS}:Unseeded-v0", 2, seed=0)
    play(environments, 3, seed=0)
    with pytest.raises(ExperimentError, match=r"led to another observation.*self\.np_random"):
        environments.load_state_dict(environments.state_dict())


def test_a_reward_that_is_not_finite_ends_the_training() -> None:
    with pytest.raises(ExperimentError, match="a reward that is not finite"):
        play(Environments(f"{TOYS}:Broken-v0", 2, seed=0), 1, seed=0)


def test_actions_are_clipped_to_the_bounds_of_the_space() -> None:
    environments = Environments(f"{TOYS}:Match-v0", 1, seed=0)
    wanted = (environments.observations[0].argmax().item() - 1) / 2
    step = environments.step(torch.tensor([[5.0]]))
    assert step.rewards.item() == pytest.approx(-abs(0.75 - wanted))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("CartPole-v99", "CartPole-v99"),
        ("Nothing-v0", "Nothing"),
        ("no_such_module:Thing-v0", "no_such_module"),
        ("Blackjack-v1", "wanted observations in a Box"),
    ],
)
def test_environments_that_cannot_be_trained_on(name: str, said: str) -> None:
    with pytest.raises(ExperimentError, match=said):
        spaces_of(name)


def test_an_evaluation_counts_the_first_episode_of_each_copy() -> None:
    """CartPole pushed to one side: each return equals the episode played alone from the same seed."""
    found = evaluate(lambda observations: torch.ones(len(observations), dtype=torch.long), "CartPole-v1", 5, seed=3)
    for number, total in enumerate(found):
        env = gym.make("CartPole-v1")
        env.reset(seed=3 + number)
        length, done = 0, False
        while not done:
            _, _, terminated, truncated, _ = env.step(1)
            length, done = length + 1, terminated or truncated
        assert total == length
