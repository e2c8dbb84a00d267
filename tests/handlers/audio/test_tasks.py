"""Audio tasks with real loading code: Hugging Face folders, and Silero VAD against its own package."""

from collections.abc import Callable
from typing import Any

import librosa
import numpy as np
import orjson
import pytest
import silero_vad
import torch
from transformers import AutoFeatureExtractor, AutoModel, AutoModelForAudioClassification

from handlers.audio.features.extraction import FEATURES
from handlers.protocol.payload import Payload
from tests.closeness import assert_close
from tests.handlers.worker import Worker
from tests.inputs import noise, recording
from tests.recordings import RATE, sentences, tone

MODELS = ("tiny-audio", "tiny-commands", "tiny-sound", "tiny-voice")
pytestmark = pytest.mark.usefixtures("no_gradients")


def wav(samples: np.ndarray, **parameters: str) -> dict[str, Any]:
    extra = {name: value.encode() for name, value in parameters.items()}
    return {"body": recording(samples), "content-type": b"audio/wav", **extra}


def by_index(answer: dict[str, Any]) -> list[float]:
    return [p["probability"] for p in sorted(answer["predictions"], key=lambda p: p["index"])]


def dialogue(pause: float = 0.8) -> np.ndarray:
    """Three sentences by three voices, pauses between them."""
    silence = np.zeros(int(pause * RATE), np.float32)
    return np.concatenate([part for each in sentences() for part in (silence, each)] + [silence])


def test_a_network_in_two_parts_runs_the_second_as_a_graph(load: Callable[[str], Worker]) -> None:
    """And answers as the network does, alone and beside others, shorter and longer than its window."""
    worker = load("tiny-keywords")
    assert worker.handler.artifact.graph.is_file()
    network = worker.handler.model
    recordings = [noise(seconds, seed) for seed, seconds in enumerate((1.0, 0.4, 2.3))]
    together = worker.json(*map(wav, recordings))
    for samples, answer in zip(recordings, together, strict=True):
        assert_close(worker.json(wav(samples))[0], answer)
    heard = worker.handler.waveform(Payload(recording(recordings[0]), "audio/wav"))
    expected = network(heard[None]).softmax(dim=1)[0]
    np.testing.assert_allclose(by_index(together[0]), expected.numpy(), atol=1e-5)


def test_a_hugging_face_classifier_equals_transformers(load: Callable[[str], Worker]) -> None:
    """Alone, and beside recordings of other lengths: each at its own length, as transformers' pipeline calls it."""
    worker = load("tiny-commands")
    folder = worker.handler.artifact.weights
    extractor = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
    model = AutoModelForAudioClassification.from_pretrained(folder, local_files_only=True)
    recordings = [noise(0.7, 0), sentences()[0][:RATE], noise(0.7, 1), noise(0.31, 2)]
    for samples, answer in zip(recordings, worker.json(*map(wav, recordings)), strict=True):
        logits = model(**extractor(samples, sampling_rate=RATE, return_tensors="pt")).logits
        np.testing.assert_allclose(by_index(answer), logits.softmax(1)[0].numpy(), atol=1e-4)
        assert "windows" not in answer


def test_windows_of_a_long_recording(load: Callable[[str], Worker]) -> None:
    worker = load("tiny-commands")
    samples = noise(2.2, 3)
    [answer] = worker.json(wav(samples))
    assert [(w["start"], w["end"]) for w in answer["windows"]] == [(0, 1), (0.5, 1.5), (1, 2), (1.5, 2.2)]
    windows = [np.pad(samples, (0, 4800))[s : s + RATE] for s in (0, 8000, 16000, 24000)]
    alone = np.array([by_index(worker.json(wav(window))[0]) for window in windows])
    energy = np.array([np.mean(window**2) for window in windows])
    np.testing.assert_allclose(by_index(answer), energy @ alone / energy.sum(), atol=1e-4)
    assert [w["index"] for w in answer["windows"]] == alone.argmax(1).tolist()


@pytest.mark.parametrize("samples", [1, 50, 399])
def test_the_shortest_recordings(load: Callable[[str], Worker], samples: int) -> None:
    for name in MODELS:
        load(name).json(wav(np.full(samples, 0.1, np.float32)))


def test_an_embedding_equals_transformers(load: Callable[[str], Worker]) -> None:
    worker = load("tiny-sound")
    folder = worker.handler.artifact.weights
    extractor = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(folder, local_files_only=True)

    def embedded(samples: np.ndarray) -> np.ndarray:
        states = model(**extractor(samples, sampling_rate=RATE, return_tensors="pt")).last_hidden_state
        return states.mean(1)[0].numpy()

    short, long = noise(0.6, 0), noise(1.5, 1)
    one, two = (np.array(a["embedding"]) for a in worker.json(wav(short), wav(long)))
    np.testing.assert_allclose(one, embedded(short) / np.linalg.norm(embedded(short)), atol=1e-4)
    energy = [np.mean(part**2) for part in (long[:RATE], long[8000:])]
    mean = energy[0] * embedded(long[:RATE]) + energy[1] * embedded(long[8000:])
    np.testing.assert_allclose(two, mean / np.linalg.norm(mean), atol=1e-4)
    assert np.linalg.norm(two) == pytest.approx(1, abs=1e-5)


