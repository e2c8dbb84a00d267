"""Words spoken by many synthesised voices, and the recordings of them that a microphone might have made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Generator, Tensor
from torch.utils.data import IterableDataset
from torchaudio.transforms import Resample

from train.audio_augmentation import (
    add_noise,
    coloured_noise,
    hum,
    reverberate,
    some,
    telephone,
    tilt,
    uniform,
)
from train.speech_synthesis import Voice, sample_rate, speak, variants

ACCENTS = ("en-us", "en-gb-scotland", "en-gb-x-rp", "en-029", "en-gb-x-gbcwmd", "en-us-nyc")
# Robots, monsters and effects: no microphone hears them.
UNNATURAL = ("robo", "Robot", "Demonic", "Storm", "Tweaky", "fast", "AnxiousAndy", "kaukovalta", "Ricishay", "croak")
HELD_OUT_EVERY = 4
THRESHOLD = 0.01


@dataclass(frozen=True)
class Utterance:
    """waveform: (samples,) without silence at its ends, its peak at 1."""

    waveform: Tensor
    label: int
    voice: str


def speakers(held_out: bool) -> list[str]:
    """Voice variants for training, or those kept from it: every fourth."""
    natural = [name for name in variants() if not any(part in name for part in UNNATURAL)]
    return [name for index, name in enumerate(natural) if (index % HELD_OUT_EVERY == 0) == held_out]


def record(words: Sequence[str], takes: int, held_out: bool, rate: int, seed: int) -> list[Utterance]:
    """Every word by every speaker, `takes` times, each in another accent, tempo, pitch and melody, at `rate` Hz."""
    random = np.random.default_rng(seed)
    utterances = []
    names = speakers(held_out)
    resample = Resample(sample_rate(), rate)
    for name in track(names, f"{'held-out' if held_out else 'training'} voices"):
        for _ in range(takes):
            accent = str(random.choice(ACCENTS))
            tempo, pitch, melody = (int(random.integers(*span)) for span in ((115, 240), (20, 80), (20, 80)))
            voice = Voice(f"{accent}+{name}", tempo, pitch, melody)
            for label, word in enumerate(words):
                spoken = trim(speak(word, voice))
                utterances.append(Utterance(resample(torch.from_numpy(spoken)), label, name))
    return utterances


def trim(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Without the silence at both ends, its peak at 1; a silent one as it is."""
    peak = np.abs(waveform).max(initial=0.0)
    loud = np.flatnonzero(np.abs(waveform) > THRESHOLD * peak)
    return waveform[loud[0] : loud[-1] + 1] / peak if len(loud) else waveform


class NoisyRecordings(IterableDataset[tuple[Tensor, Tensor]]):
    """Endless or counted batches of (waveforms (B, samples), labels (B,)), each recording made anew.

    The word stands at a random place of the window; room, microphone, telephone, noise and level are random.
    """

    def __init__(
        self, utterances: Sequence[Utterance], samples: int, rate: int, batches: int, batch_size: int, seed: int
    ) -> None:
        self.utterances = utterances
        self.samples = samples
        self.rate = rate
        self.batches = batches
        self.batch_size = batch_size
        self.seed = seed

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        random = Generator().manual_seed(self.seed)
        for _ in range(self.batches):
            chosen = torch.randint(len(self.utterances), (self.batch_size,), generator=random).tolist()
            batch = [self.utterances[index] for index in chosen]
            clean = torch.stack([place(item.waveform, self.samples, random) for item in batch])
            snr = uniform(self.batch_size, 0.0, 30.0, random)
            yield self.degrade(clean, snr, random), torch.tensor([item.label for item in batch])

    def degrade(self, clean: Tensor, snr_db: Tensor, random: Generator) -> Tensor:
        """A recording of each clean one at this ratio of speech to noise; levels from -30 to 0 dB of full scale."""
        shape = (clean.shape[0], clean.shape[1])
        heard = some(0.5, reverberate(clean, self.rate, random), clean, random)
        heard = some(0.5, tilt(heard, self.rate, random), heard, random)
        heard = add_noise(heard, self.noise(shape, random), snr_db)
        heard = some(0.2, telephone(heard, self.rate), heard, random)
        peak = heard.abs().amax(dim=1, keepdim=True).clamp_min(1e-6)
        # One in ten is recorded too loud and clipped.
        level = 10 ** (uniform((len(heard), 1), -30.0, 0.0, random) / 20)
        level = some(0.1, torch.full_like(level, 2.0), level, random)
        return (heard / peak * level).clamp(-1, 1)

    def noise(self, shape: tuple[int, int], random: Generator) -> Tensor:
        """For each recording one of: noise of any colour, mains hum with noise, or the babble of three other words."""
        coloured = coloured_noise(shape, uniform(shape[0], 0.0, 2.0, random), random)
        coloured = coloured / coloured.std(dim=1, keepdim=True)
        mains = hum(shape, self.rate, random)
        mains = mains / mains.std(dim=1, keepdim=True).clamp_min(1e-6) + 0.3 * coloured
        babble = torch.zeros(shape)
        for _ in range(3):
            chosen = torch.randint(len(self.utterances), (shape[0],), generator=random).tolist()
            babble += torch.stack([place(self.utterances[i].waveform, shape[1], random) for i in chosen])
        kind = torch.rand((shape[0], 1), generator=random)
        return torch.where(kind < 0.65, coloured, torch.where(kind < 0.8, mains, babble))


def place(waveform: Tensor, samples: int, random: Generator) -> Tensor:
    """The word at a random place of a window of `samples`; one that is longer loses its end."""
    waveform = waveform[:samples]
    start = int(torch.randint(samples - len(waveform) + 1, (1,), generator=random))
    window = torch.zeros(samples)
    window[start : start + len(waveform)] = waveform
    return window
