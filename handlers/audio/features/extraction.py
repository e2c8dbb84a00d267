"""Features by name, all on the same frames."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from handlers.audio.features.centroid import SpectralCentroid
from handlers.audio.features.chroma import Chroma
from handlers.audio.features.mel import MelSpectrogram
from handlers.audio.features.mfcc import MFCC
from handlers.audio.features.rms import RMS
from handlers.audio.features.rolloff import SpectralRolloff
from handlers.audio.features.zero_crossing import ZeroCrossingRate

# Values of each frame.
FEATURES = {
    "rms": 1,
    "zero-crossing": 1,
    "mel": 40,
    "mfcc": 13,
    "centroid": 1,
    "rolloff": 1,
    "chroma": 12,
}


class Extraction(nn.Module):
    """The named features in one go: (B, samples) → {name: (B, frames) or (B, values, frames)}.

    Windows of 25 ms (chroma: 128 ms) every 10 ms, at any sample rate of 1 kHz or more. Raises ValueError for a name
    that is not in FEATURES.
    """

    def __init__(self, names: Sequence[str], sample_rate: int = 16_000) -> None:
        super().__init__()
        unknown = [name for name in names if name not in FEATURES]
        if unknown or not names:
            raise ValueError(f"features: got {', '.join(unknown) or 'none'}; wanted some of {', '.join(FEATURES)}")
        self.hop = sample_rate // 100
        window = sample_rate // 40
        size = power_of_two(window)
        long = power_of_two(sample_rate // 8)
        self.features = nn.ModuleDict()
        for name in dict.fromkeys(names):
            match name:
                case "rms":
                    self.features[name] = RMS(window, self.hop)
                case "zero-crossing":
                    self.features[name] = ZeroCrossingRate(window, self.hop)
                case "mel":
                    self.features[name] = MelSpectrogram(sample_rate, 40, size, window, self.hop)
                case "mfcc":
                    self.features[name] = MFCC(sample_rate, 13, 40, size, window, self.hop)
                case "centroid":
                    self.features[name] = SpectralCentroid(sample_rate, size, window, self.hop)
                case "rolloff":
                    self.features[name] = SpectralRolloff(sample_rate, 0.85, size, window, self.hop)
                case "chroma":
                    self.features[name] = Chroma(sample_rate, long, long, self.hop)

    def forward(self, waveforms: Tensor) -> dict[str, Tensor]:
        return {name: feature(waveforms) for name, feature in self.features.items()}


def power_of_two(samples: int) -> int:
    """The next at or above `samples`."""
    return 1 << (samples - 1).bit_length()
