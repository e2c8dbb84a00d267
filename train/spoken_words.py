"""Words spoken by many synthesised voices, and the recordings of them that a microphone might have made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from rich.progress import track
from torch import Generator, Tensor
from torch.nn import functional as F
from torch.utils.data import IterableDataset

from handlers.audio.front_end.level import normalise_peak
from handlers.audio.front_end.resampling import resample
from handlers.audio.front_end.trimming import trim
from train.audio_augmentation.chance import on_some, uniform
from train.audio_augmentation.microphone import tilt
from train.audio_augmentation.noise import add_noise, coloured_noise, hum
from train.audio_augmentation.one_of import OneOf
from train.audio_augmentation.pitch_shift import change_speed
from train.audio_augmentation.room import random_rooms, reverberate
from train.audio_augmentation.telephone import telephone
from train.speech_synthesis import Voice, sample_rate, speak_all, variants

ACCENTS = ("en-us", "en-gb-scotland", "en-gb-x-rp", "en-029", "en-gb-x-gbcwmd", "en-us-nyc")
# Robots, monsters and effects: no microphone hears them.
UNNATURAL = ("robo", "Robot", "Demonic", "Storm", "Tweaky", "fast", "AnxiousAndy", "kaukovalta", "Ricishay", "croak")
HELD_OUT_EVERY = 4
# Speeds of a tape: larger and smaller speakers than the synthesiser has.
SPEEDS = (0.87, 1.15)
SPOKEN_OTHERWISE = OneOf(effects=("pitch-shift", "time-stretch"))
ROOMS = 48


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
    """Every word by every speaker, `takes` times, each in another accent, tempo, pitch and melody, at `rate` Hz.

    For training every second take is played at another speed, its pitch shifted or its time stretched, too: people
    differ by more than the synthesiser's voices do. Voices held out are as they were synthesised.
    """
    random, chance = np.random.default_rng(seed), Generator().manual_seed(seed)
    voices = []
    for name in speakers(held_out):
        for take in range(takes):
            accent = str(random.choice(ACCENTS))
            tempo, pitch, melody = (int(random.integers(*span)) for span in ((115, 240), (20, 80), (20, 80)))
            voices.append((name, take, Voice(f"{accent}+{name}", tempo, pitch, melody)))
    said = [(name, take, label, voice) for name, take, voice in voices for label in range(len(words))]
    recordings = speak_all([(words[label], voice) for _, _, label, voice in said])
    title = f"{'held-out' if held_out else 'training'} voices"
    utterances = []
    for (name, take, label, _), recording in track(zip(said, recordings, strict=True), title, total=len(said)):
        spoken = resample(torch.from_numpy(recording), sample_rate(), rate)
        if take % 2 and not held_out:
            spoken = speak_otherwise(spoken, chance)
        # Trimming reads the noise off the pauses, and a word has none: its faintest sound would go.
        in_silence = F.pad(spoken, (rate // 4, rate // 4))
        utterances.append(Utterance(normalise_peak(trim(in_silence, rate)), label, name))
    return utterances


def speak_otherwise(waveform: Tensor, random: Generator) -> Tensor:
    faster = change_speed(waveform[None], uniform(1, *SPEEDS, random).item())
    with_space = F.pad(faster, (0, faster.shape[1] // 4))  # a slower word is longer
    return SPOKEN_OTHERWISE(with_space, random)[0]


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
        self.rooms = random_rooms(ROOMS, rate, Generator().manual_seed(seed))

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
        heard = on_some(0.5, lambda some: self.in_a_room(some, random), clean, random)
        heard = on_some(0.5, lambda some: tilt(some, self.rate, random), heard, random)
        heard = add_noise(heard, self.noise((clean.shape[0], clean.shape[1]), random), snr_db)
        heard = on_some(0.2, lambda some: telephone(some / peak_of(some), self.rate), heard, random)
        # One in ten is recorded too loud and clipped.
        level = 10 ** (uniform((len(heard), 1), -30.0, 0.0, random) / 20)
        level = on_some(0.1, lambda some: torch.full_like(some, 2.0), level, random)
        return (heard / peak_of(heard) * level).clamp(-1, 1)

    def in_a_room(self, clean: Tensor, random: Generator) -> Tensor:
        chosen = torch.randint(ROOMS, (len(clean),), generator=random)
        return reverberate(clean, self.rooms[chosen])

    def noise(self, shape: tuple[int, int], random: Generator) -> Tensor:
        """For each recording one of: noise of any colour, mains hum with noise, or the babble of three other words."""
        coloured = coloured_noise(shape, uniform(shape[0], 0.0, 2.0, random), random)
        noise = coloured / coloured.std(dim=1, keepdim=True)
        kind = torch.rand(shape[0], generator=random)
        mains, babble = (kind >= 0.65) & (kind < 0.8), kind >= 0.8
        hums = hum((int(mains.sum()), shape[1]), self.rate, random)
        noise[mains] = hums / hums.std(dim=1, keepdim=True).clamp_min(1e-6) + 0.3 * noise[mains]
        noise[babble] = self.babble(int(babble.sum()), shape[1], random)
        return noise

    def babble(self, count: int, samples: int, random: Generator) -> Tensor:
        """Three other words at once, (count, samples)."""
        total = torch.zeros(count, samples)
        for _ in range(3):
            chosen = torch.randint(len(self.utterances), (count,), generator=random).tolist()
            for row, index in zip(total, chosen, strict=True):
                row += place(self.utterances[index].waveform, samples, random)
        return total


def peak_of(waveforms: Tensor) -> Tensor:
    return waveforms.abs().amax(dim=1, keepdim=True).clamp_min(1e-6)


def place(waveform: Tensor, samples: int, random: Generator) -> Tensor:
    """The word at a random place of a window of `samples`; one that is longer loses its end."""
    waveform = waveform[:samples]
    start = int(torch.randint(samples - len(waveform) + 1, (1,), generator=random))
    window = torch.zeros(samples)
    window[start : start + len(waveform)] = waveform
    return window
