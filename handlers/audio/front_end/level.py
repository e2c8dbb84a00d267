"""Level: silence, and peaks brought to one height."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

# Below a 24-bit step there is nothing to make louder.
SILENCE = 1e-7
# From the lowest sample to the highest, six steps of 16 bits: what dithering and companding make of silence.
INAUDIBLE = 2e-4


def normalise_peak(waveforms: Tensor, peak: float = 1.0) -> Tensor:
    """(…, samples) scaled so that the largest magnitude of each recording is `peak`; a silent one as it is."""
    largest = waveforms.abs().amax(dim=-1, keepdim=True)
    return waveforms * (peak / largest.clamp_min(SILENCE)).where(largest > SILENCE, largest.new_ones(()))


def is_silent(waveforms: Tensor) -> NDArray[np.bool_]:
    """(…, samples), on the CPU → (…): whether there is nothing to hear, whatever constant the samples lie at."""
    samples = waveforms.numpy()  # whose functions take half as long as torch's for a short recording
    silent: NDArray[np.bool_] = samples.max(axis=-1) - samples.min(axis=-1) < INAUDIBLE
    return silent
