"""How often a waveform changes its sign: high for hiss and fricatives, low for vowels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from handlers.audio.features.frames import frames

# Samples this close to zero count as zero, and zero counts as positive: rounding is not a crossing.
THRESHOLD = 1e-10


class ZeroCrossingRate(nn.Module):
    """Share of the samples of each frame at which the sign changes: (B, samples) → (B, frames), from 0 to 1.

    Equal to librosa.feature.zero_crossing_rate but for the rounding of one division: crossings are counted.
    """

    def __init__(self, window: int = 400, hop: int = 160) -> None:
        super().__init__()
        self.window = window
        self.hop = hop
        self.threshold = THRESHOLD

    def forward(self, waveforms: Tensor) -> Tensor:
        negative = frames(waveforms, self.window, self.hop, edge=True) < -self.threshold
        crossings = torch.logical_xor(negative[:, :, 1:], negative[:, :, :-1])
        return crossings.to(waveforms.dtype).sum(dim=2) / self.window
