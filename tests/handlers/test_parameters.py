"""Every parameter of a request that the documentation names has an effect: none is a word alone.

The names come from the archiver's own table, so that a new one needs a case here.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from archiver.tasks import TASKS
from tests.handlers.worker import Worker
from tests.inputs import IMAGES, RATE, encoded, noise, recording
from tests.recordings import sentences

PAGE = Path(__file__).parents[2] / "docs" / "requests.md"
Row = dict[str, Any]
IMAGE: Row = {"body": encoded(IMAGES[0]), "content-type": b"image/png"}
SOUND: Row = {"body": recording(noise(0.9, 0)), "content-type": b"audio/wav"}
SAMPLES: Row = {"body": orjson.dumps({"data": noise(0.9, 0).tolist()}), "content-type": b"application/json"}
TEXT: Row = {"body": b"Where is the station?", "content-type": b"text/plain"}
QUESTION: Row = {**TEXT, "question": b"Where?"}
OBSERVATION: Row = {"body": b"[0.1, 0.2, 0.3, 0.4]", "content-type": b"application/json"}
SPOKEN: Row = {
    "body": recording(np.concatenate([p for s in sentences() for p in (np.zeros(RATE, np.float32), s)])),
    "content-type": b"audio/wav",
}
# (task, parameter): model, request, value.
PARAMETERS: dict[tuple[str, str], tuple[str, Row, Any]] = {
    ("image-classification", "top_k"): ("tiny-image", IMAGE, 1),
    ("image-classification", "threshold"): ("tiny-labels", IMAGE, 0.0),
    ("image-classification", "embedding"): ("tiny-labels", IMAGE, "true"),
    ("image-embedding", "normalise"): ("tiny-vector", IMAGE, "false"),
    ("zero-shot-image-classification", "top_k"): ("tiny-zero-shot", IMAGE, 1),
    ("zero-shot-image-classification", "labels"): ("tiny-zero-shot", IMAGE, "a cat,a dog"),
    ("object-detection", "score_threshold"): ("tiny-yolo", IMAGE, 0.99),
    ("object-detection", "max_detections"): ("tiny-yolo", IMAGE, 2),
    ("instance-segmentation", "score_threshold"): ("tiny-instance", IMAGE, 1),
    ("instance-segmentation", "max_detections"): ("tiny-instance", IMAGE, 2),
    ("semantic-segmentation", "render"): ("tiny-semantic", {**IMAGE, "accept": b"image/png"}, "label-map"),
    ("keypoint-detection", "score_threshold"): ("tiny-keypoints", IMAGE, 1),
    ("keypoint-detection", "max_detections"): ("tiny-keypoints", IMAGE, 2),
    ("depth-estimation", "map"): ("tiny-depth", IMAGE, "true"),
    ("audio-classification", "top_k"): ("tiny-audio", SOUND, 1),
    ("audio-classification", "sample_rate"): ("tiny-audio", SAMPLES, 8000),
    ("audio-classification", "features"): ("tiny-audio", SOUND, "rms"),
    ("audio-embedding", "sample_rate"): ("tiny-sound", SAMPLES, 8000),
    ("audio-embedding", "features"): ("tiny-sound", SOUND, "rms"),
    ("voice-activity", "sample_rate"): ("tiny-voice", SAMPLES, 8000),
    ("voice-activity", "features"): ("tiny-voice", SOUND, "rms"),
    ("voice-activity", "threshold"): ("tiny-voice", SPOKEN, 0.99),
    ("voice-activity", "min_speech_seconds"): ("tiny-voice", SPOKEN, 10),
    ("voice-activity", "min_silence_seconds"): ("tiny-voice", SPOKEN, 10),
    ("voice-activity", "pad_seconds"): ("tiny-voice", SPOKEN, 0.2),
    ("speech-recognition", "sample_rate"): ("tiny-whisper", SAMPLES, 8000),
    ("speech-recognition", "features"): ("tiny-whisper", SOUND, "rms"),
    ("speech-recognition", "timestamps"): ("tiny-whisper", SOUND, "word"),
    ("speech-recognition", "language"): ("tiny-whisper", SOUND, "ja"),
    ("speech-recognition", "task"): ("tiny-whisper", SOUND, "translate"),
    ("speech-recognition", "max_new_tokens"): ("tiny-whisper", SOUND, 3),
    ("text-classification", "top_k"): ("tiny-text", TEXT, 1),
    ("question-answering", "question"): ("tiny-answers", QUESTION, "Why and when?"),
    ("question-answering", "top_k"): ("tiny-answers", QUESTION, 3),
    ("text-generation", "max_new_tokens"): ("tiny-writer", TEXT, 3),
    ("text-generation", "temperature"): ("tiny-writer", {**TEXT, "seed": b"3"}, 5),
    ("text-generation", "top_p"): ("tiny-writer", {**TEXT, "seed": b"3", "temperature": b"5"}, 0.01),
    ("text-generation", "seed"): ("tiny-writer", {**TEXT, "seed": b"3", "temperature": b"5"}, 4),
    ("text-generation", "stop"): ("tiny-writer", TEXT, None),
    ("policy", "deterministic"): ("tiny-policy", {**OBSERVATION, "seed": b"0"}, "false"),
    ("policy", "seed"): ("tiny-policy", {**OBSERVATION, "deterministic": b"false", "seed": b"0"}, 1),
}
# Tested where their surroundings are: tests/handlers/text, audio and vision, tests/train/vision/classification.
ELSEWHERE = {
    ("text-generation", "chat"),
    ("question-answering", "max_answer_tokens"),
    ("zero-shot-image-classification", "template"),
    ("speech-recognition", "stream"),
    ("text-generation", "stream"),
    ("text-generation", "truncate"),
    ("image-classification", "features"),
    ("text-classification", "threshold"),
}


def test_every_name_has_a_case() -> None:
    parameters = {(task, name) for task, found in TASKS.items() for name in found.parameters}
    assert parameters == PARAMETERS.keys() | ELSEWHERE


def test_the_documentation_names_them() -> None:
    rows = re.findall(r"^\| ([a-z -]+) \| ([^|]*)\|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    said: dict[str, set[str]] = {}
    for task, names in rows:
        before = next(reversed(said.values()), set())
        found = before if names.strip() == "the same" else set(re.findall(r"`(\w+)`", names)) - {"context"}
        said[task.replace(" ", "-")] = found
    assert {task: said.get(task) for task in TASKS} == {task: set(found.parameters) for task, found in TASKS.items()}


def answered(worker: Worker, row: Row) -> tuple[int, bytes]:
    [(status, _, body)] = worker.answer([row])
    return status, body


def sent(value: Any) -> bytes:
    return str(value).encode()


@pytest.mark.parametrize(("task", "name"), PARAMETERS, ids=lambda value: value)
def test_a_parameter_has_an_effect(load: Callable[[str], Worker], task: str, name: str) -> None:
    model, row, value = PARAMETERS[task, name]
    worker = load(model)
    assert worker.handler.artifact.task == task
    before = answered(worker, row)
    if value is None:  # a letter of the text
        value = orjson.loads(before[1])["text"].strip()[1]
    after = answered(worker, {**row, name: sent(value)})
    if task == "policy":  # a draw among two actions may be the same one
        draws = ({**row, name: sent(value), "seed": sent(seed)} for seed in range(20))
        after = next(found for draw in draws if (found := answered(worker, draw)) != before)
    assert (before[0], after[0]) == (200, 200), (before, after)
    assert before[1] != after[1]


@pytest.mark.parametrize(("model", "name", "value"), [("tiny-yolo", "max_detections", 2), ("tiny-labels", "top_k", 1)])
def test_a_parameter_in_every_form_of_a_request(
    load: Callable[[str], Worker], model: str, name: str, value: int
) -> None:
    worker = load(model)
    image = base64.b64encode(IMAGE["body"]).decode()
    [wanted] = worker.json({**IMAGE, name: sent(value)})
    json = b"application/json"
    for row in (
        {"body": orjson.dumps({"image": image, name: value}), "content-type": json},
        {"body": orjson.dumps({"image": image}), "content-type": json, name: sent(value)},
        {"body": orjson.dumps(image), "content-type": json, name: sent(value)},
        {"data": IMAGE["body"], name: bytearray(sent(value))},
    ):
        assert worker.json(row) == [wanted]
    for body in (
        {"instances": [{"image": image, name: value}]},
        {"instances": [{"image": image}], "parameters": {name: value}},
    ):
        [answer] = worker.json({"body": orjson.dumps(body), "content-type": json})
        assert answer["predictions"] == [wanted]


@pytest.mark.parametrize("model", sorted({model for model, _, _ in PARAMETERS.values()}))
def test_what_is_no_parameter_is_refused(load: Callable[[str], Worker], model: str) -> None:
    row = next(row for each, row, _ in PARAMETERS.values() if each == model)
    status, body = answered(load(model), {**row, "no_such_parameter": b"1"})
    assert (status, "no_such_parameter" in orjson.loads(body)["message"]) == (422, True)
