"""PPO: the objective compared with the paper's, toy environments to solve, and exact resumption."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.train.rl import toy_environments
from tests.train.rl.learners import assert_a_killed_run_ends_as_an_undisturbed_one, assert_goes_on_exactly
from tests.train.rl.toy_environments import LENGTH
from train.core.experiment import Staged, load
from train.core.run import Run
from train.rl.environments import spaces_of
from train.rl.evaluation import evaluate
from train.rl.ppo import PPO, PPOLearner
from train.rl.rollout import minibatches

TOYS = toy_environments.__name__
IDENTITY, MATCH, WALK = (f"{TOYS}:{name}-v0" for name in ("Identity", "Match", "Walk"))


pytestmark = pytest.mark.usefixtures("one_thread")


def settings(environment: str, **fields: Any) -> PPO:
    small = {"num_envs": 4, "num_steps": 32, "minibatch": 32, "total_steps": 640, "evaluation_episodes": 4}
    schedule = {"evaluate_every": 256, "selection_episodes": 4, "checkpoint_every": 200}
    return PPO(name="toy", system="ppo", environment=environment, **{**small, **schedule, **fields})


@pytest.mark.parametrize("environment", [WALK, MATCH])
def test_the_first_minibatch_compares_the_policy_with_itself(environment: str) -> None:
    """Whatever was learnt before, the ratio is one as long as nothing has been learnt from this rollout."""
    learner = PPOLearner(settings(environment, standardise=True))
    for _ in range(3):
        learner.advance()
    rollout, _ = learner.collect()
    advantages, targets = rollout.advantages(0.99, 0.95)
    for batch in minibatches(rollout, advantages, targets, 32, learner.generator):
        policy, _ = learner.policy(batch.observations)
        torch.testing.assert_close(policy.log_prob(batch.actions), batch.log_probabilities, atol=1e-5, rtol=1e-5)
    _, values = learner.policy(rollout.observations.flatten(0, 1))
    torch.testing.assert_close(values, rollout.values.flatten(), atol=1e-5, rtol=1e-5)


def test_a_rollout_values_what_each_step_led_to() -> None:
    """Within an episode that is the next row; at its end, and at the rollout's, it is not another episode's."""
    learner = PPOLearner(settings(WALK))
    learner.advance()
    rollout, finished = learner.collect()
    done = rollout.terminated | rollout.truncated
    assert len(finished) == done.sum() > 0
    same = torch.isclose(rollout.next_values[:-1], rollout.values[1:], atol=1e-6)
    assert same[~done[:-1]].all()
    assert not same[done[:-1]].any()
    last = learner.network(learner.environments.observations)[-1]
    not_done = ~done[-1]
    torch.testing.assert_close(rollout.next_values[-1][not_done], last[not_done])


def test_the_loss_is_the_papers() -> None:
    """Step by step in plain numbers: equation 9 with the clipped surrogate of equation 7."""
    learner = PPOLearner(settings(WALK, clip_coef=0.1, vf_coef=0.7, ent_coef=0.03))
    rollout, _ = learner.collect()
    advantages, targets = rollout.advantages(0.99, 0.95)
    [batch] = minibatches(rollout, advantages, targets, 128, learner.generator)
    learner.advance()  # so that the policy differs from the one that acted
    with torch.no_grad():
        found, _ = learner.loss(batch)
        logits, values = learner.network(batch.observations)
    terms, clipped = [], 0
    for index in range(128):
        probabilities = np.exp(logits[index].double().numpy())
        probabilities /= probabilities.sum()
        ratio = probabilities[int(batch.actions[index])] / np.exp(batch.log_probabilities[index].item())
        advantage = batch.advantages[index].item()
        surrogate = min(ratio * advantage, min(max(ratio, 0.9), 1.1) * advantage)
        clipped += surrogate != ratio * advantage
        error = (values[index].item() - batch.targets[index].item()) ** 2 / 2
        entropy = -(probabilities * np.log(probabilities)).sum()
        terms.append(-surrogate + 0.7 * error - 0.03 * entropy)
    assert clipped > 0
    assert found.item() == pytest.approx(np.mean(terms), rel=1e-4)


def test_it_solves_discrete_actions() -> None:
    experiment = settings(IDENTITY, total_steps=4_096)
    assert solve(experiment) == LENGTH


def test_it_solves_continuous_actions_from_observations_in_thousands() -> None:
    experiment = settings(MATCH, standardise=True, gamma=0.5, learning_rate=3e-3, total_steps=8_192)
    assert solve(experiment) > -0.15 * LENGTH


def solve(experiment: PPO) -> float:
    """The mean return on episodes that were used neither for training nor for selection."""
    learner = PPOLearner(experiment)
    while learner.steps < experiment.total_steps:
        learner.advance()
    return float(evaluate(partial(experiment.act, learner.network), experiment.environment, 50, seed=7).mean())


@pytest.mark.parametrize("environment", [WALK, MATCH])
def test_a_learner_goes_on_exactly(environment: str, tmp_path: Path) -> None:
    assert_goes_on_exactly(settings(environment, standardise=True), 3, 3, tmp_path / "state.pt")


def test_a_killed_run_goes_on_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_a_killed_run_ends_as_an_undisturbed_one(settings(WALK), tmp_path, monkeypatch, PPOLearner, killed_at=384)


def test_the_learning_rate_falls_to_zero() -> None:
    learner = PPOLearner(settings(WALK, learning_rate=1e-3))
    rates = [learner.advance()[0]["ppo/learning rate"] for _ in range(5)]
    assert rates == pytest.approx([1e-3, 8e-4, 6e-4, 4e-4, 2e-4])


@pytest.mark.parametrize(("environment", "outputs"), [(WALK, [(5, 2), (5,)]), (MATCH, [(5, 1), (5, 1), (5,)])])
def test_the_stages_leave_what_they_promise(environment: str, outputs: list[Any], tmp_path: Path) -> None:
    """And the exported program, statistics of the observations included, acts as the network it was made of."""
    experiment = settings(environment, standardise=True)
    run = Run.create(tmp_path, experiment, "a")
    experiment.fit(run)
    experiment.test(run)
    experiment.export(run, tmp_path / "artifact")
    fitted, tested = run.recorded("fit"), run.recorded("test")
    assert (fitted["steps"], fitted["solved"]) == (640, False)
    assert len(tested["returns"]) == tested["episodes"] == 4
    assert tested["mean return"] == pytest.approx(np.mean(tested["returns"]), abs=0.01)
    assert (tmp_path / "artifact" / "extras" / "learning-curve.png").stat().st_size > 5_000
    curves = EventAccumulator(str(run.folder / "tensorboard"))
    curves.Reload()
    assert {"episodes/return", "evaluation/mean return", "ppo/policy loss", "ppo/KL divergence"} <= set(
        curves.Tags()["scalars"]
    )
    assert [event.step for event in curves.Scalars("evaluation/mean return")] == [256, 512, 640]
    program = torch.export.load(tmp_path / "artifact" / "weights.pt2").module()
    network = experiment.best(run)
    observations = 100 * torch.rand(5, *network_input(experiment))
    found = program(observations)
    assert [tuple(output.shape) for output in found] == outputs
    for output, expected in zip(found, network(observations), strict=True):
        torch.testing.assert_close(output, expected)
    assert network.state_dict()["standardisation.count"] in (256, 512, 640)  # with the statistics of its own time


def network_input(experiment: PPO) -> tuple[int, ...]:
    return spaces_of(experiment.environment)[0].shape


@pytest.mark.slow
def test_it_learns_cartpole_in_a_fraction_of_the_time(tmp_path: Path) -> None:
    """A policy at random lasts 22 steps; the whole training reaches 500 (tests/train/demo/test_artifacts.py)."""
    experiment = load("cartpole", ["total_steps=20000", "evaluation_episodes=20"])
    assert isinstance(experiment, Staged)
    run = Run.create(tmp_path, experiment, "a")
    experiment.fit(run)
    experiment.test(run)
    assert run.recorded("test")["mean return"] >= 150
