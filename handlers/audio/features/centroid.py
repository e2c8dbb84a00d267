"""Where the middle of the spectrum lies: the brightness of a sound."""

from torch import Tensor, nn

from handlers.audio.features.spectrogram import Spectrogram, frequencies

# Quieter frames than this have no spectrum worth a mean: librosa's limit, the smallest normal float32.
SILENCE = 1.2e-38


class SpectralCentroid(nn.Module):
    """Mean frequency of each frame in Hz, weighted by magnitude; 0 for silence: (B, samples) → (B, frames).

    Agrees with librosa.feature.spectral_centroid to 0.2 Hz: between sounds the magnitudes are little but
    rounding.
    """

    frequencies: Tensor  # TorchScript reads it: no postponed annotations in this file

    def __init__(self, sample_rate: int = 16_000, size: int = 512, window: int = 400, hop: int = 160) -> None:
        super().__init__()
        self.silence = SILENCE
        self.spectrogram = Spectrogram(size, window, hop, power=1.0)
        self.register_buffer("frequencies", frequencies(sample_rate, size), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        magnitude = self.spectrogram(waveforms)
        total = magnitude.sum(dim=1)
        return (magnitude * self.frequencies[:, None]).sum(dim=1) / total.clamp_min(self.silence)
