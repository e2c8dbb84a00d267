"""The replay buffer: what it keeps when it is full, what it samples, and how it is restored."""

from pathlib import Path

import pytest
import torch

from train.rl.replay_buffer import ReplayBuffer, Transitions


def transitions(*numbers: int) -> Transitions:
    """Transition n goes from observation (n, -n) to (n + 1, -n - 1); each third is terminated, each fifth truncated."""
    n = torch.tensor(numbers)
    return Transitions(
        observations=torch.stack([n, -n], 1).float(),
        actions=n % 2,
        rewards=n.float() / 10,
        next_observations=torch.stack([n + 1, -n - 1], 1).float(),
        terminated=n % 3 == 0,
        truncated=n % 5 == 0,
    )


def check(batch: Transitions) -> list[int]:
    """The numbers of the transitions; each column belongs to the same one."""
    numbers = batch.observations[:, 0].int().tolist()
    for name, column in vars(transitions(*numbers)).items():
        assert torch.equal(getattr(batch, name), column), name
    return numbers


@pytest.mark.parametrize("at_once", [1, 3, 5])
def test_new_transitions_replace_the_oldest(at_once: int) -> None:
    buffer = ReplayBuffer(7, (2,))
    generator = torch.Generator().manual_seed(0)
    for start in range(0, 30, at_once):
        buffer.add(transitions(*range(start, start + at_once)))
        end = start + at_once
        assert len(buffer) == min(end, 7)
        assert set(check(buffer.sample(300, generator))) == set(range(max(0, end - 7), end))


def test_every_transition_is_as_likely_as_any_other() -> None:
    buffer = ReplayBuffer(10, (2,))
    buffer.add(transitions(*range(8)))
    drawn = torch.tensor(check(buffer.sample(80_000, torch.Generator().manual_seed(1))))
    counts = torch.bincount(drawn, minlength=8)
    chi_square = ((counts - 10_000).square() / 10_000).sum().item()
    assert chi_square < 24.3  # 99.9 % quantile with 7 degrees of freedom


def test_a_saved_state_is_restored(tmp_path: Path) -> None:
    buffer = ReplayBuffer(7, (2,))
    for n in range(12):
        buffer.add(transitions(n))
    torch.save(buffer.state_dict(), tmp_path / "buffer.pt")
    other = ReplayBuffer(7, (2,))
    other.load_state_dict(torch.load(tmp_path / "buffer.pt", weights_only=True))
    for each in (buffer, other):
        each.add(transitions(12, 13))
    for name, column in vars(buffer.stored).items():
        assert torch.equal(getattr(other.stored, name), column)
    one, two = (each.sample(50, torch.Generator().manual_seed(2)) for each in (buffer, other))
    assert check(one) == check(two)


def test_a_saved_state_is_a_copy_of_the_buffer() -> None:
    buffer = ReplayBuffer(3, (2,))
    buffer.add(transitions(0, 1, 2))
    state = buffer.state_dict()
    buffer.add(transitions(3))
    assert state["columns"]["observations"][:, 0].tolist() == [0, 1, 2]


def test_wrong_use_is_refused() -> None:
    buffer = ReplayBuffer(3, (2,))
    with pytest.raises(ValueError, match="the buffer is empty"):
        buffer.sample(1, torch.Generator())
    with pytest.raises(ValueError, match="wanted at most 3 transitions, the buffer's capacity; got 4"):
        buffer.add(transitions(0, 1, 2, 3))
    with pytest.raises(ValueError, match="wanted a state with capacity 3, as this buffer's; got 5"):
        buffer.load_state_dict(ReplayBuffer(5, (2,)).state_dict())
