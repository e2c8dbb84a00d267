"""Requests to speech recognition that are wrong, odd, or demand too much."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
import torch

from handlers.audio.recognition import whisper
from tests.handlers.audio.speech import UNITS, recordings, wav
from tests.handlers.worker import Worker
from tests.inputs import RATE, noise, recording


@pytest.mark.parametrize("name", ["tiny-letters", "tiny-whisper"])
def test_what_the_model_cannot_hear_fails_alone(
    load: Callable[[str], Worker], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    worker = load(name)
    recogniser: Any = worker.handler.recogniser
    good, bad = noise(0.8, 0), noise(0.8, 1)
    [wanted] = worker.json(wav(good))
    part, index = ("logits", 1) if name == "tiny-letters" else ("features", 1)
    real = getattr(recogniser, part)

    def broken(windows: Any) -> Any:
        found, *sounds = real(windows) if part == "features" else (real(windows),)
        found = found.clone()
        if len(found) > index:
            found[index] = torch.nan
        return (found, *sounds) if sounds else found

    monkeypatch.setattr(recogniser, part, broken)
    (status, _, body), (other, _, message), (third, _, same) = worker.answer([wav(good), wav(bad), wav(good)])
    assert (status, other, third) == (200, 500, 200)
    assert orjson.loads(body) == orjson.loads(same) == wanted
    assert "not finite" in orjson.loads(message)["message"]


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("tiny-letters", {"timestamps": "segment"}, 'timestamps: got "segment", wanted one of none, word'),
        ("tiny-letters", {"language": "en"}, "not a parameter of this request"),
        ("tiny-letters", {"max_new_tokens": 5}, "not a parameter of this request"),
        ("tiny-whisper", {"timestamps": "char"}, 'timestamps: got "char", wanted one of none, segment, word'),
        ("tiny-whisper", {"language": "Klingon"}, 'language: got "Klingon", wanted auto, or one of this model\'s 4'),
        ("tiny-whisper", {"language": "it"}, 'language: got "it"'),
        ("tiny-whisper", {"language": ""}, 'language: got ""'),
        ("tiny-whisper", {"task": "summarise"}, "task: got"),
        ("tiny-whisper", {"max_new_tokens": 0}, "max_new_tokens: got 0, wanted 1 to 60"),
        ("tiny-whisper", {"max_new_tokens": 61}, "max_new_tokens: got 61, wanted 1 to 60"),
        ("tiny-whisper", {"stream": "perhaps"}, "stream: got 'perhaps'"),
        ("tiny-whisper", {"stream": "true"}, "wanted false or StreamPredictions"),  # without a header of HTTP: gRPC
        ("tiny-whisper", {"beams": 5}, "not a parameter of this request"),
        ("tiny-english", {"language": "en"}, "not a parameter of this request"),
        ("tiny-english", {"task": "translate"}, "not a parameter of this request"),
    ],
)
def test_bad_parameters(load: Callable[[str], Worker], name: str, parameters: dict[str, Any], message: str) -> None:
    (status, _, body), (other, _, _) = load(name).answer([wav(noise(0.5, 0), **parameters), wav(noise(0.5, 0))])
    assert (status, other) == (422, 200)
    assert message in orjson.loads(body)["message"]


@pytest.mark.parametrize("name", ["tiny-letters", "tiny-whisper"])
@pytest.mark.parametrize(
    ("row", "status"),
    [
        ({"body": b"", "content-type": b"audio/wav"}, 400),
        ({"body": b"no recording", "content-type": b"audio/wav"}, 400),
        ({"body": recording(np.zeros(0, np.float32)), "content-type": b"audio/wav"}, 422),
        ({"body": recording(noise(20.1, 0)), "content-type": b"audio/wav"}, 413),
        ({"body": recording(noise(0.5, 0)), "content-type": b"image/png"}, 415),
        ({"body": b'{"audio": [0.1, "x"]}', "content-type": b"application/json"}, 422),
        ({"body": recording(np.full(16_000, np.nan, np.float32)), "content-type": b"audio/wav"}, 422),
    ],
)
def test_bad_recordings(load: Callable[[str], Worker], name: str, row: dict[str, Any], status: int) -> None:
    (bad, _, body), (good, _, _) = load(name).answer([row, wav(noise(0.5, 0))])
    assert (bad, good) == (status, 200)
    assert orjson.loads(body)["code"] == status


@pytest.mark.parametrize("name", UNITS)
def test_silence_says_nothing(load: Callable[[str], Worker], name: str) -> None:
    silence, sound = np.zeros(RATE, np.float32), noise(0.5, 0)
    first, second = load(name).json(wav(silence, timestamps=UNITS[name]), wav(sound))
    assert first == {"text": "", "seconds": 1.0, f"{UNITS[name]}s": [], "silent": True}
    assert second == load(name).json(wav(sound))[0]


@pytest.mark.parametrize("samples", [1, 50, 399])
@pytest.mark.parametrize("name", UNITS)
def test_the_shortest_recordings(load: Callable[[str], Worker], name: str, samples: int) -> None:
    assert load(name).json(wav(noise(0.1, 0)[:samples] + np.float32(0.1)))[0].keys() >= {"text", "seconds"}


def test_passes_over_a_window_are_bounded(load: Callable[[str], Worker], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each ends with a segment that was cut off."""
    worker = load("tiny-whisper")
    recogniser: Any = worker.handler.recogniser
    first, calls = recogniser.text.first, []

    def write(windows: Any, encoded: Any, changed: Any) -> None:
        calls.append(len(windows))
        for window in windows:
            window.written = [first, 100, first + 1, first + 1, 100]

    monkeypatch.setattr(recogniser, "write", write)
    [answer] = worker.json(wav(noise(1.0, 0), timestamps="segment"))
    assert calls == [1] * whisper.MAX_PASSES
    assert answer["truncated"] is True


def test_requests_leave_nothing_in_the_log(load: Callable[[str], Worker], caplog: pytest.LogCaptureFixture) -> None:
    loggers = [logging.getLogger(name) for name in ("transformers", "handlers")]
    for logger in loggers:
        logger.addHandler(caplog.handler)
    for name in UNITS:
        load(name).json(wav(recordings()[1], timestamps=UNITS[name]), wav(noise(0.3, 0)))
    for logger in loggers:
        logger.removeHandler(caplog.handler)
    assert caplog.records == []
