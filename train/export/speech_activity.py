"""Silero VAD for whole recordings, as a single graph."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RATE, FRAME = 16_000, 512


class SpeechProbability(nn.Module):
    """waveforms (B, samples) at 16 kHz → probability of speech per 32 ms frame (B, frames). The last frame is padded
    with silence.

    detector: the package's streaming model, whose state between frames is reset for each call. Saved as TorchScript,
    the loop over frames runs without Python.
    """

    def __init__(self, detector: torch.jit.ScriptModule) -> None:
        super().__init__()
        self.detector = detector
        self.rate = RATE
        self.frame = FRAME

    def forward(self, waveforms: Tensor) -> Tensor:
        self.detector.reset_states()
        padded = F.pad(waveforms, (0, -waveforms.shape[1] % self.frame))
        probabilities: list[Tensor] = []
        for chunk in padded.split(self.frame, dim=1):
            probabilities.append(self.detector(chunk, self.rate))
        return torch.cat(probabilities, dim=1)
