"""Chance: numbers of a span, and effects on a share of the batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor


def uniform(shape: int | tuple[int, ...], low: float, high: float, random: Generator) -> Tensor:
    size = (shape,) if isinstance(shape, int) else shape
    return low + (high - low) * torch.rand(size, generator=random)


def on_some(share: float, effect: Callable[[Tensor], Tensor], waveforms: Tensor, random: Generator) -> Tensor:
    """The effect on a random `share` of the batch, the other recordings as they are."""
    chosen = torch.rand(len(waveforms), generator=random) < share
    if not chosen.any():
        return waveforms
    changed = waveforms.clone()
    changed[chosen] = effect(waveforms[chosen])
    return changed
