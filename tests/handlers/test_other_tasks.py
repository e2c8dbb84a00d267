"""Audio and text: the same answers as the model called in Python."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tests.handlers.worker import Worker
from tests.inputs import RATE, TEXTS, noise, recording


@pytest.fixture(scope="module")
def load(tiny_archive: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Worker]:
    workers: dict[str, Worker] = {}

    def get(name: str) -> Worker:
        if name not in workers:
            workers[name] = Worker(tiny_archive(name), tmp_path_factory.mktemp(name))
        return workers[name]

    return get


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


@torch.inference_mode()
def test_texts_equal_the_model_alone_and_padded(load: Callable[[str], Worker]) -> None:
    worker = load("tiny-text")
    folder = worker.handler.artifact.weights
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True)
    batch = worker.json(*({"body": text.encode()} for text in TEXTS))
    for text, answer in zip(TEXTS, batch, strict=True):
        expected = model(**tokenizer(text, return_tensors="pt")).logits.softmax(1)[0].numpy()
        by_label = {p["label"]: p["probability"] for p in answer["predictions"]}
        np.testing.assert_allclose([by_label[label] for label in ("de", "en", "fr")], expected, atol=1e-5)
        assert "truncated" not in answer


def test_a_long_text_says_that_it_was_cut(load: Callable[[str], Worker]) -> None:
    [answer] = load("tiny-text").json({"body": b"word " * 40})
    assert answer["truncated"] is True


@pytest.mark.parametrize(
    ("body", "status"),
    [(b" \n\t ", 422), (b"x" * 501, 413), (b"\xff\xfe\x00", 400), (b"\x00", 200), ("🙂".encode() * 100, 200)],
)
def test_odd_texts(load: Callable[[str], Worker], body: bytes, status: int) -> None:
    answers = load("tiny-text").answer([{"body": body}, {"body": b"fine"}])
    assert [answer[0] for answer in answers] == [status, 200]
