"""Time stretch: faster or slower at the same pitch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from torchaudio.functional import phase_vocoder

SIZE, HOP = 512, 128


def time_stretch(waveforms: Tensor, rate: float) -> Tensor:
    """`rate` times as fast, over the same number of samples: faster ends in silence, slower loses its end."""
    samples = waveforms.shape[1]
    stretched = stretch(waveforms, rate)[:, :samples]
    return F.pad(stretched, (0, samples - stretched.shape[1]))


def stretch(waveforms: Tensor, rate: float) -> Tensor:
    """`rate` times as fast, (B, samples) → (B, round(samples / rate)), by a phase vocoder (Flanagan and Golden 1966).

    The complex spectrogram is interpolated in magnitude, its phases go on at the speed they had, and the inverse
    transform makes a waveform of it again. Windows of 512 samples, 128 apart: short enough for speech at 16 kHz.
    """
    if not 0.25 <= rate <= 4:
        raise ValueError(f"rate: wanted 0.25 to 4; got {rate}")
    samples = round(waveforms.shape[1] / rate)
    if rate == 1:
        return waveforms
    # Phases are summed over all frames: float32 would be off by a hundredth of a turn after seconds.
    window = torch.hann_window(SIZE, device=waveforms.device, dtype=torch.float64)
    spectrum = torch.stft(waveforms.double(), SIZE, HOP, window=window, pad_mode="constant", return_complex=True)
    advance = torch.linspace(0, torch.pi * HOP, SIZE // 2 + 1, device=waveforms.device, dtype=torch.float64)[:, None]
    stretched = torch.istft(phase_vocoder(spectrum, rate, advance), SIZE, HOP, window=window, length=samples)
    return stretched.to(waveforms.dtype)
