"""Chroma: energy by pitch class, octaves folded together."""

import math

import torch
from torch import Tensor, nn

from handlers.audio.features.spectrogram import Spectrogram, frequencies

PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
CONCERT_PITCH = 440.0
SILENCE = 1.2e-38


class Chroma(nn.Module):
    """Energy in the 12 pitch classes from C to B, the strongest of each frame 1: (B, samples) → (B, 12, frames).

    A440 is A. Silence is 0 in all classes. The transform is longer than the other features': its bins must be
    narrower than a semitone where music lies, 128 ms at 16 kHz tell them apart from 130 Hz up.

    Agrees with librosa.feature.chroma_stft (tuning=0) to 1e-4, float32's rounding through filters and norm.
    """

    classes: Tensor  # TorchScript reads it: no postponed annotations in this file

    def __init__(self, sample_rate: int = 16_000, size: int = 2048, window: int = 2048, hop: int = 160) -> None:
        super().__init__()
        self.silence = SILENCE
        self.spectrogram = Spectrogram(size, window, hop)
        self.register_buffer("classes", pitch_classes(sample_rate, size), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        energy = torch.matmul(self.classes.to(waveforms.dtype), self.spectrogram(waveforms))
        return energy / energy.amax(dim=1, keepdim=True).clamp_min(self.silence)


def pitch_classes(sample_rate: int, size: int) -> Tensor:
    """How much of each bin belongs to each pitch class, (12, bins), after Ellis 2007, "Chroma feature analysis".

    A bin counts for a class by a Gaussian of their distance in semitones, as wide as the bin but no narrower than a
    semitone; bins count less the further they are from five octaves over 27.5 Hz, 2 octaves being one deviation.
    """
    hertz = frequencies(sample_rate, size).double()
    semitones = 12 * torch.log2(hertz[1:] / (CONCERT_PITCH / 16))
    # The bin at 0 Hz has no pitch: it stands an octave and a half below the next.
    semitones = torch.cat([semitones[:1] - 18, semitones])
    width = torch.cat([(semitones[1:] - semitones[:-1]).clamp_min(1.0), torch.ones(1, dtype=torch.float64)])
    # Pitch classes count from A here, as 27.5 Hz is one; the answer counts from C.
    distance = torch.remainder(semitones[None] - torch.arange(12)[:, None] + 6, 12) - 6
    belongs = torch.exp(-2 * (distance / width).square())
    belongs = belongs / belongs.norm(dim=0, keepdim=True)
    audible = torch.exp(-0.5 * ((semitones / 12 - 5) / 2).square())
    return torch.roll(belongs * audible, -3, dims=0).float()


def pitch_class(hertz: float) -> str:
    """The name of the nearest pitch class of the equal-tempered scale."""
    return PITCH_CLASSES[(round(12 * math.log2(hertz / CONCERT_PITCH)) + 9) % 12]
