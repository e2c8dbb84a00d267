"""`system: ppo`: proximal policy optimisation (Schulman et al. 2017), read top to bottom."""

from __future__ import annotations

import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gymnasium as gym
import matplotlib.pyplot as plt
import numpy as np
import torch
from gymnasium.spaces import Box
from gymnasium.spaces import Discrete as DiscreteSpace
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributions import Categorical

from handlers.networks.actor_critic import Discrete
from train.artifact import Artifact
from train.experiment import Experiment
from train.progress import progress

UNBOUNDED = 1e30


class PPO(Experiment):
    """environment: of Gymnasium, with a flat observation and discrete actions. total_steps: at most, over all copies.

    solved_return: training ends once the mean return of the last 100 episodes reaches it and an evaluation of
    `evaluation_episodes` with the most probable actions confirms it. labels: names of the actions.
    gae_lambda, clip, epochs, minibatch, value_weight, entropy_weight: as the paper names them.
    """

    environment: str = "CartPole-v1"
    labels: tuple[str, ...] = ()
    environments: int = 8
    steps: int = 64
    total_steps: int = 400_000
    solved_return: float = 475.0
    evaluation_episodes: int = 100
    learning_rate: float = 1e-3
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip: float = 0.2
    epochs: int = 10
    minibatch: int = 128
    value_weight: float = 0.5
    entropy_weight: float = 0.005
    max_gradient: float = 0.5

    def run(self, folder: Path) -> None:
        started = time.monotonic()
        torch.manual_seed(self.seed)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # matrices of 64: a second thread costs more than it brings
        try:
            network, returns, steps = self.learn()
            scores = evaluate(network, self.environment, self.evaluation_episodes, seed=self.seed + 1_000_000)
        finally:
            torch.set_num_threads(threads)
        seconds = time.monotonic() - started
        print(f"{self.name}: mean return {scores.mean():.1f} over {len(scores)} episodes after {steps} steps")
        self.write(folder, network, returns, scores, steps, seconds)

    def learn(self) -> tuple[Discrete, list[tuple[int, float]], int]:
        """The trained network, (step, return) of every finished episode, and the number of steps."""
        random = np.random.default_rng(self.seed)
        # With SAME_STEP the observation after an episode's end is the next one's first, and the last one of the old
        # episode is in `info`: no step is lost to a reset, and none leads from one episode into another.
        envs = SyncVectorEnv(
            [lambda: gym.make(self.environment)] * self.environments, autoreset_mode=AutoresetMode.SAME_STEP
        )
        space, choices = spaces_of(self.environment)
        size = space.shape[0]
        network = Discrete(size, int(choices.n))
        optimizer = torch.optim.Adam(network.parameters(), lr=self.learning_rate, eps=1e-5)
        per_update = self.steps * self.environments
        updates = self.total_steps // per_update
        returns: list[tuple[int, float]] = []
        running_return = np.zeros(self.environments)
        observation, _ = envs.reset(seed=self.seed)
        with progress() as bar:
            task = bar.add_task(self.name, total=updates, info="")
            for update in range(updates):
                for group in optimizer.param_groups:
                    group["lr"] = self.learning_rate * (1 - update / updates)
                batch = Rollout.empty(self.steps, self.environments, size)
                for step in range(self.steps):
                    batch.observations[step] = torch.as_tensor(observation, dtype=torch.float32)
                    with torch.no_grad():
                        logits, batch.values[step] = network(batch.observations[step])
                    policy = Categorical(logits=logits)
                    batch.actions[step] = policy.sample()
                    batch.log_probabilities[step] = policy.log_prob(batch.actions[step])
                    observation, reward, terminated, truncated, info = envs.step(batch.actions[step].numpy())
                    running_return += reward
                    done = terminated | truncated
                    batch.rewards[step] = torch.as_tensor(reward, dtype=torch.float32)
                    batch.terminated[step] = torch.as_tensor(terminated)
                    batch.done[step] = torch.as_tensor(done)
                    following = np.array(observation, dtype=np.float32)
                    for index in np.flatnonzero(done):
                        following[index] = info["final_obs"][index]
                        returns.append((update * per_update + (step + 1) * self.environments, running_return[index]))
                        running_return[index] = 0.0
                    with torch.no_grad():
                        batch.next_values[step] = network(torch.from_numpy(following))[1]
                self.improve(network, optimizer, batch, random)
                recent = float(np.mean([value for _, value in returns[-100:]])) if returns else 0.0
                bar.update(task, advance=1, info=f"mean return {recent:.0f}")
                if len(returns) >= 100 and recent >= self.solved_return:
                    check = evaluate(network, self.environment, self.evaluation_episodes, seed=self.seed + 500_000)
                    if check.mean() >= self.solved_return:
                        bar.update(task, completed=updates, info=f"solved, mean return {check.mean():.0f}")
                        break
        envs.close()
        return network.eval(), returns, (update + 1) * per_update

    def improve(
        self, network: Discrete, optimizer: torch.optim.Optimizer, batch: Rollout, random: np.random.Generator
    ) -> None:
        """`epochs` passes over one rollout in shuffled mini-batches, by the clipped objective."""
        advantages, targets = batch.advantages(self.gamma, self.gae_lambda)
        flat = [part.flatten(0, 1) for part in (batch.observations, batch.actions, batch.log_probabilities)]
        observations, actions, old = flat
        advantages, targets = advantages.flatten(), targets.flatten()
        for _ in range(self.epochs):
            for chosen in np.array_split(random.permutation(len(old)), max(1, len(old) // self.minibatch)):
                logits, values = network(observations[chosen])
                policy = Categorical(logits=logits)
                ratio = (policy.log_prob(actions[chosen]) - old[chosen]).exp()
                advantage = advantages[chosen]
                advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
                clipped = ratio.clamp(1 - self.clip, 1 + self.clip)
                policy_loss = -torch.min(ratio * advantage, clipped * advantage).mean()
                value_loss = 0.5 * (values - targets[chosen]).square().mean()
                loss = policy_loss + self.value_weight * value_loss - self.entropy_weight * policy.entropy().mean()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), self.max_gradient)
                optimizer.step()

    def write(
        self,
        folder: Path,
        network: Discrete,
        returns: list[tuple[int, float]],
        scores: NDArray[np.float64],
        steps: int,
        seconds: float,
    ) -> None:
        space, choices = spaces_of(self.environment)
        observation, _ = gym.make(self.environment).reset(seed=self.seed)
        example = torch.zeros(2, *space.shape)
        batch = torch.export.Dim("batch", min=1, max=4096)
        with TemporaryDirectory() as temporary:
            weights = Path(temporary, "weights.pt2")
            torch.export.save(torch.export.export(network, (example,), dynamic_shapes=({0: batch},)), weights)
            sample = Path(temporary, "sample.json")
            sample.write_text(json.dumps({"data": observation.tolist()}))
            curve = Path(temporary, "learning-curve.png")
            plot(returns, curve, self.environment)
            Artifact(
                name=self.name,
                task="policy",
                format="torch-export",
                labels=list(self.labels),
                preprocessing={
                    "observation": {
                        "shape": list(space.shape),
                        "low": finite(space.low),
                        "high": finite(space.high),
                    },
                    "action": {"kind": "discrete", "count": int(choices.n)},
                },
                metrics={
                    "mean return": round(float(scores.mean()), 2),
                    "standard deviation": round(float(scores.std()), 2),
                    "least return": float(scores.min()),
                    "episodes": len(scores),
                },
                training={**self.model_dump(exclude={"name"}), "steps": steps, "seconds": round(seconds, 1)},
            ).write(folder, weights, sample, [curve])


