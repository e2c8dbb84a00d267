"""Frames of a waveform, for the features that need no spectrum."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def frames(waveforms: Tensor, size: int, hop: int, edge: bool = False) -> Tensor:
    """(B, samples) → (B, frames, size), centred. edge: around the signal stands its last value, not silence."""
    check_samples(waveforms)
    padding = (size // 2, size - size // 2)
    padded = F.pad(waveforms[:, None], padding, mode="replicate")[:, 0] if edge else F.pad(waveforms, padding)
    return padded.unfold(1, size, hop)


def check_samples(waveforms: Tensor) -> None:
    """ValueError for recordings without a sample, of which there are no features."""
    if waveforms.shape[-1] == 0:
        raise ValueError("the recordings have no samples; wanted one at least")
