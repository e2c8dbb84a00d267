"""Pitch shift, which keeps the speed, and change of speed, which changes both."""

from __future__ import annotations

from fractions import Fraction

from torch import Tensor
from torch.nn import functional as F

from handlers.audio.front_end.resampling import resample
from train.audio.augmentation.time_stretch import stretch

# Keeps the resampling ratio a fraction of small integers; 1/100 is within 5 cents of any interval of an octave.
DENOMINATOR = 100


def pitch_shift(waveforms: Tensor, semitones: float) -> Tensor:
    """Multiply every frequency by 2^(semitones / 12), keeping the number of samples.

    The recording is stretched by that factor, then resampled to its original length. Formants move with the pitch, as
    with a larger or smaller speaker.
    """
    if not -24 <= semitones <= 24:
        raise ValueError(f"semitones: wanted -24 to 24; got {semitones}")
    factor = ratio(2 ** (semitones / 12))
    return same_length(change_speed(stretch(waveforms, float(1 / factor)), factor), waveforms.shape[1])


def change_speed(waveforms: Tensor, factor: float | Fraction) -> Tensor:
    """Play like a tape at `factor` times the speed (Ko et al. 2015): (B, samples) → (B, about samples / factor)."""
    exact = ratio(factor)
    return resample(waveforms, exact.numerator, exact.denominator)


def ratio(factor: float | Fraction) -> Fraction:
    return Fraction(factor).limit_denominator(DENOMINATOR)


def same_length(waveforms: Tensor, samples: int) -> Tensor:
    return F.pad(waveforms[:, :samples], (0, max(0, samples - waveforms.shape[1])))
