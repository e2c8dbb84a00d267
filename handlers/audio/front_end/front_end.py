"""The steps between a decoded recording and the model, as an artifact's preprocessing names them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from handlers.audio.front_end.denoising import denoise
from handlers.audio.front_end.level import normalise_peak
from handlers.audio.front_end.trimming import trim


def prepare(waveform: Tensor, sample_rate: int, steps: Sequence[str]) -> Tensor:
    """One recording (samples,) after these steps, in their order; trimming alone changes its length."""
    for step in steps:
        match step:
            case "denoise":
                waveform = denoise(waveform[None], sample_rate)[0].clamp(-1.0, 1.0)
            case "trim":
                waveform = trim(waveform, sample_rate)
            case "normalise":
                waveform = normalise_peak(waveform)
    return waveform
