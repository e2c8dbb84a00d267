"""DQN: targets and schedules compared with the definition, a toy environment to solve, and exact resumption."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from tests.train.rl import toy_environments
from tests.train.rl.learners import assert_a_killed_run_ends_as_an_undisturbed_one, assert_goes_on_exactly, assert_same
from tests.train.rl.toy_environments import LENGTH
from train.core.config import ExperimentError
from train.core.experiment import load
from train.core.run import Run
from train.rl.dqn import DQN, DQNLearner
from train.rl.evaluation import evaluate
from train.rl.replay_buffer import Transitions

TOYS = toy_environments.__name__
IDENTITY, MATCH, WALK = (f"{TOYS}:{name}-v0" for name in ("Identity", "Match", "Walk"))
pytestmark = pytest.mark.usefixtures("one_thread")


def settings(environment: str, **fields: Any) -> DQN:
    small = {"total_steps": 160, "buffer": 60, "learning_starts": 30, "train_every": 16, "gradient_steps": 4}
    more = {"target_every": 24, "exploration_steps": 100, "minibatch": 16, "hidden": 16, "learning_rate": 1e-3}
    schedule = {"evaluate_every": 64, "selection_episodes": 3, "evaluation_episodes": 4, "checkpoint_every": 40}
    return DQN(name="toy", system="dqn", environment=environment, **{**small, **more, **schedule, **fields})


def transitions(count: int) -> Transitions:
    """Each fourth is terminated, each third of the others truncated."""
    generator = torch.Generator().manual_seed(0)
    terminated = torch.arange(count) % 4 == 0
    return Transitions(
        observations=torch.randn(count, 2, generator=generator),
        actions=torch.randint(2, (count,), generator=generator),
        rewards=torch.randn(count, generator=generator),
        next_observations=torch.randn(count, 2, generator=generator),
        terminated=terminated,
        truncated=(torch.arange(count) % 3 == 0) & ~terminated,
    )


@pytest.mark.parametrize("double", [False, True])
def test_the_targets_of_the_definition(double: bool) -> None:
    """One transition at a time. Only what terminated has no future: what was truncated has its own."""
    learner = DQNLearner(settings(WALK, double=double, gamma=0.9))
    torch.manual_seed(1)
    for parameter in learner.target.parameters():
        parameter.copy_(torch.randn_like(parameter))
    batch = transitions(24)
    found = learner.targets(batch)
    disagreements = 0
    for index in range(24):
        expected = batch.rewards[index].item()
        if not batch.terminated[index]:
            valued = learner.target(batch.next_observations[index : index + 1])[0].tolist()
            chosen = learner.network(batch.next_observations[index : index + 1])[0].tolist()
            disagreements += chosen.index(max(chosen)) != valued.index(max(valued))
            expected += 0.9 * (valued[chosen.index(max(chosen))] if double else max(valued))
        assert found[index].item() == pytest.approx(expected, abs=1e-4)
    assert disagreements > 0


@pytest.mark.parametrize("copies", [1, 5])
def test_the_target_is_copied_by_steps_of_the_environment(copies: int) -> None:
    """Each time they pass a multiple of 24, however many gradient steps and copies there are; never in between."""
    learner = DQNLearner(settings(WALK, num_envs=copies, total_steps=10_000, learning_starts=10))
    copied = []
    load_target = learner.target.load_state_dict

    def watch(state: dict[str, Any]) -> None:
        copied.append(learner.steps)
        load_target(state)
        assert_same(dict(learner.target.state_dict()), dict(learner.network.state_dict()))

    learner.target.load_state_dict = watch  # type: ignore[assignment, method-assign]
    while learner.steps < 240:
        learner.advance()
    due = range(24, learner.steps + 1, 24)
    assert copied == [-(-multiple // copies) * copies for multiple in due]
    assert copied[:3] == ([24, 48, 72] if copies == 1 else [25, 50, 75])


def test_epsilon_falls_linearly_and_stays() -> None:
    schedule = settings(WALK, epsilon_start=1.0, epsilon_end=0.1, exploration_steps=100, learning_starts=0)
    assert [schedule.epsilon(steps) for steps in (0, 50, 100, 5_000)] == pytest.approx([1.0, 0.55, 0.1, 0.1])
    assert settings(WALK, epsilon_start=0.5, learning_starts=30).epsilon(29) == 1.0


@pytest.mark.parametrize(("epsilon", "share"), [(1.0, 0.5), (0.4, 0.2), (0.0, 0.0)])
def test_exploration_takes_other_actions_as_often_as_it_says(epsilon: float, share: float) -> None:
    learner = DQNLearner(settings(WALK, epsilon_start=epsilon, epsilon_end=epsilon, learning_starts=0))
    observations = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))
    best = learner.network(observations).argmax(1)
    others = (learner.explore(observations) != best).float().mean().item()
    assert others == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("copies", [1, 3])
def test_the_buffer_holds_what_happened(copies: int) -> None:
    """At an episode's end it is the old episode's last observation that followed, not the new one's first."""
    learner = DQNLearner(settings(WALK, num_envs=copies, buffer=60, total_steps=10_000))
    ends = 0
    for _ in range(20):
        before = learner.environments.observations
        ends += len(learner.step())
        after = learner.environments.observations
        latest = [(learner.buffer.position - copies + n) % 60 for n in range(copies)]
        stored = learner.buffer.stored
        assert torch.equal(stored.observations[latest], before)
        done = (stored.terminated | stored.truncated)[latest]
        same = (stored.next_observations[latest] == after).all(1)
        assert torch.equal(same, ~done)
    assert ends > 0


