"""Rooms: impulse responses of shoeboxes by image sources (Allen and Berkley 1979), and recordings made in them."""

from __future__ import annotations

import math

import torch
from scipy.fft import next_fast_len
from torch import Generator, Tensor
from torch.fft import irfft, rfft

from train.audio.augmentation.chance import uniform
from train.audio.augmentation.noise import gain, power

SPEED_OF_SOUND = 343.0
# Nearer to a wall than this, in metres, stands neither speaker nor microphone.
MARGIN = 0.3


def impulse_response(
    size: Tensor, speaker: Tensor, microphone: Tensor, reflection: float, sample_rate: int, seconds: float
) -> Tensor:
    """(samples,): what the microphone hears of a click, the direct sound at its true delay.

    size, speaker, microphone: (3,) metres, from one corner. reflection: of the walls, the share of the pressure that
    comes back, 0 to 1. Every image that arrives within `seconds` counts, at its nearest sample, with its pressure
    falling with distance.
    """
    samples = int(seconds * sample_rate)
    axes, bounces = [], []
    for length, source, listener in zip(size.tolist(), speaker.tolist(), microphone.tolist(), strict=True):
        reach = math.ceil(seconds * SPEED_OF_SOUND / (2 * length))
        shift = 2 * length * torch.arange(-reach, reach + 1, dtype=torch.float64)
        order = torch.arange(-reach, reach + 1)
        axes.append(torch.cat([shift + source, shift - source]) - listener)
        # Even images have bounced as often off one wall as off the other, odd ones once more off one of them.
        bounces.append(torch.cat([(2 * order).abs(), (2 * order - 1).abs()]))
    distance = sum_of(*(axis.square() for axis in axes)).sqrt().clamp_min(1e-3)
    count = sum_of(*bounces)
    delay = (distance / SPEED_OF_SOUND * sample_rate).round().long()
    heard = delay < samples
    pressure = reflection ** count[heard].double() / (4 * torch.pi * distance[heard])
    return torch.zeros(samples, dtype=torch.float64).index_add_(0, delay[heard], pressure).float()


def sum_of(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Every combination: (X,), (Y,), (Z,) → (X, Y, Z)."""
    return x[:, None, None] + y[None, :, None] + z[None, None, :]


def wall_reflection(size: Tensor, reverberation_seconds: float) -> float:
    """The walls' reflection that gives this RT60, the time of a decay by 60 dB, after Eyring (1930).

    A shoebox is not the diffuse field of that formula: it rings about 1.5 times as long (see Lehmann and
    Johansson 2008).
    """
    width, depth, height = size.tolist()
    surface = 2 * (width * depth + width * height + depth * height)
    absorbed = 1 - math.exp(
        -24 * math.log(10) * width * depth * height / (SPEED_OF_SOUND * surface * reverberation_seconds)
    )
    return math.sqrt(1 - absorbed)


def random_rooms(count: int, sample_rate: int, random: Generator, seconds: float = 0.3) -> Tensor:
    """Impulse responses (count, samples): rooms of 2 to 8 m, RT60 of 0.15 to 0.5 s, a speaker within 1.7 m.

    The direct sound stands at the first sample and is 1.
    """
    rooms = torch.zeros(count, int(seconds * sample_rate))
    for index in range(count):
        size = torch.cat([uniform(2, 2.0, 8.0, random), uniform(1, 2.2, 4.0, random)])
        microphone = MARGIN + (size - 2 * MARGIN) * torch.rand(3, generator=random)
        offset = uniform(3, -1.0, 1.0, random)
        speaker = torch.minimum(torch.maximum(microphone + offset, torch.full((3,), MARGIN)), size - MARGIN)
        reflection = wall_reflection(size, float(uniform(1, 0.15, 0.5, random)))
        response = impulse_response(size, speaker, microphone, reflection, sample_rate, seconds)
        direct = int(response.nonzero()[0])
        rooms[index, : len(response) - direct] = response[direct:] / response[direct]
    return rooms


def reverberate(waveforms: Tensor, rooms: Tensor) -> Tensor:
    """Each recording in the room of its row: (B, samples) with (B, response) → (B, samples). The level is kept."""
    samples = waveforms.shape[1]
    # At the exact length, which may have a large prime factor, a transform takes up to ten times as long.
    length = next_fast_len(samples + rooms.shape[1] - 1, real=True)
    wet = irfft(rfft(waveforms, length) * rfft(rooms.to(waveforms), length), length)[:, :samples]
    return wet * gain(power(waveforms), power(wet))
