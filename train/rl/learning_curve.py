"""A policy's progress during training: the returns of its episodes and evaluations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch

from train.rl.environments import Episode

WINDOW = 100  # episodes of a moving average


class LearningCurve:
    """The returns so far, by environment step.

    episodes: (step at its end, return) of each training episode, with exploration. evaluations: (step, mean return) of
    the policy without exploration.
    """

    def __init__(self) -> None:
        self.episodes: list[tuple[int, float]] = []
        self.evaluations: list[tuple[int, float]] = []

    def add(self, step: int, finished: list[Episode]) -> None:
        """Add the training episodes that ended at a step."""
        self.episodes += [(step, episode.total) for episode in finished]

    @property
    def recent(self) -> float:
        """The mean return of the last WINDOW training episodes; 0 before the first."""
        return float(np.mean([total for _, total in self.episodes[-WINDOW:]])) if self.episodes else 0.0

    def state_dict(self) -> dict[str, Any]:
        return {
            "episodes": torch.tensor(self.episodes, dtype=torch.float64).reshape(-1, 2),
            "evaluations": torch.tensor(self.evaluations, dtype=torch.float64).reshape(-1, 2),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.episodes = [(int(step), total) for step, total in state["episodes"].tolist()]
        self.evaluations = [(int(step), mean) for step, mean in state["evaluations"].tolist()]

    def plot(self, path: Path, title: str, solved: float | None) -> None:
        """Save the curve as an image. solved: a return to mark with a line, or None."""
        figure, axes = plt.subplots(figsize=(7, 4))
        if self.episodes:
            steps, totals = np.array(self.episodes).T
            axes.plot(steps, totals, ".", markersize=2, alpha=0.3, label="training episode")
            window = min(WINDOW, len(totals))
            smooth = np.convolve(totals, np.ones(window) / window, "valid")
            axes.plot(steps[window - 1 :], smooth, label=f"mean of {window}")
        if self.evaluations:
            steps, means = np.array(self.evaluations).T
            axes.plot(steps, means, "o-", markersize=4, label="evaluation")
        if solved is not None:
            axes.axhline(solved, color="grey", linestyle="--", linewidth=1, label=f"solved: {solved:g}")
        if axes.has_data():
            axes.legend(fontsize="small")
        axes.set(xlabel="environment steps", ylabel="return", title=title)
        figure.tight_layout()
        figure.savefig(path, dpi=110)
        plt.close(figure)
