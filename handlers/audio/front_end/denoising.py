"""Denoising by a Wiener filter whose noise is estimated from the recording itself."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

# The share of its time for which a band holds no speech, at least: so much of the recording is taken for noise.
NOISE_QUANTILE = 0.2
SMOOTHING = 0.95
MIN_GAIN = 10 ** (-20 / 20)
SILENCE = 1e-12


def denoise(waveforms: Tensor, sample_rate: int) -> Tensor:
    """(B, samples) → (B, samples), stationary noise lowered by up to 20 dB; each recording's noise is its own.

    The noise's power in each bin is read off a low quantile of that bin over time (Stahl, Fischer and Bippus 2000),
    corrected by what that quantile is of an exponential distribution, which noise's periodogram has. The gain is
    Wiener's, with the decision-directed estimate of the signal-to-noise ratio (Ephraim and Malah 1984; Scalart and
    Filho 1996), which keeps musical noise away. Windows of 32 ms, a quarter of that apart; the root of the Hann
    window before and after, whose overlapping squares sum to one constant, so that a gain of 1 gives the recording
    back.

    It needs pauses, or bands without speech, for about a fifth of the time, and noise that stays the same.
    """
    size = 1 << (sample_rate // 32 - 1).bit_length()
    hop = size // 4
    window = torch.hann_window(size, device=waveforms.device, dtype=waveforms.dtype).sqrt()
    samples = waveforms.shape[1]
    # Every sample lies under four windows, the first and the last as well.
    padded = F.pad(waveforms, (size, size + -samples % hop))
    spectrum = torch.fft.rfft(padded.unfold(1, size, hop) * window)
    power = spectrum.abs().square()
    inside = power[:, 2:-2]  # the padding is not noise: frames with their middle in the recording
    rank = int(NOISE_QUANTILE * (inside.shape[1] - 1)) + 1
    noise = inside.kthvalue(rank, dim=1).values / -math.log(1 - NOISE_QUANTILE)
    cleaned = torch.fft.irfft(spectrum * gains(power, noise.clamp_min(SILENCE)), n=size) * window
    summed = F.fold(cleaned.transpose(1, 2), (1, padded.shape[1]), (1, size), stride=(1, hop))[:, 0, 0]
    return summed[:, size : size + samples] / 2


def gains(power: Tensor, noise: Tensor) -> Tensor:
    """power (B, frames, bins) and noise (B, bins) → Wiener gains (B, frames, bins) from MIN_GAIN to 1."""
    ratio = power / noise[:, None]
    kept = torch.zeros_like(ratio[:, 0])
    columns: list[Tensor] = []
    for frame in range(ratio.shape[1]):
        now = ratio[:, frame]
        signal = SMOOTHING * kept + (1 - SMOOTHING) * (now - 1).clamp_min(0)
        gain = (signal / (1 + signal)).clamp_min(MIN_GAIN)
        kept = gain.square() * now
        columns.append(gain)
    return torch.stack(columns, dim=1)
