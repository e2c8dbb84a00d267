"""Recordings from bytes or JSON: a file of one of several formats, or a list of samples."""

from __future__ import annotations

import io
from array import array
from typing import Any

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from handlers.audio.containers import wav
from handlers.audio.containers.kind import Kind, recognise
from handlers.audio.front_end.resampling import resample
from handlers.audio.limits import UNKNOWN, Limits, check_rate
from handlers.errors import InvalidInput, MalformedInput, TooLarge, UnsupportedMedia
from handlers.formats.preprocessing.form import MAX_RATE, MIN_RATE
from handlers.protocol.payload import Payload

TYPES = {
    "audio/wav",
    "audio/x-wav",
    "audio/wave",
    "audio/x-wave",
    "audio/x-pn-wav",
    "audio/vnd.wave",
    "audio/flac",
    "audio/x-flac",
    "audio/ogg",
    "audio/x-flac+ogg",
    "audio/x-opus+ogg",
    "audio/x-vorbis+ogg",
    "application/ogg",
    "video/ogg",  # what Windows says of .ogg
    "audio/vorbis",
    "audio/opus",
    "audio/mpeg",
    "audio/mp3",
    "audio/x-mp3",
    "audio/mpeg3",
    "audio/x-mpeg",
    "audio/mp4",
    "audio/mp4a-latm",
    "audio/m4a",
    "audio/x-m4a",
    "audio/aac",
    "audio/aacp",
    "audio/x-aac",
    "audio/webm",
    "video/webm",  # what a browser's file picker says of a recording, too
    "video/mp4",
}
WANTED_TYPES = "audio/wav, audio/flac, audio/ogg, audio/mpeg, audio/mp4, audio/aac or audio/webm"
MAX_SECONDS = 60.0
MAX_SAMPLES = 12_000_000
# Encoders and masters overdrive by some decibels, which is clipped as every player does. What is louder than this times
# full scale is a file of integers that were written as floats.
MAX_PEAK = 8.0
# Channels of which less than this is left when they are averaged (-20 dB) are each other's opposite: what is left of
# them is the coding's noise.
CANCELLED = 0.1
NOT_MONO = "the samples are something other than one list of numbers, mono"

Samples = NDArray[np.float32]


def decode_audio(
    payload: Payload, sample_rate: int, max_seconds: float = MAX_SECONDS, max_samples: int = MAX_SAMPLES
) -> Tensor:
    """A recording as float32 (samples,) in [-1, 1], mono (the mean of its channels), at `sample_rate` Hz.

    A JSON list of samples is taken to be at `sample_rate` unless the parameter sample_rate says otherwise. Channels
    that cancel each other are silence. max_samples: in all channels, before resampling.

    Raises UnsupportedMedia for another content type or format, TooLarge above a limit (read from the header),
    MalformedInput for a broken file, InvalidInput for one without samples or with samples out of range.
    """
    limits = Limits(max_seconds, max_samples)
    if isinstance(payload.data, str):
        raise InvalidInput("the data is text; wanted a recording")
    if isinstance(payload.data, (list, np.ndarray)):
        rate = payload.integer("sample_rate", sample_rate, MIN_RATE, MAX_RATE)
        samples = from_numbers(payload.data, rate, limits)
    else:
        rate, samples = from_file(payload.data, payload.content_type, limits)
    if samples.size == 0:
        raise InvalidInput("the recording has no samples")
    waveform = torch.from_numpy(samples).clamp_(-1.0, 1.0)
    return waveform if rate == sample_rate else resample(waveform, rate, sample_rate).clamp_(-1.0, 1.0)


def from_file(data: bytes, content_type: str, limits: Limits) -> tuple[int, Samples]:
    if content_type and content_type not in TYPES:
        raise UnsupportedMedia(f"content type {content_type[:60]!r}; this model takes {WANTED_TYPES}")
    kind, start = recognise(data)
    data = data[start:]
    match kind:  # a worker starts sooner without all of them
        case Kind.WAV:
            data = wav.repaired(data)
        case Kind.FLAC:
            from handlers.audio.containers import flac

            flac.check_blocks(data)
        case Kind.MP3:
            from handlers.audio.containers.mp3_length import with_length

            data = with_length(data, limits)
        case Kind.OGG:
            from handlers.audio.containers import ogg

            return from_links([ogg.native_flac(link) or link for link in ogg.links(data)], limits)
        case Kind.M4A | Kind.AAC | Kind.WEBM:
            from handlers.audio.containers import ffmpeg

            rate, samples = ffmpeg.decode(data, kind, limits)
            return rate, mono(samples)
    return from_libsndfile(data, limits)


