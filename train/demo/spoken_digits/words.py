"""Words spoken by many synthetic voices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from rich.progress import track
from torch import Generator, Tensor
from torch.nn import functional as F

from handlers.audio.front_end.level import normalise_peak
from handlers.audio.front_end.resampling import resample
from handlers.audio.front_end.trimming import trim
from train.audio.augmentation.chance import uniform
from train.audio.augmentation.one_of import OneOf
from train.audio.augmentation.pitch_shift import change_speed
from train.audio.speech_synthesis import Voice, sample_rate, speak_all, variants

ACCENTS = ("en-us", "en-gb-scotland", "en-gb-x-rp", "en-029", "en-gb-x-gbcwmd", "en-us-nyc")
# Robots, monsters and effects, which do not sound like people.
UNNATURAL = ("robo", "Robot", "Demonic", "Storm", "Tweaky", "fast", "AnxiousAndy", "kaukovalta", "Ricishay", "croak")
HELD_OUT_EVERY = 4
# Tape speeds that imitate larger and smaller speakers than the synthesiser's.
SPEEDS = (0.87, 1.15)
SPOKEN_OTHERWISE = OneOf(effects=("pitch-shift", "time-stretch"))


@dataclass(frozen=True)
class Utterance:
    """waveform: (samples,), trimmed and with a peak of 1."""

    waveform: Tensor
    label: int
    voice: str


def speakers(held_out: bool) -> list[str]:
    """Voice variants for training, or the held-out ones, every fourth."""
    natural = [name for name in variants() if not any(part in name for part in UNNATURAL)]
    return [name for index, name in enumerate(natural) if (index % HELD_OUT_EVERY == 0) == held_out]


def record(words: Sequence[str], takes: int, held_out: bool, rate: int, seed: int) -> list[Utterance]:
    """Record every word by every speaker `takes` times, with varying accent, tempo, pitch and melody, at `rate` Hz.

    For training, every second take is also changed in speed, pitch or tempo, because people differ more than the
    synthesiser's voices. Held-out voices are not changed.
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
        # Trimming estimates the noise from pauses. A word has none, so its faintest sound would be cut off.
        in_silence = F.pad(spoken, (rate // 4, rate // 4))
        utterances.append(Utterance(normalise_peak(trim(in_silence, rate)), label, name))
    return utterances


def speak_otherwise(waveform: Tensor, random: Generator) -> Tensor:
    faster = change_speed(waveform[None], uniform(1, *SPEEDS, random).item())
    with_space = F.pad(faster, (0, faster.shape[1] // 4))  # a slower word is longer
    return SPOKEN_OTHERWISE(with_space, random)[0]
