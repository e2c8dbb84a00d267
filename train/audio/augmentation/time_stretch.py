"""Time stretch: faster or slower at the same pitch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from torchaudio.functional import phase_vocoder

SIZE, HOP = 512, 128


def time_stretch(waveforms: Tensor, rate: float) -> Tensor:
    """Change the tempo by `rate`, keeping the number of samples: faster ends in silence, slower is cut off."""
    samples = waveforms.shape[1]
    stretched = stretch(waveforms, rate)[:, :samples]
    return F.pad(stretched, (0, samples - stretched.shape[1]))


def stretch(waveforms: Tensor, rate: float) -> Tensor:
    """Change the tempo with a phase vocoder (Flanagan and Golden 1966): (B, samples) → (B, round(samples / rate)).

    The magnitudes of the complex spectrogram are interpolated, its phases advance at their original speed, and the
    inverse transform returns a waveform. Windows have 512 samples with a hop of 128, short enough for speech at 16 kHz.
    """
    if not 0.25 <= rate <= 4:
        raise ValueError(f"rate: wanted 0.25 to 4; got {rate}")
    samples = round(waveforms.shape[1] / rate)
    if rate == 1:
        return waveforms
    # Phases accumulate over all frames: after seconds, float32 would be off by a hundredth of a turn.
    window = torch.hann_window(SIZE, device=waveforms.device, dtype=torch.float64)
    spectrum = torch.stft(waveforms.double(), SIZE, HOP, window=window, pad_mode="constant", return_complex=True)
    advance = torch.linspace(0, torch.pi * HOP, SIZE // 2 + 1, device=waveforms.device, dtype=torch.float64)[:, None]
    stretched = torch.istft(phase_vocoder(spectrum, rate, advance), SIZE, HOP, window=window, length=samples)
    return stretched.to(waveforms.dtype)
