"""Resampling between any two rates, by a windowed sinc (Smith 1984)."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torchaudio.transforms import Resample


def resample(waveforms: Tensor, source: int, target: int) -> Tensor:
    """(…, samples) at `source` Hz → (…, ceil(samples × target / source)) at `target` Hz; dtype and device stay."""
    if source == target:
        return waveforms
    return resampler(source, target, waveforms.device, waveforms.dtype)(waveforms)


@lru_cache(maxsize=16)
def resampler(source: int, target: int, device: torch.device, dtype: torch.dtype) -> Resample:
    """Its filter is computed once for each pair of rates."""
    return Resample(source, target, dtype=torch.float64).to(device, dtype)
