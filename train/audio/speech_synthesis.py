"""Speech from text by eSpeak NG, in its many voices; the library and its data come in the package espeakng-loader."""

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

# Names and numbers of espeak-ng's speak_lib.h. Its asynchronous mode speaks in a thread and sleeps until it has, which
# takes 20 ms a word instead of 1.4.
AUDIO_OUTPUT_SYNCHRONOUS = 2
CHARS_UTF8 = 1
RATE, PITCH, RANGE = 1, 3, 4
POS_CHARACTER = 1
SEED = 1


@dataclass(frozen=True)
class Voice:
    """name: language and variant, as in "en-us+f3". rate: words a minute. pitch, pitch_range: 0 to 100, 50 is usual."""

    name: str
    rate: int = 175
    pitch: int = 50
    pitch_range: int = 50


class SynthesisError(Exception):
    """eSpeak NG refused a voice or a text."""


@cache
def library() -> tuple[ctypes.CDLL, int, list[NDArray[np.int16]], Any]:
    """The library, its sample rate in Hz, the list its callback fills, and the callback, which must stay alive.

    eSpeak NG is one per process and not safe to use from several threads.
    """
    espeak = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = espeak.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, str(espeakng_loader.get_data_path()).encode(), 0)
    if rate <= 0:
        raise SynthesisError("eSpeak NG did not start")
    espeak.espeak_ng_SetRandSeed(SEED)  # of breath and hoarseness; by default the time
    chunks: list[NDArray[np.int16]] = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
    def collect(samples: Any, count: int, events: Any) -> int:
        if count > 0:
            chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    espeak.espeak_SetSynthCallback(collect)
    return espeak, rate, chunks, collect


def sample_rate() -> int:
    """Of what `speak` returns, in Hz."""
    return library()[1]


def speak(text: str, voice: Voice) -> NDArray[np.float32]:
    """The spoken text, (samples,) in [-1, 1] at `sample_rate()`. Raises SynthesisError for an unknown voice.

    The same calls in the same order give the same samples; what the process has spoken before leaves its trace.
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
    """What `speak` gives for each text and voice, in a process of its own: the same lines, the same samples."""
    texts, voices = zip(*lines, strict=True)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        yield from process.map(speak, texts, voices, chunksize=16)


def variants() -> list[str]:
    """The voice variants that come with the data, such as "f3" or "Andrea", sorted."""
    folder = Path(espeakng_loader.get_data_path()) / "voices" / "!v"
    return sorted(path.name for path in folder.iterdir() if path.is_file())
