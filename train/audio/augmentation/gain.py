"""Gain in decibels."""

from __future__ import annotations

from torch import Tensor


def change_gain(waveforms: Tensor, gain_db: Tensor) -> Tensor:
    """Each recording louder by `gain_db` (B,) decibels; what exceeds full scale is clipped, as a converter does."""
    return (waveforms * 10 ** (gain_db[:, None] / 20).to(waveforms)).clamp(-1.0, 1.0)
