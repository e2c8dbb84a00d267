"""Every option of a spec has an effect on the answer to a request that does not name it.

The names come from the archiver's own table, so that a new one needs a case here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archiver.tasks import TASKS
from tests.handlers.test_parameters import IMAGE, QUESTION, SOUND, SPOKEN, TEXT, Row
from tests.handlers.vision.served import served
from tests.handlers.worker import Worker
from tests.inputs import noise, recording
from tests.tiny_archives import SPEC
from tests.tiny_artifacts import TINY

LONG: Row = {"body": recording(noise(2.3, 3) * (1 + noise(2.3, 4))), "content-type": b"audio/wav"}
OBSERVATION: Row = {"body": b"[0.0, 0.0, 0.0, 0.0]", "content-type": b"application/json", "seed": b"1"}
EMBEDDED: Row = {**IMAGE, "embedding": b"true"}
LAYER: Row = {**IMAGE, "features": b"features.18"}
POOLED = {"features": {"features.18": "pooled"}}
FEW = {"max_detections": 4}
# (task, option): model, request, value; and the rest of the options, with another value where the default would not do.
OPTIONS: dict[tuple[str, str], tuple[str, Row, Any, dict[str, Any]]] = {
    ("image-classification", "top_k"): ("tiny-image", IMAGE, 1, {}),
    ("image-classification", "embedding"): ("tiny-labels", EMBEDDED, "features", {}),
    ("image-classification", "features"): ("tiny-image", LAYER, {"features.18": "map"}, POOLED),
    ("image-classification", "threshold"): ("tiny-labels", IMAGE, 0.0, {}),
    ("image-embedding", "pooling"): ("tiny-vector", IMAGE, "mean", {}),
    ("image-embedding", "normalise"): ("tiny-vector", IMAGE, False, {}),
    ("zero-shot-image-classification", "top_k"): ("tiny-zero-shot", IMAGE, 1, {}),
    ("object-detection", "score_threshold"): ("tiny-detection", IMAGE, 0.0, {"score_threshold": 0.999}),
    ("object-detection", "max_detections"): ("tiny-detection", IMAGE, 40, {"max_detections": 20}),
    ("instance-segmentation", "score_threshold"): ("tiny-instance", IMAGE, 0.0, {"score_threshold": 0.999, **FEW}),
    ("instance-segmentation", "max_detections"): ("tiny-instance", IMAGE, 8, {"score_threshold": 0.0, **FEW}),
    ("semantic-segmentation", "min_area"): ("tiny-semantic", IMAGE, 60_000, {}),
    ("keypoint-detection", "score_threshold"): ("tiny-keypoints", IMAGE, 0.0, {"score_threshold": 0.999, **FEW}),
    ("keypoint-detection", "max_detections"): ("tiny-keypoints", IMAGE, 8, {"score_threshold": 0.0, **FEW}),
    ("audio-classification", "top_k"): ("tiny-audio", SOUND, 1, {}),
    ("audio-classification", "window_seconds"): ("tiny-audio", SOUND, 0.8, {}),
    ("audio-classification", "hop_seconds"): ("tiny-audio", SOUND, 0.1, {}),
    ("audio-classification", "average"): ("tiny-audio", LONG, "equal", {}),
    ("audio-embedding", "window_seconds"): ("tiny-sound", LONG, 0.8, {}),
    ("audio-embedding", "hop_seconds"): ("tiny-sound", LONG, 0.2, {}),
    ("audio-embedding", "average"): ("tiny-sound", LONG, "equal", {}),
    ("voice-activity", "threshold"): ("tiny-voice", SPOKEN, 0.99, {}),
    ("voice-activity", "min_speech_seconds"): ("tiny-voice", SPOKEN, 10.0, {}),
    ("voice-activity", "min_silence_seconds"): ("tiny-voice", SPOKEN, 10.0, {}),
    ("voice-activity", "pad_seconds"): ("tiny-voice", SPOKEN, 0.2, {}),
    ("speech-recognition", "window_seconds"): ("tiny-letters", LONG, 0.7, {}),
    ("speech-recognition", "stride_seconds"): ("tiny-letters", LONG, 0.05, {}),
    ("speech-recognition", "timestamps"): ("tiny-whisper", SOUND, "word", {}),
    ("speech-recognition", "language"): ("tiny-whisper", SOUND, "ja", {}),
    ("speech-recognition", "task"): ("tiny-whisper", SOUND, "translate", {}),
    ("speech-recognition", "max_new_tokens"): ("tiny-whisper", SOUND, 3, {}),
    ("text-classification", "top_k"): ("tiny-text", TEXT, 1, {}),
    ("text-classification", "threshold"): ("tiny-topics", TEXT, 0.0, {"threshold": 1.0}),
    ("question-answering", "top_k"): ("tiny-answers", QUESTION, 3, {}),
    ("question-answering", "max_answer_tokens"): ("tiny-answers", {**QUESTION, "top_k": b"20"}, 1, {}),
    ("text-generation", "max_new_tokens"): ("tiny-writer", TEXT, 3, {}),
    ("text-generation", "temperature"): ("tiny-writer", {**TEXT, "seed": b"3"}, 5.0, {}),
    ("text-generation", "top_p"): ("tiny-writer", {**TEXT, "seed": b"3", "temperature": b"5"}, 0.01, {}),
    ("text-generation", "chat"): ("tiny-writer", TEXT, True, {}),
    ("policy", "deterministic"): ("tiny-policy", OBSERVATION, False, {}),
}
# tests/handlers/vision has JPEGs on a GPU, and models and labels of their own for the others.
ELSEWHERE = {(task, "decode") for task in TASKS if "decode" in TASKS[task].options.model_fields} | {
    ("zero-shot-image-classification", "label_sets"),
    ("zero-shot-image-classification", "template"),
    ("image-embedding", "embedding"),
}


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Worker]:
    """Of a tiny model, with the options of its spec."""
    artifacts: dict[str, Path] = {}
    workers: dict[str, Worker] = {}

    def make(model: str, **options: Any) -> Worker:
        key = f"{model} {options}"
        if key not in workers:
            workers[key] = new(model, options)
        return workers[key]

    def new(model: str, options: dict[str, Any]) -> Worker:
        if model not in artifacts:
            artifacts[model] = TINY[model](tmp_path_factory.mktemp(model) / model)
        spec = {key: value for key, value in SPEC.get(model, {}).items() if key not in ("options", "drift")}
        return served(artifacts[model], f"-{len(workers)}", **spec, options=options)

    return make


def test_every_option_has_a_case() -> None:
    options = {(task, name) for task, found in TASKS.items() for name in found.options.model_fields}
    assert options == OPTIONS.keys() | ELSEWHERE


@pytest.mark.parametrize(("task", "name"), OPTIONS, ids=lambda value: value)
def test_an_option_has_an_effect(worker: Callable[..., Worker], task: str, name: str) -> None:
    model, row, value, other = OPTIONS[task, name]
    before, after = worker(model, **other), worker(model, **{**other, name: value})
    assert before.handler.artifact.task == task
    if task == "policy":  # a draw among two actions may be the same one
        seeds = [{**row, "seed": str(seed).encode()} for seed in range(20)]
        assert before.json(*seeds) != after.json(*seeds)
        return
    [first], [second] = before.json(row), after.json(row)
    assert first != second


def test_a_number_beyond_all_there_is(worker: Callable[..., Worker]) -> None:
    """More classes than the model has are all of them."""
    for model, row, key in (("tiny-image", IMAGE, "predictions"), ("tiny-text", TEXT, "predictions")):
        made = worker(model, top_k=1000)
        [answer] = made.json(row)
        assert len(answer[key]) == len(made.handler.labels)
