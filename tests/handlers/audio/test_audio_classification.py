"""Audio classification: the same answers as the model called in Python, whole and in windows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch

from archiver import archive
from archiver.package import resolve
from handlers.acceleration.accelerate import Acceleration
from tests.handlers.worker import Worker
from tests.inputs import RATE, noise, recording
from tests.tiny_archives import PROJECT
from tests.tiny_networks import Waveform
from train.core.artifact import Artifact


def wav(samples: np.ndarray) -> dict[str, Any]:
    return {"body": recording(samples), "content-type": b"audio/wav"}


@torch.inference_mode()
def test_one_window_equals_the_model(load: Callable[[str], Worker]) -> None:
    worker = load("tiny-audio")
    samples = noise(0.5, 0)
    [answer] = worker.json(wav(samples))
    expected = worker.handler.model(torch.from_numpy(samples)[None]).softmax(1)[0].numpy()
    assert "windows" not in answer
    by_index = {p["index"]: p["probability"] for p in answer["predictions"]}
    np.testing.assert_allclose([by_index[i] for i in range(3)], expected, atol=1e-5)


@torch.inference_mode()
def test_a_long_recording_is_the_energy_weighted_mean_of_its_windows(load: Callable[[str], Worker]) -> None:
    worker = load("tiny-audio")
    samples = np.concatenate([noise(0.25, 1), 0.1 * noise(1.0, 2)])
    [answer] = worker.json(wav(samples))
    starts = [0, 4000, 8000, 12000]
    windows = np.stack([samples[s : s + 8000] for s in starts])
    probabilities = worker.handler.model(torch.from_numpy(windows)).softmax(1).numpy()
    energy = (windows**2).mean(1)
    expected = (energy[:, None] * probabilities).sum(0) / energy.sum()
    by_index = {p["index"]: p["probability"] for p in answer["predictions"]}
    np.testing.assert_allclose([by_index[i] for i in range(3)], expected, atol=1e-4)
    assert [w["start"] for w in answer["windows"]] == [0, 0.25, 0.5, 0.75]
    assert [w["index"] for w in answer["windows"]] == probabilities.argmax(1).tolist()


def test_recordings_of_different_lengths_share_a_batch(load: Callable[[str], Worker]) -> None:
    worker = load("tiny-audio")
    rows = [wav(noise(0.2, 3)), wav(noise(2.1, 4)), wav(np.zeros(RATE, np.float32))]
    alone = [worker.json(row)[0] for row in rows]
    answers = worker.answer([rows[0], {"body": b"RIFF...."}, rows[1], rows[2], wav(noise(6.0, 5))])
    assert [answer[0] for answer in answers] == [200, 400, 200, 200, 413]
    for index, single in zip((0, 2, 3), alone, strict=True):
        got = orjson.loads(answers[index][2])
        for one, other in zip(got["predictions"], single["predictions"], strict=True):
            assert one["label"] == other["label"]
            assert one["probability"] == pytest.approx(other["probability"], abs=1e-5)


TONE = 0.3 * np.sin(np.arange(RATE) / 20).astype(np.float32)
SILENT: dict[str, np.ndarray] = {
    "digital silence": np.zeros(RATE, np.float32),
    "a constant": np.full(RATE, 0.2, np.float32),
    "dither": np.random.default_rng(0).choice([-1, 0, 1], RATE).astype(np.float32) / 32768,
    "opposite channels": np.stack([TONE, -TONE], axis=1),
    "one sample": np.full(1, 0.5, np.float32),
}


@pytest.mark.parametrize("name", SILENT)
def test_in_silence_no_class_is_guessed(load: Callable[[str], Worker], name: str) -> None:
    worker = load("tiny-audio")
    silent, good = worker.json(wav(SILENT[name]), wav(noise(0.5, 0)))
    assert silent["silent"] is True
    assert silent["predictions"] == []
    assert all(window.keys() == {"start", "end", "silent"} for window in silent.get("windows", []))
    assert "silent" not in good
    assert good["predictions"]


def test_a_silent_window_of_a_recording_is_not_given_a_class(load: Callable[[str], Worker]) -> None:
    samples = np.concatenate([noise(0.5, 0), np.zeros(RATE, np.float32)])
    [answer] = load("tiny-audio").json(wav(samples))
    assert [window.get("silent", False) for window in answer["windows"]] == [False, False, True, True, True]
    assert answer["predictions"]
    assert "silent" not in answer


@torch.inference_mode()
def test_a_model_of_one_class_says_how_probable_it_is(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = torch.jit.script(Waveform(1))
    network.save(tmp_path / "one.pt")
    (tmp_path / "one.wav").write_bytes(recording(noise(0.5, 0)))
    Artifact(
        name="one",
        task="audio-classification",
        format="torchscript",
        labels=["bark"],
        preprocessing={"sample_rate": RATE, "seconds": 0.5},
    ).write(tmp_path / "artifact", tmp_path / "one.pt", tmp_path / "one.wav")
    (tmp_path / "one.yaml").write_text("artifact: artifact")
    built = archive.build(resolve(tmp_path / "one.yaml", tmp_path), PROJECT / "handlers", tmp_path / "store")
    worker = Worker(built.path, tmp_path / "unpacked")
    recordings = [noise(0.5, seed) * scale for seed, scale in enumerate((0.1, 1.0, 3.0))]
    for samples, answer in zip(recordings, worker.json(*map(wav, recordings)), strict=True):
        expected = network(torch.from_numpy(samples.clip(-1, 1))[None]).sigmoid().item()
        assert answer["predictions"] == [
            {"label": "bark", "index": 0, "probability": pytest.approx(expected, abs=1e-5)}
        ]
        assert answer["labels"] == (["bark"] if expected >= 0.5 else [])


@torch.inference_mode()
def test_without_a_graph_the_part_after_the_features_is_frozen(
    load: Callable[[str], Worker], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Which torch refuses for a module that is not in evaluation mode."""
    handler = load("tiny-keywords").handler
    waveforms = torch.from_numpy(np.stack([noise(1.0, seed) for seed in range(3)]))
    accelerate = Acceleration(torch.device("cpu"), 1, tmp_path / "none.onnx")
    monkeypatch.setattr(handler, "accelerate", accelerate)
    forward = handler.in_parts(handler.model)
    assert accelerate.describe() == {"form": "frozen TorchScript"}
    torch.testing.assert_close(forward(waveforms), handler.model(waveforms), atol=1e-4, rtol=1e-4)


def test_on_a_gpu_the_sample_s_first_window_is_what_all_windows_are_like(
    load: Callable[[str], Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = load("tiny-keywords").handler
    monkeypatch.setattr(handler, "device", torch.device("cuda"))
    waveforms, dynamic = handler.example()
    assert dynamic == (0,)
    assert waveforms.shape == (1, handler.windowing.window)
    assert waveforms.abs().max() > 0
    logits = torch.tensor([[20.0, 20.0, 1.0]])
    assert handler.judge([logits], [logits]) == ""
    assert "probability" in handler.judge([logits + torch.tensor([0.1, 0.0, 0.0])], [logits])
