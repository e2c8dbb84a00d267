"""Recordings of phones and browsers: what PyAV opens."""

import io
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from handlers.audio.containers.kind import Kind, recognise
from handlers.audio.decoding import decode_audio
from handlers.errors import RequestError, TooLarge, UnsupportedMedia
from handlers.protocol.payload import Payload
from tests.handlers.audio.recordings import RATE, decoded, encoded
from tests.recordings import tone

MEDIA = {
    # container, codec: what PyAV calls them
    Kind.M4A: ("ipod", "aac"),
    Kind.AAC: ("adts", "aac"),
    Kind.WEBM: ("webm", "libopus"),
}


def media(samples: np.ndarray, container: str, codec: str, rate: int = 48_000, seekable: bool = True) -> bytes:
    """Through PyAV's own encoders. seekable: False writes as a browser records, without going back for a length."""

    class Pipe:
        def __init__(self) -> None:
            self.data = io.BytesIO()

        def write(self, data: bytes) -> int:
            return self.data.write(data)

    out = io.BytesIO() if seekable else Pipe()
    with av.open(out, "w", format=container) as file:
        stream: Any = file.add_stream(codec, rate=rate, layout="mono")
        fifo, convert = av.AudioFifo(), av.AudioResampler(format=stream.codec_context.format, rate=rate)
        frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        fifo.write(frame)
        while (part := fifo.read(stream.codec_context.frame_size or 1024, partial=True)) is not None:
            for converted in convert.resample(part):
                file.mux(stream.encode(converted))
        file.mux(stream.encode(None))
    return out.getvalue() if isinstance(out, io.BytesIO) else out.data.getvalue()


@pytest.mark.parametrize(
    ("kind", "seekable"),
    # MP4 has its length at its end, so nobody writes it to a pipe.
    [(Kind.M4A, True), (Kind.AAC, True), (Kind.AAC, False), (Kind.WEBM, True), (Kind.WEBM, False)],
)
def test_recordings_of_phones_and_browsers(kind: Kind, seekable: bool) -> None:
    container, codec = MEDIA[kind]
    data = media(tone(440, 1.0, 48_000), container, codec, seekable=seekable)
    assert recognise(data) == (kind, 0)
    found = decoded(data)
    assert len(found) == pytest.approx(RATE, abs=RATE // 20)
    spectrum = np.abs(np.fft.rfft(found * np.hanning(len(found))))
    assert spectrum.argmax() * RATE / len(found) == pytest.approx(440, abs=2)
    assert np.sqrt(np.mean(found[4_000:12_000] ** 2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


@pytest.mark.parametrize("container", ["flac", "ogg"])
@pytest.mark.parametrize("seekable", [True, False])
def test_flac_as_ffmpeg_writes_it(container: str, seekable: bool) -> None:
    """To a pipe without its length; in Ogg, which libsndfile does not read of every writer. Neither needs FFmpeg."""
    sound = tone(440, 1.0)
    data = media(sound, container, "flac", RATE, seekable)
    assert recognise(data)[0] in (Kind.FLAC, Kind.OGG)
    np.testing.assert_allclose(decoded(data), sound, atol=1e-4)
    if container == "ogg":  # a chain
        np.testing.assert_allclose(decoded(data + data), np.concatenate([sound, sound]), atol=1e-4)
    for limits in ({"max_seconds": 0.5}, {"max_samples": 10_000}):
        with pytest.raises(TooLarge):
            decoded(data, **limits)


@pytest.mark.parametrize("kind", MEDIA)
def test_hostile_recordings_of_phones_and_browsers(kind: Kind) -> None:
    container, codec = MEDIA[kind]
    data = media(tone(440, 3.0, 48_000), container, codec)
    with pytest.raises(TooLarge, match="2 seconds"):
        decoded(data, max_seconds=2.0)
    with pytest.raises(TooLarge, match="more samples than the limit"):
        decoded(data, max_samples=100_000)
    random = np.random.default_rng(0)
    for _ in range(50):
        broken = bytearray(data[: random.integers(20, len(data))])
        for at in random.integers(0, len(broken), 20):
            broken[at] = random.integers(256)
        try:
            decoded(bytes(broken))
        except RequestError as error:
            assert len(str(error)) <= 300  # noqa: PT017 - either answer is right


@pytest.mark.parametrize(
    "head", [b"\0\0\0\x20ftypM4A \0\0\0\0", b"\x1aE\xdf\xa3\x9fB\x86\x81\x01", b"\xff\xf1\x50\x80\x02\x1f\xfc\x21"]
)
def test_without_pyav_it_is_named(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(UnsupportedMedia, match="setup media"):
        decoded(head + bytes(100))


def test_a_browsers_ogg_opus() -> None:
    """As Firefox records: Opus in Ogg, without a length."""
    data = encoded(tone(440, 1.0, 48_000), "OGG", "OPUS", 48_000)
    assert len(decode_audio(Payload(data, "audio/ogg"), RATE)) == RATE
