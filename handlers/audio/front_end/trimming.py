"""Trimming: where speech begins and ends, by energy above the recording's own noise."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from handlers.audio.features.rms import RMS

WINDOW_SECONDS, HOP_SECONDS = 0.025, 0.01
SMOOTHED_FRAMES = 7
# A recording in which the loudest and the quietest frames are this close holds no pause to tell speech from.
MIN_CONTRAST_DB = 3.0
# Speech ends this far below its loudest frame, wherever the noise lies: its last sounds are quiet.
DYNAMIC_RANGE_DB = 45.0
# Where between noise and loudest frame the threshold lies: the noise's own swings stay below it.
SHARE = 0.3
NOISE_QUANTILE = 0.1
MARGIN_SECONDS = 0.03
FLOOR = 1e-14


def speech_bounds(waveforms: Tensor, sample_rate: int) -> Tensor:
    """First and one past the last sample of speech: (B, samples) → (B, 2), whole numbers.

    Levels of 25 ms frames, smoothed over 7 of them, count as speech when they are three tenths of the way, in dB, from
    the noise (a tenth of the frames is quieter; at most 60 dB below the loudest) to the loudest. 30 ms are left on
    both sides. A recording without contrast between its frames, silence among them, is kept whole.

    Good for stationary noise 5 dB or more below the speech, in recordings that are pause for a tenth of their time. A
    slammed door is taken for speech; a trained model of voice activity is not misled by it.
    """
    hop = int(HOP_SECONDS * sample_rate)
    energies = RMS(int(WINDOW_SECONDS * sample_rate), hop)(waveforms).square()
    smooth = F.avg_pool1d(energies, SMOOTHED_FRAMES, 1, SMOOTHED_FRAMES // 2, count_include_pad=False)
    levels = 10 * torch.log10(smooth.clamp_min(FLOOR))
    loudest = levels.amax(dim=1, keepdim=True)
    rank = int(NOISE_QUANTILE * (levels.shape[1] - 1)) + 1
    noise = torch.maximum(levels.kthvalue(rank, dim=1, keepdim=True).values, loudest - 60)
    threshold = torch.maximum(noise + SHARE * (loudest - noise), loudest - DYNAMIC_RANGE_DB)
    speech = levels > threshold
    frames = torch.arange(levels.shape[1], device=levels.device)
    first = torch.where(speech, frames, levels.shape[1]).amin(dim=1)
    last = torch.where(speech, frames, -1).amax(dim=1)
    margin = int(MARGIN_SECONDS * sample_rate)
    samples = waveforms.shape[1]
    bounds = torch.stack([first * hop - margin, last * hop + margin], dim=1).clamp(0, samples)
    whole = (loudest - noise)[:, 0] < MIN_CONTRAST_DB
    return torch.where(whole[:, None], torch.tensor([0, samples], device=bounds.device), bounds)


def trim(waveform: Tensor, sample_rate: int) -> Tensor:
    """(samples,) without what stands before and after the speech."""
    first, last = speech_bounds(waveform[None], sample_rate)[0].tolist()
    return waveform[first:last]
