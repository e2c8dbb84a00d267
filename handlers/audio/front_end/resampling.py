"""Resampling between any two rates, by a windowed sinc (Smith 1984)."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F
from torchaudio.transforms import Resample

# torchaudio's filter has as many elements as the product of the ratio's two sides, so a ratio is given to it as long as
# neither is larger than this. Those between common rates up to 96 kHz are: the finest, 11025 Hz to 32 kHz, is 441:1280.
MAX_STEPS = 1280
# torchaudio's own: zero crossings of the sinc on each side, and the edge of its band.
CROSSINGS, ROLLOFF = 6, 0.99
# Positions between two samples of the slower rate: an output is at most 1/8192 of a sample beside its true position.
PHASES = 4096
# From this ratio on a decimation comes before, which leaves the rate at COARSE times the target's at least: what it
# folds back lies outside the target's band.
FAR, COARSE = 8, 2
# Products that are computed at once.
CHUNK = 1 << 20


def resample(waveforms: Tensor, source: int, target: int) -> Tensor:
    """(…, samples) at `source` Hz → (…, ceil(samples × target / source)) at `target` Hz; dtype and device stay.

    Memory is bounded for all rates, also for those without a common divisor.
    """
    ratio = Fraction(source, target)
    if ratio == 1:
        return waveforms
    if max(ratio.numerator, ratio.denominator) <= MAX_STEPS:
        return resampler(ratio, waveforms.device, waveforms.dtype)(waveforms)
    count = -(-waveforms.shape[-1] * ratio.denominator // ratio.numerator)
    if ratio >= FAR:
        # A filter this wide is faster as a convolution: an exact decimation goes most of the way.
        decimation = Fraction(int(ratio / COARSE))
        waveforms, ratio = resampler(decimation, waveforms.device, waveforms.dtype)(waveforms), ratio / decimation
    return interpolate(waveforms, ratio)[..., :count]


# At most 13 MB each in float64.
@lru_cache(maxsize=8)
def resampler(ratio: Fraction, device: torch.device, dtype: torch.dtype) -> Resample:
    """Its filter is computed once for each ratio."""
    return Resample(ratio.numerator, ratio.denominator, dtype=torch.float64).to(device, dtype)


def interpolate(waveforms: Tensor, ratio: Fraction) -> Tensor:
    """As `resample`, for any ratio of source to target: every output by the filter of the phase nearest to its own."""
    source, target = ratio.numerator, ratio.denominator
    table = filters(ratio).to(waveforms)
    phases, taps = len(table) - 1, table.shape[1]
    samples = waveforms.shape[-1]
    count = -(-samples * target // source)
    positions = torch.arange(count, device=waveforms.device) * source
    first = positions // target
    phase = (positions % target * phases + target // 2) // target
    windows = F.pad(waveforms, (taps // 2 - 1, taps // 2)).unfold(-1, taps, 1)
    size = max(1, CHUNK // (taps * max(1, math.prod(waveforms.shape[:-1]))))
    parts = [
        torch.einsum("...ot,ot->...o", windows.index_select(-2, at), table.index_select(0, rows))
        for at, rows in zip(first.split(size), phase.split(size), strict=True)
    ]
    return torch.cat(parts, dim=-1)


@lru_cache(maxsize=8)
def filters(ratio: Fraction) -> Tensor:
    """(phases + 1, taps), float64: one filter for each position of an output between two source samples, both included.

    They are torchaudio's, a sinc under a Hann window, its band that of the slower rate. Together they have some 60,000
    elements for any ratio: a wider filter is smoother and needs fewer phases.
    """
    slower = max(1.0, float(ratio))
    half = math.ceil(CROSSINGS * slower / ROLLOFF) + 1
    phases = max(1, math.ceil(PHASES / slower))
    taps = torch.arange(1 - half, half + 1, dtype=torch.float64)
    behind = torch.arange(phases + 1, dtype=torch.float64)[:, None] / phases
    time = ((taps - behind) * ROLLOFF / slower).clamp(-CROSSINGS, CROSSINGS)
    window = torch.cos(time * torch.pi / (2 * CROSSINGS)).square()
    return torch.sinc(time) * window * ROLLOFF / slower