class Rollout:
    """What `environments` copies did for `steps` steps; every tensor is (steps, environments, …).

    next_values: the critic's value of the observation each step led to, the last one of an episode included.
    done: terminated or truncated.
    """

    def __init__(self, **tensors: Tensor) -> None:
        self.observations = tensors["observations"]
        self.actions = tensors["actions"]
        self.log_probabilities = tensors["log_probabilities"]
        self.rewards = tensors["rewards"]
        self.values = tensors["values"]
        self.next_values = tensors["next_values"]
        self.terminated = tensors["terminated"]
        self.done = tensors["done"]

    @classmethod
    def empty(cls, steps: int, environments: int, size: int) -> Rollout:
        shape = (steps, environments)
        return cls(
            observations=torch.zeros(*shape, size),
            actions=torch.zeros(shape, dtype=torch.long),
            terminated=torch.zeros(shape, dtype=torch.bool),
            done=torch.zeros(shape, dtype=torch.bool),
            **{name: torch.zeros(shape) for name in ("log_probabilities", "rewards", "values", "next_values")},
        )

    def advantages(self, gamma: float, gae_lambda: float) -> tuple[Tensor, Tensor]:
        """Generalised advantage estimates and value targets (Schulman et al. 2016).

        A terminated episode is worth nothing afterwards; a truncated one would have gone on, so its last
        observation's value counts, but no advantage flows back over the cut.
        """
        deltas = self.rewards + gamma * self.next_values * ~self.terminated - self.values
        advantages = torch.zeros_like(deltas)
        following = torch.zeros_like(deltas[0])
        for step in reversed(range(len(deltas))):
            following = deltas[step] + gamma * gae_lambda * ~self.done[step] * following
            advantages[step] = following
        return advantages, advantages + self.values