@pytest.fixture(scope="module")
def silero() -> Any:
    return silero_vad.load_silero_vad()


SETTINGS: list[dict[str, float]] = [
    {},
    {"threshold": 0.8},
    {"threshold": 0.1, "min_silence_seconds": 0.4},
    {"min_speech_seconds": 0.6, "pad_seconds": 0.0},
    {"pad_seconds": 0.5},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("kind", ["dialogue", "noisy", "silence", "one word", "to the end"])
def test_segments_equal_sileros_own(
    load: Callable[[str], Worker], silero: Any, kind: str, settings: dict[str, float]
) -> None:
    samples = {
        "dialogue": dialogue(),
        "noisy": dialogue(0.3) + np.float32(0.3) * noise(12, 0)[: len(dialogue(0.3))],
        "silence": np.zeros(2 * RATE, np.float32),
        "one word": np.pad(sentences()[2][:9000], (5000, 9000)),
        "to the end": sentences()[1][: 2 * RATE + 123],
    }[kind]
    samples = np.clip(samples, -1, 1)
    wanted = silero_vad.get_speech_timestamps(
        torch.from_numpy(samples),
        silero,
        threshold=settings.get("threshold", 0.5),
        min_speech_duration_ms=int(1000 * settings.get("min_speech_seconds", 0.25)),
        min_silence_duration_ms=int(1000 * settings.get("min_silence_seconds", 0.1)),
        speech_pad_ms=int(1000 * settings.get("pad_seconds", 0.03)),
    )
    [answer] = load("tiny-voice").json(wav(samples, **{name: str(value) for name, value in settings.items()}))
    assert len(answer["segments"]) == len(wanted)
    for segment, each in zip(answer["segments"], wanted, strict=True):
        assert segment["start"] == pytest.approx(each["start"] / RATE, abs=1e-3)
        assert segment["end"] == pytest.approx(each["end"] / RATE, abs=1e-3)
    assert answer["seconds"] == pytest.approx(len(samples) / RATE, abs=1e-3)
    assert answer["speech_seconds"] == pytest.approx(sum(s["end"] - s["start"] for s in answer["segments"]), abs=1e-2)
    if kind == "dialogue" and not settings:
        assert len(wanted) >= 3


def test_voice_activity_alone_in_a_batch_and_after_others(load: Callable[[str], Worker]) -> None:
    worker = load("tiny-voice")
    rows = [wav(dialogue()), wav(sentences()[0]), wav(noise(1.0, 0)), wav(np.zeros(100, np.float32))]
    alone = [worker.json(row)[0] for row in rows]
    assert worker.json(*rows) == alone
    assert worker.json(*reversed(rows)) == alone[::-1]


@pytest.mark.parametrize("model", MODELS)
def test_features_on_request(load: Callable[[str], Worker], model: str) -> None:
    samples = sentences()[0][:RATE]
    [answer] = load(model).json(wav(samples, features="mfcc, rms"))
    features = answer["features"]
    assert features.keys() == {"hop_seconds", "mfcc", "rms"}
    assert features["hop_seconds"] == 0.01
    frames: dict[str, Any] = {"n_fft": 512, "win_length": 400, "hop_length": 160}
    mfcc = librosa.feature.mfcc(y=samples, sr=RATE, n_mfcc=13, n_mels=40, **frames)
    np.testing.assert_allclose(features["mfcc"], mfcc, atol=0.01)
    rms = librosa.feature.rms(y=samples, frame_length=400, hop_length=160)[0]
    np.testing.assert_allclose(features["rms"], rms, atol=1e-6)
    assert "features" not in load(model).json(wav(samples))[0]


def test_all_features_as_a_json_list(load: Callable[[str], Worker]) -> None:
    body = {"data": tone(440).tolist(), "sample_rate": RATE, "features": list(FEATURES)}
    [answer] = load("tiny-audio").json({"body": orjson.dumps(body), "content-type": b"application/json"})
    assert {name: len(value) for name, value in answer["features"].items() if FEATURES.get(name, 0) > 1} == {
        "mel": 40,
        "mfcc": 13,
        "chroma": 12,
    }


@pytest.mark.parametrize(
    ("parameters", "status", "said"),
    [
        ({"features": "mfc"}, 422, "features: got mfc; wanted some of rms"),
        ({"features": "mel,mfcc,chroma,rms,centroid,rolloff,zero-crossing"}, 413, "limit is 7000"),
        ({"top_k": "9"}, 422, "top_k"),
    ],
)
def test_bad_parameters(load: Callable[[str], Worker], parameters: dict[str, str], status: int, said: str) -> None:
    [bad, good] = load("tiny-audio").answer([wav(noise(2.0, 0), **parameters), wav(noise(1.0, 0))])
    assert (bad[0], good[0]) == (status, 200)
    assert said in orjson.loads(bad[2])["message"]


@pytest.mark.parametrize(
    "parameters", [{"threshold": "1.5"}, {"threshold": "high"}, {"pad_seconds": "-1"}, {"min_speech_seconds": "nan"}]
)
def test_bad_segmentation(load: Callable[[str], Worker], parameters: dict[str, str]) -> None:
    [(status, _, body)] = load("tiny-voice").answer([wav(noise(1.0, 0), **parameters)])
    assert status == 422
    assert next(iter(parameters)) in orjson.loads(body)["message"]
