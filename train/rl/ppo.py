"""`system: ppo`: proximal policy optimisation (Schulman et al. 2017), in one file."""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar, Literal

import torch
from gymnasium.spaces import Discrete as DiscreteSpace
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Categorical, Independent, Normal

from handlers.networks.actor_critic import Continuous, Discrete
from handlers.networks.standardisation import Standardisation
from train.rl.environments import Environments, Episode, spaces_of
from train.rl.experiment import Reinforcement
from train.rl.rollout import Minibatch, Rollout, minibatches
from train.rl.settings import MAX_GRAD_NORM, NUM_ENVS, TOTAL_STEPS

Policy = Categorical | Independent[Normal]


class PPO(Reinforcement):
    """PPO for discrete or continuous actions, according to the environment's action space.

    gae_lambda, clip_coef, vf_coef, ent_coef: λ, ε, c1 and c2 in the paper.
    """

    RENAMED: ClassVar[dict[str, str]] = {
        "environments": "num_envs",
        "steps": "num_steps",
        "clip": "clip_coef",
        "entropy_weight": "ent_coef",
        "value_weight": "vf_coef",
        "max_gradient": "max_grad_norm",
    }
    outputs: ClassVar[Literal["logits", "values"]] = "logits"

    total_steps: int = Field(default=400_000, ge=1, le=1 << 40, description=TOTAL_STEPS)
    num_envs: int = Field(default=8, ge=1, le=4_096, description=NUM_ENVS)
    num_steps: int = Field(
        default=64, ge=2, le=1 << 20, description="steps of each copy in a rollout, between two updates"
    )
    learning_rate: float = Field(default=1e-3, gt=0, description="at the start; it falls linearly to 0")
    gae_lambda: float = Field(
        default=0.95, ge=0, le=1, description="λ of generalised advantage estimation: 0 for one step, 1 for all"
    )
    clip_coef: float = Field(
        default=0.2, gt=0, description="maximum distance from 1 of the ratio between the new and the old policy"
    )
    epochs: int = Field(default=10, ge=1, le=10_000, description="number of passes over each rollout")
    minibatch: int = Field(default=128, ge=2, le=1 << 20, description="minimum size of a mini-batch in steps")
    vf_coef: float = Field(default=0.5, ge=0, description="weight of the value loss")
    ent_coef: float = Field(default=0.005, ge=0, description="weight of the entropy bonus")
    max_grad_norm: float = Field(default=0.5, gt=0, description=MAX_GRAD_NORM)
    hidden: int = Field(
        default=64, ge=1, le=16_384, description="number of units in each of the two hidden layers of actor and critic"
    )
    standardise: bool = Field(
        default=False, description="standardise observations, with statistics that are stored with the weights"
    )

    def network(self) -> Discrete | Continuous:
        observations, actions = spaces_of(self.environment)
        size = prod(observations.shape)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            if isinstance(actions, DiscreteSpace):
                return Discrete(size, int(actions.n), self.hidden, self.standardise)
            return Continuous(size, actions.shape[0], self.hidden, self.standardise)

    def learner(self) -> PPOLearner:
        return PPOLearner(self)

    def act(self, network: nn.Module, observations: Tensor) -> Tensor:
        first = network(observations.to(next(network.parameters()).device))[0]
        return first.argmax(dim=1) if isinstance(network, Discrete) else first