def spaces_of(environment: str) -> tuple[Box, DiscreteSpace]:
    """The observation and action spaces of an environment; TypeError for kinds this file does not train on."""
    env = gym.make(environment)
    observations, actions = env.observation_space, env.action_space
    env.close()
    if not isinstance(observations, Box) or len(observations.shape) != 1:
        raise TypeError(f"{environment}: its observations are {observations}; wanted a flat box")
    if not isinstance(actions, DiscreteSpace):
        raise TypeError(f"{environment}: its actions are {actions}; wanted discrete ones")
    return observations, actions


def evaluate(network: Discrete, environment: str, episodes: int, seed: int) -> NDArray[np.float64]:
    """The return of each of `episodes` episodes, played side by side, with the most probable actions."""
    envs = SyncVectorEnv([lambda: gym.make(environment)] * episodes, autoreset_mode=AutoresetMode.NEXT_STEP)
    observation, _ = envs.reset(seed=seed)
    returns, playing = np.zeros(episodes), np.ones(episodes, dtype=bool)
    while playing.any():
        with torch.no_grad():
            actions = network(torch.as_tensor(observation, dtype=torch.float32))[0].argmax(dim=1)
        observation, reward, terminated, truncated, _ = envs.step(actions.numpy())
        returns += reward * playing
        playing &= ~(terminated | truncated)
    envs.close()
    return returns


def finite(bounds: NDArray[Any]) -> list[float | None]:
    """Bounds as JSON has them: None where there is none."""
    return [None if abs(value) > UNBOUNDED else float(value) for value in bounds.ravel()]


def plot(returns: list[tuple[int, float]], path: Path, environment: str) -> None:
    figure, axes = plt.subplots(figsize=(7, 4))
    if returns:
        steps, values = np.array(returns).T
        axes.plot(steps, values, ".", markersize=2, alpha=0.3, label="episode")
        window = min(50, len(values))
        axes.plot(steps[window - 1 :], np.convolve(values, np.ones(window) / window, "valid"), label="mean of 50")
        axes.legend()
    axes.set(xlabel="environment steps", ylabel="return", title=environment)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
