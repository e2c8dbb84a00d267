"""Applies one randomly chosen effect of random strength to each recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

from train.audio.augmentation.chance import uniform
from train.audio.augmentation.gain import change_gain
from train.audio.augmentation.noise import add_noise, coloured_noise
from train.audio.augmentation.pitch_shift import pitch_shift
from train.audio.augmentation.time_stretch import time_stretch

Effect = Literal["pitch-shift", "time-stretch", "noise", "gain"]
Span = tuple[float, float]


@dataclass(frozen=True)
class OneOf:
    """semitones, rates, snr_db, gain_db: minimum and maximum strength of each effect."""

    effects: tuple[Effect, ...] = ("pitch-shift", "time-stretch", "noise", "gain")
    semitones: Span = (-3.0, 3.0)
    rates: Span = (0.85, 1.2)
    snr_db: Span = (5.0, 30.0)
    gain_db: Span = (-12.0, 3.0)

    def __call__(self, waveforms: Tensor, random: Generator) -> Tensor:
        """(B, samples) → (B, samples), with the same dtype and device."""
        chosen = torch.randint(len(self.effects), (len(waveforms),), generator=random).tolist()
        changed = [
            self.apply(self.effects[choice], row[None], random) for choice, row in zip(chosen, waveforms, strict=True)
        ]
        return torch.cat(changed)

    def apply(self, effect: Effect, waveform: Tensor, random: Generator) -> Tensor:
        match effect:
            case "pitch-shift":
                return pitch_shift(waveform, uniform(1, *self.semitones, random).item())
            case "time-stretch":
                return time_stretch(waveform, uniform(1, *self.rates, random).item())
            case "noise":
                noise = coloured_noise((1, waveform.shape[1]), uniform(1, 0.0, 2.0, random), random)
                return add_noise(waveform, noise.to(waveform), uniform(1, *self.snr_db, random).to(waveform))
            case "gain":
                return change_gain(waveform, uniform(1, *self.gain_db, random))
