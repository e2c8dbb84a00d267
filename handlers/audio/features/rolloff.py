"""Below which frequency most of the spectrum lies."""

from torch import Tensor, nn

from handlers.audio.features.spectrogram import Spectrogram, frequencies


class SpectralRolloff(nn.Module):
    """The lowest bin's frequency, in Hz, at or below which a `share` of the magnitude lies; 0 for silence.

    (B, samples) → (B, frames).

    Equal to librosa.feature.spectral_rolloff, or one bin beside it (sample_rate / size) in fewer than one frame in
    a hundred, where the sum meets the share to within its rounding.
    """

    frequencies: Tensor  # TorchScript reads it: no postponed annotations in this file

    def __init__(
        self, sample_rate: int = 16_000, share: float = 0.85, size: int = 512, window: int = 400, hop: int = 160
    ) -> None:
        super().__init__()
        if not 0 < share < 1:
            raise ValueError(f"share: wanted more than 0 and less than 1; got {share}")
        self.share = share
        self.spectrogram = Spectrogram(size, window, hop, power=1.0)
        self.register_buffer("frequencies", frequencies(sample_rate, size), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        below = self.spectrogram(waveforms).cumsum(dim=1)
        bins = (below < self.share * below[:, -1:]).sum(dim=1)
        return self.frequencies.to(waveforms.dtype)[bins]
