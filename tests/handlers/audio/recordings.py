"""Recordings as files, and back."""

import io
from typing import Any

import numpy as np
import soundfile

from handlers.audio.decoding import decode_audio
from handlers.protocol.payload import Payload

RATE = 16_000


def encoded(samples: np.ndarray, kind: str = "WAV", subtype: str | None = None, rate: int = RATE) -> bytes:
    """In blocks: libsndfile's Vorbis encoder overflows its stack on minutes at once."""
    buffer = io.BytesIO()
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    with soundfile.SoundFile(buffer, "w", rate, channels, subtype, format=kind) as file:
        for start in range(0, len(samples), 4096):
            file.write(samples[start : start + 4096])
    return buffer.getvalue()


def decoded(data: bytes, **limits: Any) -> np.ndarray:
    waveform = decode_audio(Payload(data), RATE, **limits)
    return waveform.numpy()
