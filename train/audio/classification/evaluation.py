"""Evaluates an audio classifier on held-out recordings, as they are served and in adverse conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from torch import Generator, Tensor, nn

from handlers.audio.windows import Windowing
from train.audio.augmentation.chance import uniform
from train.audio.augmentation.recipe import Augmentation
from train.audio.classification.data import Recordings, place
from train.core.progress import progress

SNR_BANDS = ((20, 30), (10, 20), (5, 10), (0, 5))
CHUNK = 250
# Seed of rooms and noise that no training uses.
SEED = 99
DIGITS = 4


@dataclass(frozen=True)
class Evaluation:
    """labels: int64 (N,). probabilities: float32 (N, classes). conditions: accuracy by name."""

    classes: Sequence[str]
    groups: Sequence[str]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    conditions: dict[str, Any]

    @property
    def predicted(self) -> NDArray[np.int64]:
        return self.probabilities.argmax(1).astype(np.int64)

    def metrics(self, group: str | None) -> dict[str, Any]:
        """The metrics. group: name of the grouping column, such as the speaker."""
        right = self.predicted == self.labels
        per_class = f1_score(
            self.labels, self.predicted, labels=range(len(self.classes)), average=None, zero_division=0
        )
        found: dict[str, Any] = {
            "accuracy": round(float(right.mean()), DIGITS),
            "macro F1": round(float(per_class.mean()), DIGITS),
            "F1 by class": {name: round(float(f1), DIGITS) for name, f1 in zip(self.classes, per_class, strict=True)},
            **self.conditions,
            "recordings": len(right),
        }
        if group is not None:
            of = np.array(self.groups)
            found[f"accuracy by {group}"] = {
                str(name): round(float(right[of == name].mean()), DIGITS) for name in sorted(set(self.groups))
            }
        return found

    def reference(self) -> dict[str, Any]:
        """Distribution of the predictions, as a reference for those in production."""
        shares = np.bincount(self.predicted, minlength=len(self.classes)) / len(self.predicted)
        deciles = np.quantile(self.probabilities.max(1), np.linspace(0, 1, 11))
        return {
            "recordings": len(self.labels),
            "predicted": {name: round(float(s), DIGITS) for name, s in zip(self.classes, shares, strict=True)},
            "confidence deciles": [round(float(value), DIGITS) for value in deciles],
        }


@torch.inference_mode()
def evaluate(network: nn.Module, recordings: Recordings, classes: Sequence[str], seconds: float) -> Evaluation:
    """Evaluate all recordings by windows, as in serving, then single windows with noise, in rooms and by telephone."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = network.to(device).eval()
    rate = recordings.sample_rate
    windowing = Windowing.of_seconds(seconds, None, rate, "energy", None)
    random = Generator().manual_seed(SEED)
    rows, placed = [], []
    with progress() as bar:
        task = bar.add_task("predicting", total=len(recordings), info=f"{len(recordings)} recordings")
        for index in range(len(recordings)):
            waveform, _ = recordings[index]
            windows = windowing.cut(waveform)
            rows.append(windows.mean(probabilities(network, windows.waveforms, device).numpy()))
            placed.append(place(waveform, windowing.window, random))
            bar.advance(task)
    labels = torch.tensor(recordings.labels)
    conditions = under_conditions(network, torch.stack(placed), labels, rate, device, random)
    groups = [example.group for example in recordings.examples]
    return Evaluation(classes, groups, labels.numpy(), np.stack(rows), conditions)


def under_conditions(
    network: nn.Module, clean: Tensor, labels: Tensor, sample_rate: int, device: torch.device, random: Generator
) -> dict[str, Any]:
    """Accuracy at several noise levels, in rooms and by telephone. clean: (N, samples)."""
    recipe = Augmentation().recipe(sample_rate, SEED)

    def accuracy(waveforms: Tensor) -> float:
        predicted = probabilities(network, waveforms, device).argmax(dim=1)
        return round((predicted == labels).float().mean().item(), DIGITS)

    by_band = {}
    for low, high in SNR_BANDS:
        parts = [
            recipe.with_noise(part, part, uniform(len(part), low, high, random), random) for part in clean.split(CHUNK)
        ]
        by_band[f"{low} to {high} dB"] = accuracy(torch.cat(parts))
    return {
        "accuracy in noise": round(sum(by_band.values()) / len(by_band), DIGITS),
        "accuracy by SNR": by_band,
        "accuracy in rooms": accuracy(recipe.in_a_room(clean, random)),
        "accuracy by telephone": accuracy(recipe.by_telephone(clean)),
    }


def probabilities(network: nn.Module, waveforms: Tensor, device: torch.device) -> Tensor:
    """Class probabilities: (B, samples) → (B, classes)."""
    return torch.cat([network(part.to(device)).float().softmax(dim=1).cpu() for part in waveforms.split(CHUNK)])
