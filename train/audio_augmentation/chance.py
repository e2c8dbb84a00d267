"""Chance: numbers of a span, and effects on a share of the batch."""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def uniform(shape: int | tuple[int, ...], low: float, high: float, random: Generator) -> Tensor:
    size = (shape,) if isinstance(shape, int) else shape
    return low + (high - low) * torch.rand(size, generator=random)


def some(share: float, changed: Tensor, waveforms: Tensor, random: Generator) -> Tensor:
    """`changed` for a random `share` of the batch, the recordings as they are for the rest."""
    return torch.where(torch.rand((len(waveforms), 1), generator=random) < share, changed, waveforms)
