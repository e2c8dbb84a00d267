"""Assertions that PPO and DQN share."""

from pathlib import Path
from typing import Any

import pytest
import torch

from train.core.run import Run
from train.rl.experiment import Reinforcement
from train.rl.training_loop import BEST, Learner


def assert_same(one: Any, other: Any, where: str = "state") -> None:
    """Two states to the last bit."""
    assert type(one) is type(other), where
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_same(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), where
        for index, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{where}[{index}]")
    else:
        assert one == other, where


def assert_goes_on_exactly(settings: Reinforcement, before: int, after: int, path: Path) -> None:
    """`before` updates, saved and loaded into a new learner; the same `after` updates in both."""
    first = settings.learner()
    for _ in range(before):
        first.advance()
    torch.save(first.state_dict(), path)
    second = settings.learner()
    second.load_state_dict(torch.load(path, weights_only=True))
    for _ in range(after):
        assert_same(first.advance(), second.advance())
    assert_same(first.state_dict(), second.state_dict())
    assert not torch.equal(
        *(next(iter(s["network"].values())) for s in (first.state_dict(), torch.load(path, weights_only=True)))
    )


def assert_a_killed_run_ends_as_an_undisturbed_one(
    settings: Reinforcement, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Any], killed_at: int
) -> None:
    """The stage itself: its process ends in the middle of an update, some time after its last checkpoint."""
    whole, killed = (Run.create(tmp_path, settings, name) for name in ("whole", "killed"))
    settings.fit(whole)
    advance = kind.advance

    def die(learner: Learner) -> Any:
        if learner.steps >= killed_at:
            raise KeyboardInterrupt
        return advance(learner)

    with monkeypatch.context() as patch:
        patch.setattr(kind, "advance", die)
        with pytest.raises(KeyboardInterrupt):
            settings.fit(killed)
    assert killed.last
    between = torch.load(killed.last, weights_only=True)["learner"]["steps"]
    assert 0 < between < killed_at
    settings.fit(killed)
    states = [torch.load(run.last or "", weights_only=True) for run in (whole, killed)]
    for state in states:
        assert state.pop("seconds") > 0
    assert_same(*states)
    assert (whole.checkpoints / BEST).read_bytes() == (killed.checkpoints / BEST).read_bytes()
    assert (killed.plots / "learning-curve.png").read_bytes().startswith(b"\x89PNG")
    settings.fit(killed)  # there is nothing left to do
    assert_same(torch.load(killed.last, weights_only=True)["learner"], states[0]["learner"])
