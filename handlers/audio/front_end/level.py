"""Level: peaks brought to one height."""

from __future__ import annotations

from torch import Tensor

# Below a 24-bit step there is nothing to make louder.
SILENCE = 1e-7


def normalise_peak(waveforms: Tensor, peak: float = 1.0) -> Tensor:
    """(…, samples) scaled so that the largest magnitude of each recording is `peak`; a silent one as it is."""
    largest = waveforms.abs().amax(dim=-1, keepdim=True)
    return waveforms * (peak / largest.clamp_min(SILENCE)).where(largest > SILENCE, largest.new_ones(()))
