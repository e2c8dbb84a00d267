"""Text-to-speech with eSpeak NG; the package espeakng-loader provides the library and its voices."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

# Names and values from espeak-ng's speak_lib.h. The asynchronous mode waits for a thread, which takes 20 ms per word
# instead of 1.4.
AUDIO_OUTPUT_SYNCHRONOUS = 2
CHARS_UTF8 = 1
RATE, PITCH, RANGE = 1, 3, 4
POS_CHARACTER = 1
SEED = 1


@dataclass(frozen=True)
class Voice:
    """name: language and variant, such as "en-us+f3". rate: words per minute. pitch, pitch_range: 0 to 100."""

    name: str
    rate: int = 175
    pitch: int = 50
    pitch_range: int = 50


class SynthesisError(Exception):
    """eSpeak NG refused a voice or a text."""


@cache
def library() -> tuple[ctypes.CDLL, int, list[NDArray[np.int16]], Any]:
    """Return the library, its sample rate in Hz, the list its callback fills, and the callback, to keep it alive.

    eSpeak NG exists once per process and is not thread-safe.
    """
    espeak = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = espeak.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, str(espeakng_loader.get_data_path()).encode(), 0)
    if rate <= 0:
        raise SynthesisError("eSpeak NG did not start")
    espeak.espeak_ng_SetRandSeed(SEED)  # for breath and hoarseness; by default the current time
    chunks: list[NDArray[np.int16]] = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
    def collect(samples: Any, count: int, events: Any) -> int:
        if count > 0:
            chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    espeak.espeak_SetSynthCallback(collect)
    return espeak, rate, chunks, collect


def sample_rate() -> int:
    """Sample rate of `speak`'s output, in Hz."""
    return library()[1]


def speak(text: str, voice: Voice) -> NDArray[np.float32]:
    """Speak a text: (samples,) in [-1, 1] at `sample_rate()`. Raises SynthesisError for an unknown voice.

    The same calls in the same order give the same samples; earlier calls in the process influence later ones.
    """
    espeak, _, chunks, _ = library()
    if espeak.espeak_SetVoiceByName(voice.name.encode()):
        raise SynthesisError(f"no voice {voice.name!r}")
    for parameter, value in ((RATE, voice.rate), (PITCH, voice.pitch), (RANGE, voice.pitch_range)):
        espeak.espeak_SetParameter(parameter, value, 0)
    chunks.clear()
    data = text.encode()
    if espeak.espeak_Synth(data, len(data) + 1, 0, POS_CHARACTER, 0, CHARS_UTF8, None, None):
        raise SynthesisError(f"could not speak {text!r}")
    samples = np.concatenate(chunks) if chunks else np.zeros(0, np.int16)
    return samples.astype(np.float32) / np.float32(32768)


def speak_all(lines: Sequence[tuple[str, Voice]]) -> Iterator[NDArray[np.float32]]:
    """Speak each text in a separate process, so that the same lines always give the same samples."""
    texts, voices = zip(*lines, strict=True)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        yield from process.map(speak, texts, voices, chunksize=16)


def variants() -> list[str]:
    """The installed voice variants, such as "f3" or "Andrea", sorted."""
    folder = Path(espeakng_loader.get_data_path()) / "voices" / "!v"
    return sorted(path.name for path in folder.iterdir() if path.is_file())
