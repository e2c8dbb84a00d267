"""Mel spectrograms: energies in bands as wide as the ear's."""

import torch
from torch import Tensor, nn
from torchaudio.functional import melscale_fbanks

from handlers.audio.features.spectrogram import Spectrogram

FLOOR = 1e-6
MIN_DEVIATION = 1e-2


class MelSpectrogram(nn.Module):
    """Energies in bands on Slaney's mel scale, each of equal area: (B, samples) → (B, mels, frames).

    Windows of 25 ms every 10 ms at 16 kHz by default. lowest: in Hz; the highest band ends at half the sample rate.

    Agrees with librosa.feature.melspectrogram to 1e-5 of the loudest band: the filters follow the same formula, the
    sums are float32.
    """

    bands: Tensor  # TorchScript reads it: no postponed annotations in this file

    def __init__(
        self,
        sample_rate: int = 16_000,
        mels: int = 40,
        size: int = 512,
        window: int = 400,
        hop: int = 160,
        lowest: float = 0.0,
    ) -> None:
        super().__init__()
        self.spectrogram = Spectrogram(size, window, hop)
        bands = melscale_fbanks(
            size // 2 + 1, lowest, sample_rate / 2, mels, sample_rate, norm="slaney", mel_scale="slaney"
        )
        self.register_buffer("bands", bands.T.contiguous(), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        return torch.matmul(self.bands.to(waveforms.dtype), self.spectrogram(waveforms))


class LogMel(nn.Module):
    """Logarithm of the mel spectrogram, each recording to zero mean and unit deviation; silence stays finite.

    waveforms (B, samples) in [-1, 1] → (B, mels, frames), frames = samples // hop + 1. Windows of 25 ms every 10 ms.
    """

    def __init__(self, sample_rate: int = 16_000, mels: int = 40) -> None:
        super().__init__()
        window = sample_rate // 40
        self.floor = FLOOR
        self.min_deviation = MIN_DEVIATION
        size = 1 << (window - 1).bit_length()
        self.mel = MelSpectrogram(sample_rate, mels, size, window, sample_rate // 100, lowest=60.0)

    def forward(self, waveforms: Tensor) -> Tensor:
        logarithm = torch.log(self.mel(waveforms) + self.floor)
        mean = logarithm.mean(dim=(1, 2), keepdim=True)
        deviation = logarithm.std(dim=(1, 2), keepdim=True).clamp_min(self.min_deviation)
        return (logarithm - mean) / deviation
