"""Sliding windows over a recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Average = Literal["energy", "equal"]
MIN_ENERGY = 1e-10


@dataclass(frozen=True)
class Windows:
    """waveforms: (windows, samples). weights: (windows,), they sum to 1. spans: start and end of each in seconds."""

    waveforms: Tensor
    weights: NDArray[np.float32]
    spans: list[tuple[float, float]]

    def mean(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """(windows, …) → (…): the weighted mean."""
        mean: NDArray[np.float32] = np.tensordot(self.weights, outputs, axes=1) if len(outputs) > 1 else outputs[0]
        return mean


@dataclass(frozen=True)
class Windowing:
    """How recordings are cut. window, hop: samples. average: how windows count.

    By "energy" silence around a word does not water down its answer; "equal" suits recordings that are all of a kind.
    shortest: a shorter recording keeps its length but for silence up to this; None for a model of one length, for
    which it stands in the middle of a whole window.
    """

    window: int
    hop: int
    sample_rate: int
    average: Average = "energy"
    shortest: int | None = None

    @classmethod
    def of_seconds(
        cls, window: float, hop: float | None, sample_rate: int, average: Average, shortest: float | None
    ) -> Windowing:
        """hop: half a window where it is None. Raises ValueError when it would leave gaps, or for no window at all."""
        samples = round(window * sample_rate)
        step = samples // 2 if hop is None else round(hop * sample_rate)
        if not 0 < step <= samples:
            raise ValueError(f"hop_seconds: wanted more than 0 and at most window_seconds, {window:g}; got {hop}")
        return cls(samples, step, sample_rate, average, None if shortest is None else round(shortest * sample_rate))

    def cut(self, waveform: Tensor) -> Windows:
        """(samples,) → windows; the last is filled up with silence."""
        samples = len(waveform)
        if samples >= self.window:
            cut = F.pad(waveform, (0, -(samples - self.window) % self.hop)).unfold(0, self.window, self.hop)
        elif self.shortest is None:
            missing = self.window - samples
            cut = F.pad(waveform, (missing // 2, missing - missing // 2))[None]
        else:
            cut = F.pad(waveform, (0, max(0, self.shortest - samples)))[None]
        weights = np.full(len(cut), 1 / len(cut), np.float32)
        if self.average == "energy" and len(cut) > 1:
            energy = cut.square().mean(dim=1).numpy() + MIN_ENERGY
            weights = energy / energy.sum()
        starts = [index * self.hop for index in range(len(cut))]
        seconds = [(s / self.sample_rate, min(s + self.window, samples) / self.sample_rate) for s in starts]
        return Windows(cut, weights, seconds)


def flatten(parts: list[Windows]) -> list[Tensor]:
    """All windows of all recordings, one after the other."""
    return [window for part in parts for window in torch.unbind(part.waveforms)]
