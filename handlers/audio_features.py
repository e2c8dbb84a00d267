"""Features of audio models, inside their graph: a served model takes the waveform and nothing else."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchaudio.transforms import MelSpectrogram

FLOOR = 1e-6
MIN_DEVIATION = 1e-2


class LogMel(nn.Module):
    """Log-mel spectrogram, each recording to zero mean and unit deviation; silence stays finite.

    waveform (B, samples) in [-1, 1] → (B, mels, frames), frames = samples // hop + 1. Windows of 25 ms every 10 ms,
    Slaney's mel scale and normalisation as librosa has them.
    """

    def __init__(self, sample_rate: int = 16_000, mels: int = 40) -> None:
        super().__init__()
        self.mel = MelSpectrogram(
            sample_rate,
            n_fft=512,
            win_length=sample_rate // 40,
            hop_length=sample_rate // 100,
            f_min=60.0,
            n_mels=mels,
            norm="slaney",
            mel_scale="slaney",
        )

    def forward(self, waveform: Tensor) -> Tensor:
        logarithm = torch.log(self.mel(waveform) + FLOOR)
        mean = logarithm.mean(dim=(1, 2), keepdim=True)
        deviation = logarithm.std(dim=(1, 2), keepdim=True).clamp_min(MIN_DEVIATION)
        return (logarithm - mean) / deviation
