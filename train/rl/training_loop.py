"""The training loop of a policy: updates, and between them evaluations, checkpoints and learning curves."""

from __future__ import annotations

import time
from functools import partial
from typing import Any, Protocol

import torch
from safetensors.torch import save_file
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from train.core import checkpoint
from train.core.progress import progress
from train.core.run import Run
from train.rl.environments import Episode
from train.rl.evaluation import evaluate
from train.rl.learning_curve import LearningCurve
from train.rl.settings import PolicySettings

BEST = "best.safetensors"
# Added to the experiment's seed, because a policy is confirmed on other episodes than those that selected it.
SELECTION_SEED, CONFIRMATION_SEED = 250_000, 500_000


class Learner(Protocol):
    """A running algorithm. Its state contains everything that the next update depends on: weights, optimizer, random
    generators, environments and stored transitions, as tensors and numbers that torch loads with weights_only.
    """

    @property
    def network(self) -> nn.Module: ...

    @property
    def steps(self) -> int:
        """Steps taken so far, by all copies of the environment together."""

    def advance(self) -> tuple[dict[str, float], list[Episode]]:
        """Make one update. Returns the scalars to plot, and the episodes that have ended."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...

    def close(self) -> None: ...


class PolicyTraining:
    """The training of one run. It continues from the run's last checkpoint, if there is one."""

    def __init__(self, settings: PolicySettings, run: Run, learner: Learner) -> None:
        self.settings, self.run, self.learner = settings, run, learner
        self.curve = LearningCurve()
        self.best = float("-inf")
        self.solved = False
        self.seconds = 0.0
        run.checkpoints.mkdir(parents=True, exist_ok=True)
        if run.last:
            state = checkpoint.load(run.last)
            with checkpoint.of_this_model(run.last):
                self.load(state)

    def fit(self) -> None:
        """Train to the end, then write `fit.json` and plot the learning curve."""
        settings, learner, curve = self.settings, self.learner, self.curve
        writer = SummaryWriter(self.run.folder / "tensorboard", purge_step=learner.steps + 1)
        started = time.monotonic() - self.seconds
        with progress() as bar:
            task = bar.add_task(settings.name, total=settings.total_steps, completed=learner.steps, info="")
            while learner.steps < settings.total_steps and not self.solved:
                before = learner.steps
                scalars, finished = learner.advance()
                curve.add(learner.steps, finished)
                for name, value in scalars.items():
                    writer.add_scalar(name, value, learner.steps)
                if finished:
                    writer.add_scalar("episodes/return", sum(e.total for e in finished) / len(finished), learner.steps)
                    writer.add_scalar("episodes/length", sum(e.length for e in finished) / len(finished), learner.steps)
                last = learner.steps >= settings.total_steps
                if last or crossed(before, learner.steps, settings.evaluate_every):
                    self.evaluate()
                    writer.add_scalar("evaluation/mean return", curve.evaluations[-1][1], learner.steps)
                bar.update(task, completed=learner.steps, info=f"mean return {curve.recent:.0f}")
                self.seconds = time.monotonic() - started
                if last or self.solved or crossed(before, learner.steps, settings.checkpoint_every):
                    self.save()
        writer.close()
        curve.plot(self.run.plots / "learning-curve.png", settings.environment, settings.solved_return)
        found = {"best": f"checkpoints/{BEST}", "monitor": "mean return", "score": round(self.best, 4)}
        counts = {"steps": learner.steps, "episodes": len(curve.episodes), "seconds": round(self.seconds, 1)}
        self.run.record("fit", {**found, "solved": self.solved, **counts})

    def evaluate(self) -> None:
        """Evaluate the policy, keep it if it is at least as good as the best so far, and find out whether it solves the
        environment. If it seems to, that is confirmed with more episodes.
        """
        settings = self.settings
        act = partial(settings.act, self.learner.network)
        chosen = evaluate(act, settings.environment, settings.selection_episodes, settings.seed + SELECTION_SEED)
        mean = float(chosen.mean())
        floor = settings.solved_training_return
        explores_well = floor is None or self.curve.recent >= floor
        if settings.solved_return is not None and mean >= settings.solved_return and explores_well:
            seed = settings.seed + CONFIRMATION_SEED
            confirmed = evaluate(act, settings.environment, settings.evaluation_episodes, seed)
            self.solved = bool(confirmed.mean() >= settings.solved_return)
        self.curve.evaluations.append((self.learner.steps, mean))
        if mean >= self.best or self.solved:
            self.best = mean
            weights = {name: weight.cpu().contiguous() for name, weight in self.learner.network.state_dict().items()}
            save_file(weights, self.run.checkpoints / BEST)

    def save(self) -> None:
        """Write the last checkpoint, completely or not at all."""
        state = {
            "learner": self.learner.state_dict(),
            "curve": self.curve.state_dict(),
            "best": self.best,
            "solved": self.solved,
            "seconds": self.seconds,
        }
        partial_file = self.run.checkpoints / "last.ckpt.partial"
        torch.save(state, partial_file)
        partial_file.replace(self.run.checkpoints / "last.ckpt")

    def load(self, state: dict[str, Any]) -> None:
        """Restore what `save` wrote."""
        self.learner.load_state_dict(state["learner"])
        self.curve.load_state_dict(state["curve"])
        self.best, self.solved, self.seconds = state["best"], state["solved"], state["seconds"]


def crossed(before: int, after: int, every: int) -> bool:
    """Whether a multiple of `every` is in (before, after], because several copies advance by several steps at once."""
    return after // every > before // every
