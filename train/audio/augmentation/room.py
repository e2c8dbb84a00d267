"""Room acoustics: impulse responses of shoebox rooms by the image-source method (Allen and Berkley 1979)."""

from __future__ import annotations

import math

import torch
from scipy.fft import next_fast_len
from torch import Generator, Tensor
from torch.fft import irfft, rfft

from train.audio.augmentation.chance import uniform
from train.audio.augmentation.noise import gain, power

SPEED_OF_SOUND = 343.0
# Minimum distance of speaker and microphone from the walls, in metres.
MARGIN = 0.3


def impulse_response(
    size: Tensor, speaker: Tensor, microphone: Tensor, reflection: float, sample_rate: int, seconds: float
) -> Tensor:
    """Return the impulse response at the microphone (samples,), including the delay of the direct sound.

    size, speaker, microphone: (3,) metres, from one corner. reflection: the walls' reflection coefficient of pressure,
    0 to 1. Includes every image source that arrives within `seconds`, rounded to a sample, with a pressure inversely
    proportional to its distance.
    """
    samples = int(seconds * sample_rate)
    axes, bounces = [], []
    for length, source, listener in zip(size.tolist(), speaker.tolist(), microphone.tolist(), strict=True):
        reach = math.ceil(seconds * SPEED_OF_SOUND / (2 * length))
        shift = 2 * length * torch.arange(-reach, reach + 1, dtype=torch.float64)
        order = torch.arange(-reach, reach + 1)
        axes.append(torch.cat([shift + source, shift - source]) - listener)
        # Even images were reflected equally often by both walls, odd ones once more by one of them.
        bounces.append(torch.cat([(2 * order).abs(), (2 * order - 1).abs()]))
    distance = sum_of(*(axis.square() for axis in axes)).sqrt().clamp_min(1e-3)
    count = sum_of(*bounces)
    delay = (distance / SPEED_OF_SOUND * sample_rate).round().long()
    heard = delay < samples
    pressure = reflection ** count[heard].double() / (4 * torch.pi * distance[heard])
    return torch.zeros(samples, dtype=torch.float64).index_add_(0, delay[heard], pressure).float()


def sum_of(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Sum over every combination: (X,), (Y,), (Z,) → (X, Y, Z)."""
    return x[:, None, None] + y[None, :, None] + z[None, None, :]


def wall_reflection(size: Tensor, reverberation_seconds: float) -> float:
    """The wall reflection coefficient for an RT60 (time to decay by 60 dB), after Eyring (1930).

    The formula assumes a diffuse field. A shoebox reverberates about 1.5 times as long (see Lehmann and Johansson
    2008).
    """
    width, depth, height = size.tolist()
    surface = 2 * (width * depth + width * height + depth * height)
    absorbed = 1 - math.exp(
        -24 * math.log(10) * width * depth * height / (SPEED_OF_SOUND * surface * reverberation_seconds)
    )
    return math.sqrt(1 - absorbed)


def random_rooms(count: int, sample_rate: int, random: Generator, seconds: float = 0.3) -> Tensor:
    """Impulse responses (count, samples): rooms of 2 to 8 m, RT60 of 0.15 to 0.5 s, a speaker within 1.7 m.

    The direct sound is the first sample and has the value 1.
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
    """Convolve each recording with its room: (B, samples), (B, response) → (B, samples). The level is kept."""
    samples = waveforms.shape[1]
    # The exact length may have a large prime factor, which makes the FFT up to ten times as slow.
    length = next_fast_len(samples + rooms.shape[1] - 1, real=True)
    wet = irfft(rfft(waveforms, length) * rfft(rooms.to(waveforms), length), length)[:, :samples]
    return wet * gain(power(waveforms), power(wet))
