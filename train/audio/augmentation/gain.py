"""Gain in decibels."""

from __future__ import annotations

from torch import Tensor


def change_gain(waveforms: Tensor, gain_db: Tensor) -> Tensor:
    """Amplify each recording by `gain_db` (B,) decibels; samples beyond full scale are clipped."""
    return (waveforms * 10 ** (gain_db[:, None] / 20).to(waveforms)).clamp(-1.0, 1.0)
