"""Recordings from bytes or JSON: WAV, FLAC, OGG or MP3, or a list of samples."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import soundfile
import torch
from torch import Tensor

from handlers.audio.front_end.resampling import resample
from handlers.errors import InvalidInput, MalformedInput, TooLarge, UnsupportedMedia
from handlers.protocol.payload import Payload

FORMATS = {"WAV", "WAVEX", "FLAC", "OGG", "MP3", "RF64"}
TYPES = {
    "audio/wav",
    "audio/x-wav",
    "audio/wave",
    "audio/vnd.wave",
    "audio/flac",
    "audio/x-flac",
    "audio/ogg",
    "application/ogg",
    "audio/vorbis",
    "audio/opus",
    "audio/mpeg",
    "audio/mp3",
}
MIN_RATE, MAX_RATE = 1_000, 384_000
MAX_SECONDS = 60.0


def decode_audio(payload: Payload, sample_rate: int, max_seconds: float = MAX_SECONDS) -> Tensor:
    """A recording as float32 (samples,) in [-1, 1], mono (the mean of its channels), at `sample_rate` Hz.

    A JSON list of samples is taken to be at `sample_rate` unless the parameter sample_rate says otherwise.

    Raises UnsupportedMedia for another content type or format, TooLarge above max_seconds (read from the header),
    MalformedInput for a broken file, InvalidInput for one without samples or with samples that are not finite.
    """
    if isinstance(payload.data, str):
        raise InvalidInput("the data is text; wanted a recording")
    if isinstance(payload.data, list):
        rate = payload.integer("sample_rate", sample_rate, MIN_RATE, MAX_RATE)
        samples = from_numbers(payload.data, rate, max_seconds)
    else:
        rate, samples = from_file(payload.data, payload.content_type, max_seconds)
    if samples.size == 0:
        raise InvalidInput("the recording has no samples")
    if not np.isfinite(samples).all():
        raise InvalidInput("the recording holds samples that are not finite")
    waveform = torch.from_numpy(samples).clamp_(-1.0, 1.0)
    return waveform if rate == sample_rate else resample(waveform, rate, sample_rate).clamp_(-1.0, 1.0)


def from_file(data: bytes, content_type: str, max_seconds: float) -> tuple[int, np.ndarray[Any, np.dtype[np.float32]]]:
    if content_type and content_type not in TYPES:
        raise UnsupportedMedia(f"content type {content_type!r}; this model takes {', '.join(sorted(TYPES))}")
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            if file.format not in FORMATS:
                raise UnsupportedMedia(f"the recording's format is {file.format}; wanted WAV, FLAC, OGG or MP3")
            if not MIN_RATE <= file.samplerate <= MAX_RATE:
                raise InvalidInput(f"the sample rate is {file.samplerate} Hz; wanted {MIN_RATE} to {MAX_RATE}")
            # Header lengths can lie: at most one sample past the limit is ever read.
            limit = int(max_seconds * file.samplerate)
            samples = file.read(frames=limit + 1, dtype="float32", always_2d=True)
            rate = file.samplerate
    except (soundfile.LibsndfileError, RuntimeError, ValueError, MemoryError) as error:
        raise MalformedInput(f"the recording is broken or of no known format: {str(error)[:120]}") from None
    if len(samples) > limit:
        raise TooLarge(f"the recording is longer than the limit of {max_seconds:g} seconds")
    return rate, samples.mean(axis=1)


def from_numbers(values: list[Any], rate: int, max_seconds: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    if len(values) > max_seconds * rate:
        raise TooLarge(f"the recording has {len(values) / rate:.1f} seconds, the limit is {max_seconds:g}")
    try:
        samples = np.array(values, dtype=np.float32)
    except (TypeError, ValueError, OverflowError):
        raise InvalidInput("the samples are ragged or something other than numbers") from None
    if samples.ndim != 1:
        raise InvalidInput(f"the samples have shape {list(samples.shape)}; wanted one list, mono")
    return samples
