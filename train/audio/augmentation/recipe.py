"""The augmentation of a training: simulated rooms, microphones, noise and more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Generator, Tensor

from train.audio.augmentation.chance import on_some, uniform
from train.audio.augmentation.microphone import tilt
from train.audio.augmentation.noise import add_noise, coloured_noise, hum
from train.audio.augmentation.one_of import OneOf
from train.audio.augmentation.room import random_rooms, reverberate
from train.audio.augmentation.telephone import telephone
from train.core.config import StrictModel

Probability = Annotated[float, Field(ge=0, le=1)]
ROOMS = 48
VOICE = OneOf(effects=("pitch-shift", "time-stretch"))
# Shares of mains hum and of babble; the rest is coloured noise.
HUM, BABBLE = 0.15, 0.2
# Peak of a clipped recording before clipping, relative to full scale.
TOO_LOUD = 2.0


class Augmentation(StrictModel):
    """Each step has its own probability; 0 disables it."""

    voice: Probability = Field(
        default=0.0, description="probability of another pitch or tempo; takes longer than all other steps together"
    )
    room: Probability = Field(default=0.3, description="probability of a simulated room")
    microphone: Probability = Field(
        default=0.3, description="probability of a microphone that favours low or high frequencies"
    )
    noise: Probability = Field(
        default=0.5, description="probability of coloured noise, mains hum or babble of other recordings"
    )
    snr_db: tuple[float, float] = Field(default=(5.0, 30.0), description="range of the signal-to-noise ratio in dB")
    telephone: Probability = Field(default=0.0, description="probability of a telephone line")
    level_db: tuple[float, float] = Field(
        default=(-20.0, 0.0), description="range of the peak in dB relative to full scale"
    )
    clipping: Probability = Field(default=0.0, description="probability of clipping")
    mask: Probability = Field(
        default=0.2, description="probability of each mask over time and over frequency (Park et al. 2019)"
    )

    def recipe(self, sample_rate: int, seed: int) -> Recipe:
        """Build the augmentation. seed: for the simulated rooms."""
        return Recipe(self, sample_rate, random_rooms(ROOMS, sample_rate, Generator().manual_seed(seed)))


@dataclass(frozen=True)
class Recipe:
    """(B, samples) → (B, samples). rooms: impulse responses (rooms, samples)."""

    settings: Augmentation
    sample_rate: int
    rooms: Tensor

    def __call__(self, clean: Tensor, random: Generator) -> Tensor:
        settings = self.settings
        heard = clean
        if settings.voice:
            heard = on_some(settings.voice, lambda some: VOICE(some, random), heard, random)
        heard = on_some(settings.room, lambda some: self.in_a_room(some, random), heard, random)
        heard = on_some(settings.microphone, lambda some: tilt(some, self.sample_rate, random), heard, random)
        if settings.noise:
            snr_db = uniform(len(heard), *settings.snr_db, random)
            noisy = self.with_noise(heard, clean, snr_db, random)
            chosen = torch.rand(len(heard), generator=random) < settings.noise
            heard = torch.where(chosen[:, None], noisy, heard)
        heard = on_some(settings.telephone, self.by_telephone, heard, random)
        level = 10 ** (uniform((len(heard), 1), *settings.level_db, random) / 20)
        level = on_some(settings.clipping, lambda some: torch.full_like(some, TOO_LOUD), level, random)
        return (heard / peak_of(heard) * level).clamp(-1, 1)

    def in_a_room(self, clean: Tensor, random: Generator) -> Tensor:
        chosen = torch.randint(len(self.rooms), (len(clean),), generator=random)
        return reverberate(clean, self.rooms[chosen])

    def by_telephone(self, clean: Tensor) -> Tensor:
        return telephone(clean / peak_of(clean), self.sample_rate)

    def with_noise(self, heard: Tensor, others: Tensor, snr_db: Tensor, random: Generator) -> Tensor:
        """Add noise. others: recordings (B, samples) for the babble. snr_db: signal-to-noise ratio in dB, (B,)."""
        return add_noise(heard, self.noise(others, random), snr_db)

    def noise(self, others: Tensor, random: Generator) -> Tensor:
        """One kind per recording: coloured noise, mains hum with noise, or the babble of three other recordings."""
        shape = (others.shape[0], others.shape[1])
        coloured = coloured_noise(shape, uniform(shape[0], 0.0, 2.0, random), random)
        noise = coloured / coloured.std(dim=1, keepdim=True)
        kind = torch.rand(shape[0], generator=random)
        babble = (kind < BABBLE) & (len(others) > 1)
        mains = kind >= 1 - HUM
        if mains.any():
            hums = hum((int(mains.sum()), shape[1]), self.sample_rate, random)
            noise[mains] = hums / hums.std(dim=1, keepdim=True).clamp_min(1e-6) + 0.3 * noise[mains]
        if babble.any():
            noise[babble] = babble_of(others, random)[babble]
        return noise


def babble_of(recordings: Tensor, random: Generator) -> Tensor:
    """For each of (B, samples) the sum of three others in the batch, each rotated to a random start."""
    count, samples = recordings.shape
    total = torch.zeros_like(recordings)
    for _ in range(3):
        distance = int(torch.randint(1, count, (1,), generator=random))
        start = int(torch.randint(samples, (1,), generator=random))
        total += recordings.roll((distance, start), dims=(0, 1))
    return total


def peak_of(waveforms: Tensor) -> Tensor:
    return waveforms.abs().amax(dim=1, keepdim=True).clamp_min(torch.finfo(waveforms.dtype).tiny)
