"""Augmentation of recordings, a batch at a time: every function takes and returns (B, samples) float32."""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.fft import irfft, rfft

SILENCE = 1e-8


def uniform(shape: int | tuple[int, ...], low: float, high: float, random: Generator) -> Tensor:
    size = (shape,) if isinstance(shape, int) else shape
    return low + (high - low) * torch.rand(size, generator=random)


def power(waveforms: Tensor) -> Tensor:
    """Mean square of each recording, (B, 1)."""
    return waveforms.square().mean(dim=1, keepdim=True)


def add_noise(waveforms: Tensor, noise: Tensor, snr_db: Tensor) -> Tensor:
    """Add `noise`, scaled so that speech to noise is `snr_db` (B,) decibels over the whole recording.

    A silent recording is left as it is: no noise can be at a given ratio to it.
    """
    wanted = power(waveforms) / 10 ** (snr_db[:, None] / 10)
    return waveforms + noise * (wanted / power(noise).clamp_min(SILENCE)).sqrt()


def coloured_noise(shape: tuple[int, int], exponents: Tensor, random: Generator) -> Tensor:
    """Gaussian noise whose power falls with frequency as f^-exponent: 0 white, 1 pink, 2 brown; (B,) exponents."""
    spectrum = rfft(torch.randn(shape, generator=random))
    frequency = torch.arange(1, spectrum.shape[1] + 1, dtype=torch.float32)
    return irfft(spectrum * frequency ** (-exponents[:, None] / 2), n=shape[1])


def hum(shape: tuple[int, int], sample_rate: int, random: Generator) -> Tensor:
    """Mains hum: 50 or 60 Hz and its first harmonics, each at a strength and phase of its own."""
    batch, samples = shape
    base = torch.where(torch.rand(batch, generator=random) < 0.5, 50.0, 60.0)
    time = torch.arange(samples) / sample_rate
    total = torch.zeros(shape)
    for harmonic in range(1, 6):
        phase = uniform((batch, 1), 0, 2 * torch.pi, random)
        strength = uniform((batch, 1), 0, 1, random) / harmonic
        total += strength * torch.sin(2 * torch.pi * harmonic * base[:, None] * time + phase)
    return total


def reverberate(waveforms: Tensor, sample_rate: int, random: Generator) -> Tensor:
    """Convolve each recording with a room of its own: exponentially decaying noise, RT60 of 0.1 to 0.6 s (Polack 1988),
    with the direct sound 0 to 12 dB above it. The level is kept."""
    batch, samples = waveforms.shape
    length = int(0.4 * sample_rate)
    decay = uniform((batch, 1), 0.1, 0.6, random)
    time = torch.arange(length) / sample_rate
    room = torch.randn((batch, length), generator=random) * torch.exp(-6.91 * time / decay)
    room[:, 0] = 0
    room = room / room.square().sum(dim=1, keepdim=True).sqrt() * 10 ** (-uniform((batch, 1), 0, 12, random) / 20)
    room[:, 0] = 1
    size = samples + length
    wet = irfft(rfft(waveforms, n=size) * rfft(room, n=size), n=size)[:, :samples]
    return wet * (power(waveforms) / power(wet).clamp_min(SILENCE)).sqrt()


def telephone(waveforms: Tensor, sample_rate: int) -> Tensor:
    """What a telephone passes: 300 to 3400 Hz, through 8-bit mu-law (ITU-T G.711) and back."""
    samples = waveforms.shape[1]
    spectrum = rfft(waveforms)
    frequency = torch.fft.rfftfreq(samples, 1 / sample_rate)
    band = irfft(spectrum * ((frequency >= 300) & (frequency <= 3400)), n=samples)
    scaled = band / band.abs().amax(dim=1, keepdim=True).clamp_min(SILENCE)
    compressed = scaled.sign() * torch.log1p(255 * scaled.abs()) / torch.log(torch.tensor(256.0))
    steps = (compressed * 127).round() / 127
    expanded = steps.sign() * (256 ** steps.abs() - 1) / 255
    return expanded * band.abs().amax(dim=1, keepdim=True)


def tilt(waveforms: Tensor, sample_rate: int, random: Generator) -> Tensor:
    """A microphone's frequency response: up to 6 dB an octave, up or down, around 1 kHz. The level is kept."""
    spectrum = rfft(waveforms)
    octaves = torch.log2(torch.fft.rfftfreq(waveforms.shape[1], 1 / sample_rate).clamp_min(60) / 1000)
    gain = 10 ** (uniform((len(waveforms), 1), -6, 6, random) * octaves / 20)
    shaped = irfft(spectrum * gain, n=waveforms.shape[1])
    return shaped * (power(waveforms) / power(shaped).clamp_min(SILENCE)).sqrt()


def some(share: float, changed: Tensor, waveforms: Tensor, random: Generator) -> Tensor:
    """`changed` for a random `share` of the batch, the recordings as they are for the rest."""
    return torch.where(torch.rand((len(waveforms), 1), generator=random) < share, changed, waveforms)
