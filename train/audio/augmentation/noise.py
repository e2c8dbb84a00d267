"""Coloured noise and mains hum, added at a given signal-to-noise ratio."""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.fft import irfft, rfft

from train.audio.augmentation.chance import uniform


def power(waveforms: Tensor) -> Tensor:
    """Mean square of each recording, (B, 1)."""
    return waveforms.square().mean(dim=1, keepdim=True)


def gain(wanted: Tensor, found: Tensor) -> Tensor:
    """The factor that scales a sound from power `found` to `wanted`, however quiet both are; 0 for silence."""
    ratio = wanted / found
    return ratio.where(ratio.isfinite(), ratio.new_zeros(())).sqrt()


def add_noise(waveforms: Tensor, noise: Tensor, snr_db: Tensor) -> Tensor:
    """Add `noise` at a signal-to-noise ratio of `snr_db` (B,) decibels over the whole recording.

    Silent recordings stay unchanged, because no noise has a given ratio to silence.
    """
    wanted = power(waveforms) / 10 ** (snr_db[:, None] / 10)
    return waveforms + noise * gain(wanted, power(noise))


def coloured_noise(shape: tuple[int, int], exponents: Tensor, random: Generator) -> Tensor:
    """Gaussian noise with a power spectrum of f^-exponent: 0 white, 1 pink, 2 brown. exponents: (B,)."""
    spectrum = rfft(torch.randn(shape, generator=random))
    frequency = torch.arange(1, spectrum.shape[1] + 1, dtype=torch.float32)
    return irfft(spectrum * frequency ** (-exponents[:, None] / 2), n=shape[1])


def hum(shape: tuple[int, int], sample_rate: int, random: Generator) -> Tensor:
    """Mains hum: 50 or 60 Hz and its first harmonics, each with a random amplitude and phase."""
    batch, samples = shape
    base = torch.where(torch.rand(batch, generator=random) < 0.5, 50.0, 60.0)
    time = torch.arange(samples) / sample_rate
    total = torch.zeros(shape)
    for harmonic in range(1, 6):
        phase = uniform((batch, 1), 0, 2 * torch.pi, random)
        strength = uniform((batch, 1), 0, 1, random) / harmonic
        total += strength * torch.sin(2 * torch.pi * harmonic * base[:, None] * time + phase)
    return total
