"""Telephone lines: a narrow band at 8 kHz, coded and decoded with G.711's mu-law."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.fft import irfft, rfft

from handlers.audio.front_end.resampling import resample

RATE = 8_000
BAND = (300, 3400)
# ITU-T G.711: 14-bit samples, eight segments of sixteen steps, each segment's steps twice as wide as those below.
FULL_SCALE = 8192
LARGEST = 8158
BIAS = 33


def telephone(waveforms: Tensor, sample_rate: int) -> Tensor:
    """Reduce to a telephone's band, 300 to 3400 Hz, sampled at 8 kHz and coded with 8-bit mu-law."""
    samples = waveforms.shape[1]
    narrow = resample(waveforms, sample_rate, RATE)
    frequency = torch.fft.rfftfreq(narrow.shape[1], 1 / RATE, device=waveforms.device)
    inside = (frequency >= BAND[0]) & (frequency <= BAND[1])
    band = irfft(rfft(narrow) * inside, n=narrow.shape[1])
    return resample(mu_law(band), RATE, sample_rate)[:, :samples]


def mu_law(waveforms: Tensor) -> Tensor:
    """Code and decode samples in [-1, 1] of any shape with mu-law (ITU-T G.711)."""
    magnitude = (waveforms.abs() * FULL_SCALE).round().clamp_max(LARGEST) + BIAS
    segment = magnitude.log2().floor() - 5
    step = (magnitude / 2 ** (segment + 1)).floor() - 16
    decoded = (2 * step + BIAS) * 2**segment - BIAS
    return waveforms.sign() * decoded / FULL_SCALE
