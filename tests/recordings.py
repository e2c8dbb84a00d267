"""Recordings that features and front ends are measured on: synthesised speech, tones, and what breaks naive code."""

from collections.abc import Callable
from functools import cache, partial

import librosa
import numpy as np
from numpy.typing import NDArray

from train.audio.speech_synthesis import Voice, sample_rate, speak

RATE = 16_000
Samples = NDArray[np.float32]
SENTENCES = (
    ("The quick brown fox jumps over the lazy dog.", Voice("en-us")),
    ("She sells sea shells by the sea shore.", Voice("en-gb-scotland+f3", rate=150)),
    ("Five hundred and seventy two, please.", Voice("en-029+m4", rate=200, pitch=35)),
)


def speech(text: str = "seven", voice: Voice | None = None, rate: int = RATE) -> Samples:
    return librosa.resample(speak(text, voice or Voice("en-us")), orig_sr=sample_rate(), target_sr=rate)


@cache
def sentences(rate: int = RATE) -> list[Samples]:
    """The same throughout a test run: the synthesiser does not say anything twice alike."""
    return [speech(text, voice, rate) for text, voice in SENTENCES]


def tone(hertz: float, seconds: float = 1.0, rate: int = RATE) -> Samples:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


# By name, all at RATE; made when a test asks, for speech takes seconds to synthesise.
HARD_SIGNALS: dict[str, Callable[[], Samples]] = {
    **{f"speech {index}": partial(lambda index: sentences()[index], index) for index in range(len(SENTENCES))},
    "clipped speech": lambda: np.clip(sentences()[0] * 20, -1, 1),
    "quiet speech": lambda: sentences()[0] * np.float32(1e-4),
    "440 Hz": lambda: tone(440),
    "chirp": lambda: librosa.chirp(fmin=60, fmax=7600, sr=RATE, duration=1.5).astype(np.float32),
    "noise": lambda: np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32),
    "silence": lambda: np.zeros(RATE, np.float32),
    "constant": lambda: np.full(RATE, 0.25, np.float32),
    "click": lambda: np.eye(1, RATE, RATE // 2, dtype=np.float32)[0],
    "100 samples": lambda: sentences()[0][4000:4100],
    "1 sample": lambda: np.full(1, 0.5, np.float32),
}
