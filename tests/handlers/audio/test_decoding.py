"""Recordings: what decodes, to what, and what is refused."""

import io

import librosa
import numpy as np
import pytest
import soundfile

from handlers.audio.decoding import decode_audio
from handlers.errors import InvalidInput, MalformedInput, RequestError, TooLarge, UnsupportedMedia
from handlers.protocol.payload import Payload

SECONDS = 0.5


def tone(rate: int, hertz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * SECONDS)) / rate)).astype(np.float32)


def encoded(samples: np.ndarray, rate: int, kind: str = "WAV", subtype: str | None = None) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, subtype=subtype)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "subtype", "tolerance"),
    [
        ("WAV", "PCM_U8", 1e-2),
        ("WAV", "PCM_16", 1e-4),
        ("WAV", "PCM_24", 1e-6),
        ("WAV", "PCM_32", 1e-6),
        ("WAV", "FLOAT", 0),
        ("FLAC", "PCM_16", 1e-4),
        ("OGG", "VORBIS", 5e-2),
        ("MP3", "MPEG_LAYER_III", 5e-2),
    ],
)
def test_formats(kind: str, subtype: str, tolerance: float) -> None:
    samples = tone(16_000)
    decoded = decode_audio(Payload(encoded(samples, 16_000, kind, subtype)), 16_000).numpy()
    inner = slice(1000, len(samples) - 1000)
    assert np.abs(decoded[inner] - samples[inner]).max() <= tolerance


def test_channels_are_averaged() -> None:
    stereo = np.stack([tone(16_000), np.zeros(8_000, np.float32)], axis=1)
    decoded = decode_audio(Payload(encoded(stereo, 16_000, subtype="FLOAT")), 16_000)
    np.testing.assert_allclose(decoded.numpy(), tone(16_000) / 2, atol=1e-6)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000])
def test_resampling_agrees_with_librosa(rate: int) -> None:
    samples = tone(rate)
    decoded = decode_audio(Payload(encoded(samples, rate, subtype="FLOAT")), 16_000).numpy()
    reference = librosa.resample(samples, orig_sr=rate, target_sr=16_000)
    assert abs(len(decoded) - len(reference)) <= 1
    inner = slice(200, min(len(decoded), len(reference)) - 200)
    # Two different low-pass filters: a tone in the pass band agrees to a fraction of a percent away from the edges.
    assert np.abs(decoded[inner] - reference[inner]).max() < 5e-3


def test_json_samples_with_their_rate() -> None:
    samples = tone(8_000)
    decoded = decode_audio(Payload(samples.tolist(), "", {"sample_rate": 8_000}), 16_000)
    assert len(decoded) == 2 * len(samples)


WAV = encoded(tone(16_000), 16_000)


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (Payload(b"RIFF" + b"\0" * 100), MalformedInput),
        (Payload(WAV[:20]), MalformedInput),
        (Payload(b"not audio at all"), MalformedInput),
        (Payload(WAV, "image/png"), UnsupportedMedia),
        (Payload(encoded(tone(16_000), 16_000, "AIFF")), UnsupportedMedia),
        (Payload(encoded(np.zeros(16_000 * 3), 16_000)), TooLarge),
        (Payload([0.0] * 32_001), TooLarge),
        (Payload(encoded(np.zeros(0), 16_000)), InvalidInput),
        (Payload(encoded(np.array([0.1, np.nan], np.float32), 16_000, subtype="FLOAT")), InvalidInput),
        (Payload([0.1, None]), InvalidInput),
        (Payload([0.1, "x"]), InvalidInput),
        (Payload([0.1, "0.5"]), InvalidInput),
        (Payload([0.1, 10**400]), InvalidInput),
        (Payload([[[0.1] * 9] * 9]), InvalidInput),
        (Payload([[0.1], [0.2]]), InvalidInput),
        (Payload([]), InvalidInput),
        (Payload([0.1], "", {"sample_rate": 0}), InvalidInput),
        (Payload("text"), InvalidInput),
    ],
)
def test_bad_recordings(payload: Payload, error: type[RequestError]) -> None:
    with pytest.raises(error):
        decode_audio(payload, 16_000, max_seconds=2.0)


@pytest.mark.parametrize("samples", [[0, 3, -2, 5], [-32768, 0, 32767], [0.1, 1.5], [0.0, -1.01], [128, 127, 129]])
def test_samples_out_of_range_are_refused_not_clipped(samples: list[float]) -> None:
    with pytest.raises(InvalidInput, match="wanted -1 to 1"):
        decode_audio(Payload(samples), 16_000)
    assert len(decode_audio(Payload([-1, 0, 1, 0.5]), 16_000)) == 4


def test_a_float_file_of_integers_is_refused_and_an_overdriven_one_clipped() -> None:
    integers = (20_000 * tone(16_000)).round()
    with pytest.raises(InvalidInput, match="reach 10000; wanted -1 to 1"):
        decode_audio(Payload(encoded(integers, 16_000, subtype="FLOAT")), 16_000)
    loud = 4 * tone(16_000)
    decoded = decode_audio(Payload(encoded(loud, 16_000, subtype="FLOAT")), 16_000)
    np.testing.assert_allclose(decoded.numpy(), loud.clip(-1, 1))


@pytest.mark.parametrize("content_type", ["image/png", "x" * 10_000, "audio/midi"])
def test_a_wrong_content_type_is_answered_in_a_line(content_type: str) -> None:
    with pytest.raises(UnsupportedMedia, match=r"this model takes audio/wav") as refused:
        decode_audio(Payload(WAV, content_type), 16_000)
    assert len(str(refused.value)) <= 300