def test_it_solves_a_toy_environment() -> None:
    experiment = settings(
        IDENTITY, total_steps=2_500, buffer=2_000, exploration_steps=1_000, gamma=0.5, learning_rate=3e-3, hidden=32
    )
    learner = DQNLearner(experiment)
    while learner.steps < experiment.total_steps:
        learner.advance()
    returns = evaluate(partial(experiment.act, learner.network), IDENTITY, 50, seed=7)
    assert returns.mean() == LENGTH


@pytest.mark.parametrize("copies", [1, 3])
def test_a_learner_goes_on_exactly_with_a_buffer_that_has_wrapped_around(copies: int, tmp_path: Path) -> None:
    assert_goes_on_exactly(settings(WALK, num_envs=copies, total_steps=10_000), 6, 4, tmp_path / "state.pt")


def test_a_killed_run_goes_on_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_a_killed_run_ends_as_an_undisturbed_one(settings(WALK), tmp_path, monkeypatch, DQNLearner, killed_at=112)


def test_nothing_is_learnt_before_learning_starts() -> None:
    learner = DQNLearner(settings(WALK, learning_starts=48))
    before = {name: weight.clone() for name, weight in learner.network.state_dict().items()}
    learner.advance(), learner.advance()
    assert_same(dict(learner.network.state_dict()), before)
    learner.advance()
    assert not torch.equal(learner.network.state_dict()["layers.0.weight"], before["layers.0.weight"])


def test_the_exported_program_gives_the_values(tmp_path: Path) -> None:
    experiment = settings(WALK)
    run = Run.create(tmp_path, experiment, "a")
    experiment.fit(run)
    experiment.test(run)
    experiment.export(run, tmp_path / "artifact")
    program = torch.export.load(tmp_path / "artifact" / "weights.pt2").module()
    observations = torch.randn(5, 2)
    torch.testing.assert_close(program(observations), experiment.best(run)(observations))
    assert (run.plots / "learning-curve.png").stat().st_size > 5_000


def test_what_it_cannot_train_on_is_refused() -> None:
    with pytest.raises(ExperimentError, match="wanted discrete actions for DQN"):
        settings(MATCH).learner()
    with pytest.raises(ValidationError, match="buffer: wanted at least num_envs, 4; got 3"):
        settings(WALK, num_envs=4, buffer=3)


@pytest.mark.slow
def test_it_learns_cartpole_in_a_tenth_of_the_time(tmp_path: Path) -> None:
    """A policy at random lasts 22 steps."""
    experiment = load("cartpole-dqn", ["total_steps=10000", "evaluate_every=2500", "evaluation_episodes=20"])
    assert isinstance(experiment, DQN)
    run = Run.create(tmp_path, experiment, "a")
    experiment.fit(run)
    experiment.test(run)
    assert run.recorded("test")["mean return"] >= 100


@pytest.mark.retrain
def test_it_solves_cartpole(tmp_path: Path) -> None:
    """The project's own experiment, as it is."""
    experiment = load("cartpole-dqn")
    assert isinstance(experiment, DQN)
    run = Run.create(tmp_path, experiment, "a")
    experiment.fit(run)
    experiment.test(run)
    assert run.recorded("fit")["solved"]
    assert run.recorded("test")["mean return"] >= 475