def from_links(links: list[bytes], limits: Limits) -> tuple[int, Samples]:
    """All links of an Ogg chain, one after the other, at the rate of the first."""
    rate, parts, count = 0, [], 0
    for link in links:
        own, samples = from_libsndfile(link, limits)
        rate = rate or own
        if own != rate:
            samples = resample(torch.from_numpy(samples), own, rate).numpy()
        parts.append(samples)
        count += len(samples)
        limits.check(count, rate, 1)
    if not parts:
        raise MalformedInput("the recording is broken: it has no whole Ogg page")
    return rate, parts[0] if len(parts) == 1 else np.concatenate(parts)


class Stream(soundfile.SoundFile):
    """A file that is read to its end, of a length that its header does not have: soundfile would cut what it reads to
    that length, and libsndfile cannot go to a place in it."""

    def seekable(self) -> bool:
        return self.frames < UNKNOWN


def from_libsndfile(data: bytes, limits: Limits) -> tuple[int, Samples]:
    try:
        with Stream(io.BytesIO(data)) as file:
            rate, channels = file.samplerate, file.channels
            check_rate(rate)
            if file.frames < UNKNOWN:
                limits.check(file.frames, rate, channels)
            # The header can lie: at most one sample past the limit is ever read.
            samples = file.read(frames=limits.frames(rate, channels) + 1, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise MalformedInput(f"the recording is broken: {error.error_string[:120]}") from None
    except (RuntimeError, ValueError, MemoryError):
        raise MalformedInput("the recording is broken") from None
    limits.check(len(samples), rate, channels)
    return rate, mono(samples)


def mono(samples: Samples) -> Samples:
    """(samples, channels) → (samples,): the mean, or silence where it is but the rest of channels that cancel out."""
    channels = samples.shape[1]
    mean: Samples = samples[:, 0] if channels == 1 else samples.mean(axis=1)
    peak = max(mean.max(), -mean.min()) if mean.size else np.float32(0.0)  # not finite if any sample is not
    if not np.isfinite(peak):
        raise InvalidInput("the recording holds samples that are not finite")
    if peak > MAX_PEAK:
        raise InvalidInput(f"the recording's samples reach {peak:.6g}; wanted -1 to 1")
    if channels > 1 and np.vdot(mean, mean) * channels < CANCELLED**2 * np.vdot(samples, samples):
        return np.zeros_like(mean)
    return mean


def from_numbers(values: list[Any] | NDArray[Any], rate: int, limits: Limits) -> Samples:
    if len(values) > limits.seconds * rate:
        raise TooLarge(f"the recording has {len(values) / rate:.1f} seconds, the limit is {limits.seconds:g}")
    limits.check(len(values), rate, 1)
    samples = from_array(values) if isinstance(values, np.ndarray) else from_list(values)
    peak = np.abs(samples).max(initial=0.0)
    if not peak <= 1:
        raise InvalidInput(f"the samples reach {peak:.6g}; wanted -1 to 1: divide samples of 16 bits by 32768")
    return samples


def from_list(values: list[Any]) -> Samples:
    try:
        # As fast as numpy's own conversion, which would take null, and numbers in quotes or in lists of lists.
        return np.frombuffer(array("f", values), np.float32)
    except TypeError:
        raise InvalidInput(NOT_MONO) from None
    except OverflowError:
        raise InvalidInput("the samples are out of range; wanted -1 to 1") from None


def from_array(values: NDArray[Any]) -> Samples:
    if values.ndim != 1 or values.dtype.kind not in "iuf":
        raise InvalidInput(NOT_MONO)
    with np.errstate(over="ignore"):
        return values.astype(np.float32)
