"""Audio classification: the same answers as the model called in Python, whole and in windows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
import torch

from tests.handlers.worker import Worker
from tests.inputs import RATE, noise, recording


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