class PPOLearner:
    """Collects a rollout with the current policy, trains the policy on it, and discards it."""

    def __init__(self, settings: PPO) -> None:
        self.settings = settings
        self.environments = Environments(settings.environment, settings.num_envs, settings.seed)
        self.network = settings.network().to(settings.device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=settings.learning_rate, eps=1e-5, fused=True)
        self.generator = torch.Generator(settings.device).manual_seed(settings.seed)
        self.steps = 0

    def advance(self) -> tuple[dict[str, float], list[Episode]]:
        """Update the policy once, from a new rollout. Returns the scalars to plot, and the episodes that have ended."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * max(0.0, 1 - self.steps / self.settings.total_steps)
        rollout, finished = self.collect()
        scalars = self.improve(rollout)
        if isinstance(self.network.standardisation, Standardisation):
            # Not before, because that would change the policy between acting and training, and with it the ratio.
            self.network.standardisation.update(rollout.observations.flatten(0, 1).flatten(1))
        self.steps += self.settings.num_steps * self.settings.num_envs
        return scalars, finished

    @torch.no_grad()
    def collect(self) -> tuple[Rollout, list[Episode]]:
        """Act for `num_steps` steps in every copy, with actions sampled from the policy.

        Returns the rollout, and the episodes that have ended.
        """
        rows: list[tuple[Tensor, ...]] = []
        finished: list[Episode] = []
        for _ in range(self.settings.num_steps):
            observations = self.environments.observations.to(self.settings.device)
            policy, values = self.policy(observations)
            actions = sample(policy, self.generator)
            step = self.environments.step(actions)
            row = (step.rewards, step.terminated, step.truncated, step.next_observations)
            rows.append(
                (observations, actions, policy.log_prob(actions), values, *(r.to(self.settings.device) for r in row))
            )
            finished += step.finished
        observations, actions, log_probabilities, values, rewards, terminated, truncated, next_observations = (
            torch.stack(column) for column in zip(*rows, strict=True)
        )
        # Evaluated separately, because at the end of an episode the next row's observation is from another episode.
        next_values = self.network(next_observations.flatten(0, 1))[-1].view_as(values)
        rollout = Rollout(observations, actions, log_probabilities, rewards, values, next_values, terminated, truncated)
        return rollout, finished

    def improve(self, rollout: Rollout) -> dict[str, float]:
        """Train the policy in `epochs` passes over the rollout. Returns the means of the scalars to plot."""
        settings = self.settings
        advantages, targets = rollout.advantages(settings.gamma, settings.gae_lambda)
        scalars: list[Tensor] = []
        for _ in range(settings.epochs):
            for batch in minibatches(rollout, advantages, targets, settings.minibatch, self.generator):
                loss, parts = self.loss(batch)
                self.optimizer.zero_grad()
                loss.backward()
                norm = nn.utils.clip_grad_norm_(self.network.parameters(), settings.max_grad_norm)
                self.optimizer.step()
                scalars.append(torch.stack([*parts, norm]).detach())
        names = ("policy loss", "value loss", "entropy", "KL divergence", "clipped", "gradient norm")
        means = dict(zip(names, torch.stack(scalars).mean(0).tolist(), strict=True))
        explained = 1 - (targets - rollout.values).var() / targets.var()
        others = {"explained variance": float(explained), "learning rate": self.optimizer.param_groups[0]["lr"]}
        return {f"ppo/{name}": value for name, value in {**means, **others}.items()}

    def loss(self, batch: Minibatch) -> tuple[Tensor, tuple[Tensor, ...]]:
        """(loss, scalars to plot): the clipped surrogate objective, the value loss and the entropy bonus."""
        settings = self.settings
        policy, values = self.policy(batch.observations)
        log_ratio = policy.log_prob(batch.actions) - batch.log_probabilities
        ratio = log_ratio.exp()
        clipped = ratio.clamp(1 - settings.clip_coef, 1 + settings.clip_coef)
        policy_loss = -torch.min(ratio * batch.advantages, clipped * batch.advantages).mean()
        value_loss = 0.5 * (values - batch.targets).square().mean()
        entropy = policy.entropy().mean()
        loss = policy_loss + settings.vf_coef * value_loss - settings.ent_coef * entropy
        divergence = (ratio - 1 - log_ratio).mean()  # of the old policy from the new one; never negative
        return loss, (policy_loss, value_loss, entropy, divergence, (ratio != clipped).float().mean())

    def policy(self, observations: Tensor) -> tuple[Policy, Tensor]:
        """(distribution of the actions, values (B,)) for observations (B, …)."""
        if isinstance(self.network, Discrete):
            logits, values = self.network(observations)
            return Categorical(logits=logits, validate_args=False), values
        mean, std, values = self.network(observations)
        return Independent(Normal(mean, std, validate_args=False), 1, validate_args=False), values

    def state_dict(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "environments": self.environments.state_dict(),
            "steps": self.steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in ("network", "optimizer", "environments"):
            getattr(self, name).load_state_dict(state[name])
        self.generator.set_state(state["generator"])
        self.steps = state["steps"]

    def close(self) -> None:
        self.environments.close()


def sample(policy: Policy, generator: torch.Generator) -> Tensor:
    """Actions sampled from the policy. torch's own `sample` does not accept a generator."""
    if isinstance(policy, Categorical):
        return torch.multinomial(policy.probs, 1, generator=generator).squeeze(1)
    return torch.normal(policy.mean, policy.stddev, generator=generator)
