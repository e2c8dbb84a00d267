"""Keyword spotting by convolutions over time alone, mel bands as channels (Choi et al. 2019, TC-ResNet)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from handlers.audio.features.mel import LogMel
from handlers.networks.featured import Featured


class KeywordSpotting(Featured):
    """waveform (B, samples) in [-1, 1] → logits (B, classes); the features are part of the network."""

    def __init__(self, classes: int, sample_rate: int = 16_000, mels: int = 40, width: int = 64) -> None:
        super().__init__()
        self.features = LogMel(sample_rate, mels)
        self.stem = nn.Sequential(nn.Conv1d(mels, width, 3, padding=1, bias=False), nn.BatchNorm1d(width), nn.ReLU())
        self.blocks = nn.Sequential(
            Residual(width, width, stride=2),
            Residual(width, width * 3 // 2, stride=2),
            Residual(width * 3 // 2, width * 2, 2),
        )
        self.head = nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(width * 2, classes))

    def classify(self, features: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(features)))


class Residual(nn.Module):
    """Two convolutions of 9 frames and a shortcut: (B, inputs, frames) → (B, outputs, frames / stride)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(inputs, outputs, 9, stride=stride, padding=4, bias=False),
            nn.BatchNorm1d(outputs),
            nn.ReLU(),
            nn.Conv1d(outputs, outputs, 9, padding=4, bias=False),
            nn.BatchNorm1d(outputs),
        )
        self.shortcut = nn.Sequential(nn.Conv1d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm1d(outputs))

    def forward(self, frames: Tensor) -> Tensor:
        return F.relu(self.body(frames) + self.shortcut(frames))
