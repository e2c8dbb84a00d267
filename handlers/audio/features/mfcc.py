"""Mel-frequency cepstral coefficients (Davis and Mermelstein 1980): the shape of the spectrum in a few numbers."""

import torch
from torch import Tensor, nn
from torchaudio.functional import create_dct

from handlers.audio.features.mel import MelSpectrogram

FLOOR = 1e-10
RANGE_DB = 80.0


class MFCC(nn.Module):
    """The cosine transform of the mel energies in dB: (B, samples) → (B, coefficients, frames).

    Energies more than 80 dB below the recording's loudest count as those, each recording by itself.

    Agrees with librosa.feature.mfcc to 0.01 where coefficients reach some hundreds: the logarithm magnifies what
    float32 leaves of the faintest bands.
    """

    transform: Tensor  # TorchScript reads it: no postponed annotations in this file

    def __init__(
        self,
        sample_rate: int = 16_000,
        coefficients: int = 13,
        mels: int = 40,
        size: int = 512,
        window: int = 400,
        hop: int = 160,
    ) -> None:
        super().__init__()
        if coefficients > mels:
            raise ValueError(f"wanted at most as many coefficients as mel bands, {mels}; got {coefficients}")
        self.floor = FLOOR
        self.range_db = RANGE_DB
        self.mel = MelSpectrogram(sample_rate, mels, size, window, hop)
        self.register_buffer("transform", create_dct(coefficients, mels, "ortho").T.contiguous(), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        decibels = 10 * torch.log10(self.mel(waveforms).clamp_min(self.floor))
        loudest = decibels.amax(dim=(1, 2), keepdim=True)
        return torch.matmul(self.transform.to(waveforms.dtype), torch.maximum(decibels, loudest - self.range_db))
