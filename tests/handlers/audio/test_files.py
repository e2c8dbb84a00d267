"""Recordings in files of every kind, and broken ones, as a task reads them."""

import base64
import io
from collections.abc import Callable

import librosa
import numpy as np
import orjson
import pytest
import soundfile

from tests.handlers.audio.test_tasks import MODELS, wav
from tests.handlers.worker import Worker
from tests.inputs import noise, recording
from tests.recordings import RATE, sentences

pytestmark = pytest.mark.usefixtures("no_gradients")


SAMPLES = noise(0.5, 0)


def file(channels: int, rate: int, form: str, subtype: str) -> bytes:
    """The same sound in every channel."""
    samples = librosa.resample(sentences()[0][:RATE], orig_sr=RATE, target_sr=rate)
    buffer = io.BytesIO()
    soundfile.write(buffer, np.tile(samples[:, None], channels), rate, format=form, subtype=subtype)
    return buffer.getvalue()


FILES = [
    (1, 16_000, "WAV", "PCM_U8"),
    (2, 44_100, "WAV", "PCM_16"),
    (6, 48_000, "WAV", "PCM_24"),
    (1, 22_050, "WAV", "PCM_32"),
    (4, 8_000, "WAV", "FLOAT"),
    (2, 16_000, "WAV", "DOUBLE"),
    (3, 48_000, "FLAC", "PCM_24"),
    (2, 44_100, "OGG", "VORBIS"),
    (1, 48_000, "OGG", "OPUS"),
    (2, 44_100, "MP3", "MPEG_LAYER_III"),
]


@pytest.mark.parametrize(("channels", "rate", "form", "subtype"), FILES)
def test_files_of_every_kind(load: Callable[[str], Worker], channels: int, rate: int, form: str, subtype: str) -> None:
    """Raw and in base64; the loudness of each frame is the original's, to what the format and the rate leave of it."""
    data = file(channels, rate, form, subtype)
    rows = [
        {"body": data, "features": b"rms"},
        {
            "body": orjson.dumps({"audio": base64.b64encode(data).decode(), "features": "rms"}),
            "content-type": b"application/json",
        },
    ]
    wanted = load("tiny-audio").json(wav(sentences()[0][:RATE], features="rms"))[0]["features"]["rms"]
    for answer in load("tiny-audio").json(*rows):
        found = answer["features"]["rms"][: len(wanted)]
        assert np.abs(np.array(found) - wanted[: len(found)]).max() < 0.03


BROKEN = [
    (b"", 400),
    (b"RIFF\x00\x00\x00\x00WAVE", 400),
    (recording(SAMPLES)[:30], 400),
    (b"ID3 but no frames" * 20, 400),
    (recording(np.zeros(0, np.float32)), 422),
    (recording(np.array([0.1, np.nan, 0.2], np.float32)), 422),
    (recording(np.array([np.inf] * 9, np.float32)), 422),
    (recording(noise(20.1, 0)), 413),
]


@pytest.mark.parametrize("model", MODELS)
def test_broken_recordings_beside_a_good_one(load: Callable[[str], Worker], model: str) -> None:
    good = wav(SAMPLES)
    rows = [{"body": body, "content-type": b"audio/wav"} for body, _ in BROKEN]
    answers = load(model).answer([good, *rows])
    assert [status for status, _, _ in answers] == [200, *(status for _, status in BROKEN)]


def test_a_truncated_file_is_refused_or_what_is_left_of_it(load: Callable[[str], Worker]) -> None:
    """libsndfile reads the samples that a WAV still has; of a FLAC cut in a frame it says that it is broken."""
    whole = recording(noise(1.0, 0), "WAV", "PCM_16")
    flac = recording(noise(1.0, 0), "FLAC", "PCM_16")
    wave, lossless = load("tiny-voice").answer([{"body": whole[: len(whole) // 2]}, {"body": flac[: len(flac) // 2]}])
    assert wave[0] == 200
    assert orjson.loads(wave[2])["seconds"] == pytest.approx(0.5, abs=0.01)
    assert lossless[0] in (200, 400)
