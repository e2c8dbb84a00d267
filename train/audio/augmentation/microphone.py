"""Simulates the frequency responses of different microphones."""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.fft import irfft, rfft

from train.audio.augmentation.chance import uniform
from train.audio.augmentation.noise import gain, power


def tilt(waveforms: Tensor, sample_rate: int, random: Generator) -> Tensor:
    """Tilt the spectrum by up to 6 dB per octave in either direction around 1 kHz. The level is kept."""
    spectrum = rfft(waveforms)
    octaves = torch.log2(torch.fft.rfftfreq(waveforms.shape[1], 1 / sample_rate).clamp_min(60) / 1000)
    response = 10 ** (uniform((len(waveforms), 1), -6, 6, random) * octaves / 20)
    shaped = irfft(spectrum * response, n=waveforms.shape[1])
    return shaped * gain(power(waveforms), power(shaped))
