"""Random numbers from a range, and effects applied to a random share of a batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor


def uniform(shape: int | tuple[int, ...], low: float, high: float, random: Generator) -> Tensor:
    size = (shape,) if isinstance(shape, int) else shape
    return low + (high - low) * torch.rand(size, generator=random)


def on_some(share: float, effect: Callable[[Tensor], Tensor], waveforms: Tensor, random: Generator) -> Tensor:
    """Apply the effect to a random `share` of the batch and leave the other recordings unchanged."""
    chosen = torch.rand(len(waveforms), generator=random) < share
    if not chosen.any():
        return waveforms
    changed = waveforms.clone()
    changed[chosen] = effect(waveforms[chosen])
    return changed
