"""Advantages against a reference that goes episode by episode, and mini-batches."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from train.rl.rollout import Rollout, minibatches


def rollout(steps: int, copies: int) -> Rollout:
    """Random rewards and values; about a quarter of the steps end an episode, half of these by truncation."""
    generator = torch.Generator().manual_seed(0)

    def random() -> torch.Tensor:
        return torch.randn(steps, copies, generator=generator, dtype=torch.float64)

    done = torch.rand(steps, copies, generator=generator) < 0.25
    terminated = done & (torch.rand(steps, copies, generator=generator) < 0.5)
    values, next_values = random(), random()
    not_done = ~done[:-1]
    next_values[:-1][not_done] = values[1:][not_done]  # as a critic's are: what a step led to is what comes next
    return Rollout(
        observations=random()[..., None],
        actions=torch.arange(steps * copies).reshape(steps, copies),
        log_probabilities=random(),
        rewards=random(),
        values=values,
        next_values=next_values,
        terminated=terminated,
        truncated=done & ~terminated,
    )


def of_episode(
    rewards: NDArray[np.float64], values: NDArray[np.float64], last: float, gamma: float, lam: float
) -> list[float]:
    """Advantages in one episode or part of one as the mean of n-step advantages (Schulman et al. 2016, equation 16).

    last: what the state after the last reward is worth; 0 where the episode terminated.
    """
    length = len(rewards)
    following = [*values[1:], last]
    found = []
    for start in range(length):
        n_step = []
        for end in range(start + 1, length + 1):
            discounted = sum(gamma ** (k - start) * rewards[k] for k in range(start, end))
            n_step.append(discounted + gamma ** (end - start) * following[end - 1] - values[start])
        # Beyond the end every n-step advantage is the last one: the rest of the geometric weights is its.
        weights = [(1 - lam) * lam**n for n in range(len(n_step) - 1)] + [lam ** (len(n_step) - 1)]
        found.append(float(np.dot(weights, n_step)))
    return found


@pytest.mark.parametrize("gae_lambda", [0.0, 0.8, 1.0])
def test_advantages_equal_the_weighted_n_step_ones_of_each_episode(gae_lambda: float) -> None:
    batch, gamma = rollout(24, 4), 0.9
    found, targets = batch.advantages(gamma, gae_lambda)
    kinds = set()
    for copy in range(4):
        rewards, values, after = (
            tensor[:, copy].numpy() for tensor in (batch.rewards, batch.values, batch.next_values)
        )
        ends = [i for i in range(24) if batch.terminated[i, copy] or batch.truncated[i, copy]]
        start = 0
        for end in sorted({*ends, 23}):
            terminated = bool(batch.terminated[end, copy])
            kinds.add("terminated" if terminated else "truncated" if batch.truncated[end, copy] else "cut")
            part = slice(start, end + 1)
            last = 0.0 if terminated else float(after[end])
            expected = of_episode(rewards[part], values[part], last, gamma, gae_lambda)
            np.testing.assert_allclose(found[part, copy].numpy(), expected, atol=1e-10)
            start = end + 1
    assert kinds == {"terminated", "truncated", "cut"}
    torch.testing.assert_close(targets, found + batch.values)


def test_the_three_ends_by_hand() -> None:
    """One step of reward 1, a value of 2 before and of 10 after it, gamma 0.5."""
    for terminated, truncated, expected in ((True, False, 1 - 2), (False, True, 1 + 5 - 2), (False, False, 1 + 5 - 2)):
        one = torch.ones(1, 1)
        batch = Rollout(
            observations=one[..., None],
            actions=one,
            log_probabilities=one,
            rewards=one,
            values=2 * one,
            next_values=10 * one,
            terminated=torch.tensor([[terminated]]),
            truncated=torch.tensor([[truncated]]),
        )
        assert batch.advantages(0.5, 0.95)[0].item() == expected


@pytest.mark.parametrize(("size", "parts"), [(16, 6), (40, 2), (96, 1), (500, 1)])
def test_minibatches_hold_every_step_once_and_are_normalised_each(size: int, parts: int) -> None:
    batch = rollout(24, 4)
    advantages, targets = batch.advantages(0.9, 0.95)
    advantages[:12] += 100  # so that a part's mean is not the whole's
    found = list(minibatches(batch, advantages, targets, size, torch.Generator().manual_seed(0)))
    assert len(found) == parts
    seen = torch.cat([part.actions for part in found])
    assert seen.sort().values.tolist() == list(range(96))
    assert parts == 1 or seen.tolist() != list(range(96))
    for part in found:
        assert len(part.actions) >= min(size, 96)
        assert part.advantages.mean().item() == pytest.approx(0.0, abs=1e-9)
        assert part.advantages.std().item() == pytest.approx(1.0, abs=1e-6)
        raw = advantages.flatten()[part.actions]
        torch.testing.assert_close(part.advantages, (raw - raw.mean()) / raw.std())
        torch.testing.assert_close(part.targets, targets.flatten()[part.actions])
        torch.testing.assert_close(part.observations, batch.observations.flatten(0, 1)[part.actions])
        torch.testing.assert_close(part.log_probabilities, batch.log_probabilities.flatten()[part.actions])
