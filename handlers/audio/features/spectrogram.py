"""The short-time Fourier transform's magnitude, which all spectral features start from."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from handlers.audio.features.frames import check_samples


class Spectrogram(nn.Module):
    """Magnitudes, or energies: (B, samples) → (B, bins, frames), bins = size // 2 + 1.

    size: points of the transform. window: samples under the periodic Hann window, at most size, in its middle.
    hop: samples between frames. power: 1 for magnitudes, 2 for energies.

    Agrees with librosa.stft to 1e-5 of the loudest bin: both compute in float32, in another order of summation.
    """

    window: Tensor  # TorchScript reads it: no postponed annotations in this file

    def __init__(self, size: int = 512, window: int = 400, hop: int = 160, power: float = 2.0) -> None:
        super().__init__()
        if not 0 < window <= size or hop <= 0:
            raise ValueError(f"wanted 0 < window <= size and hop > 0; got window {window}, size {size}, hop {hop}")
        if power not in (1.0, 2.0):
            raise ValueError(f"power is {power}; wanted 1 for magnitudes or 2 for energies")
        self.size = size
        self.hop = hop
        self.power = power
        around = size - window
        shape = F.pad(torch.hann_window(window), (around // 2, around - around // 2))
        self.register_buffer("window", shape, persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        check_samples(waveforms)
        padded = F.pad(waveforms, (self.size // 2, self.size // 2))
        spectrum = torch.stft(
            padded,
            self.size,
            self.hop,
            self.size,
            self.window.to(padded.dtype),
            center=False,
            return_complex=True,
            onesided=True,
        )
        if self.power == 1.0:
            return spectrum.abs()
        return spectrum.real.square() + spectrum.imag.square()  # the root takes three times as long


def frequencies(sample_rate: int, size: int) -> Tensor:
    """Of the bins, in Hz: (size // 2 + 1,)."""
    return torch.linspace(0, sample_rate / 2, size // 2 + 1)
