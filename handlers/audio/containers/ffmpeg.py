"""M4A, AAC and WebM, which libsndfile does not read, by FFmpeg's libraries through PyAV: an extra of a server."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handlers.audio.containers.kind import Kind
from handlers.audio.limits import Limits, check_rate
from handlers.errors import InvalidInput, MalformedInput, UnsupportedMedia

# FFmpeg's names. It reads hundreds of formats and codecs; a request has no business with the others.
DEMUXERS = {Kind.M4A: "mov", Kind.AAC: "aac", Kind.WEBM: "matroska"}
CODECS = ("aac", "alac", "opus", "vorbis", "mp3", "mp3float", "flac")


def decode(data: bytes, kind: Kind, limits: Limits) -> tuple[int, NDArray[np.float32]]:
    """The sample rate, and the samples (samples, channels) of the first audio stream; what stands beside it is skipped.

    Raises UnsupportedMedia without PyAV or for another codec, TooLarge above the limits, InvalidInput without sound,
    MalformedInput for a broken file.
    """
    try:
        import av
    except ImportError:
        raise UnsupportedMedia(
            f"the recording's format is {kind.value}, which this server does not read: ./scripts/setup media adds it"
        ) from None
    try:
        with av.open(io.BytesIO(data), format=DEMUXERS[kind], metadata_errors="ignore") as file:
            if not file.streams.audio:
                raise InvalidInput(f"the {kind.value} file has no sound")
            return read(av, file, file.streams.audio[0], limits)
    except (av.FFmpegError, ValueError, MemoryError) as error:
        raise MalformedInput(f"the {kind.value} file is broken: {type(error).__name__}") from None


def read(av: Any, file: Any, stream: Any, limits: Limits) -> tuple[int, NDArray[np.float32]]:
    codec, rate, channels = stream.codec_context.name, int(stream.rate or 0), int(stream.channels or 0)
    if codec not in CODECS:
        raise UnsupportedMedia(f"the sound's codec is {codec}; wanted {', '.join(CODECS)}")
    check_rate(rate)
    if not channels:
        raise MalformedInput("the file does not say how many channels it has")
    if stream.duration:
        limits.check(int(stream.duration * stream.time_base * rate), rate, channels)
    elif file.duration:
        limits.check(int(file.duration * rate / av.time_base), rate, channels)
    most, count = limits.frames(rate, channels), 0
    planes: list[NDArray[np.float32]] = []
    converter = av.AudioResampler(format="fltp")
    for frame in file.decode(stream):
        if frame.sample_rate != rate or frame.layout.nb_channels != channels:
            # The header of AAC with spectral band replication has half its rate.
            if planes:
                raise MalformedInput("the recording changes its sample rate or its channels on the way")
            rate, channels = frame.sample_rate, frame.layout.nb_channels
            check_rate(rate)
            most = limits.frames(rate, channels)
        for converted in converter.resample(frame):
            planes.append(converted.to_ndarray())
            count += converted.samples
        if count > most:
            limits.check(count, rate, channels)
    if not planes:
        return rate, np.zeros((0, 1), np.float32)
    return rate, np.concatenate(planes, axis=1).T
