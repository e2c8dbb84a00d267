from typing import Any

import pytest

from archiver.verification.response_checks import check, check_error

LABELS = ["a", "b"]
RLE = {"size": [2, 3], "counts": "06"}

GOOD: list[tuple[str, dict[str, Any]]] = [
    (
        "image-classification",
        {
            "predictions": [
                {"label": "b", "probability": 0.75, "index": 1},
                {"label": "a", "probability": 0.25, "index": 0},
            ]
        },
    ),
    (
        "image-classification",
        {
            "tasks": {
                "one": [{"label": "a", "probability": 1.0, "index": 0}],
                "two": [{"label": "b", "probability": 1.0, "index": 0}],
            },
            "embedding": [0.5, -1.0],
        },
    ),
    ("text-classification", {"predictions": [{"label": "b", "probability": 0.75, "index": 1}], "truncated": True}),
    (
        "text-classification",
        {
            "predictions": [
                {"label": "b", "probability": 0.75, "index": 1},
                {"label": "a", "probability": 0.75, "index": 0},
            ],
            "labels": ["b", "a"],
        },
    ),
    ("text-classification", {"predictions": [{"label": "b", "score": -3.5, "index": 1}]}),
    ("text-embedding", {"embedding": [0.6, -0.8]}),
    ("token-classification", {"entities": [{"label": "PER", "text": "Ann", "start": 0, "end": 3, "score": 0.9}]}),
    ("token-classification", {"entities": []}),
    ("question-answering", {"answers": [{"text": "Ann", "start": 0, "end": 3, "score": 0.9}]}),
    ("text-generation", {"text": "", "finish_reason": "eos_token", "tokens": {"read": 3, "written": 1}}),
    ("object-detection", {"detections": [{"box": [0, 1.5, 2, 3], "label": "b", "score": 0.5, "index": 1}]}),
    ("object-detection", {"detections": []}),
    (
        "semantic-segmentation",
        {"size": [2, 3], "segments": [{"label": "b", "index": 1, "rle": RLE, "area": 6}]},
    ),
    (
        "instance-segmentation",
        {
            "size": [2, 3],
            "segments": [{"box": [0, 0, 3, 2], "label": "b", "score": 1.0, "index": 1, "rle": RLE, "area": 6}],
        },
    ),
    ("audio-embedding", {"embedding": [0.6, -0.8]}),
    ("voice-activity", {"segments": [{"start": 0.5, "end": 1.25}], "speech_seconds": 0.75, "seconds": 2.0}),
    ("voice-activity", {"segments": [], "speech_seconds": 0.0, "seconds": 2.0}),
    ("speech-recognition", {"text": "", "seconds": 1.0, "silent": True}),
    ("speech-recognition", {"text": "a b", "seconds": 2.0, "words": [{"text": "a", "start": 0.5, "end": 0.75}]}),
    (
        "speech-recognition",
        {"text": "a", "seconds": 2.0, "language": "de", "segments": [{"text": "a", "start": 0.0, "end": 2.0}]},
    ),
    ("policy", {"action": 1, "probabilities": [0.25, 0.75], "value": -3.5}),
    ("policy", {"action": [0.5, -0.5], "value": 0.0}),
    ("policy", {"action": [0.5], "mean": [0.75], "std": [0.1], "value": 0.0}),
    ("policy", {"action": 1, "values": [0.25, 3.5], "value": 3.5, "label": "b"}),
    ("policy", {"predictions": [{"action": 0, "probabilities": [0.75, 0.25], "value": 1.0}]}),
]

BAD: list[tuple[str, Any, str]] = [
    ("text-classification", {"predictions": [{"label": "a", "score": 0.5, "index": 1}]}, "not the label"),
    ("text-embedding", {"embedding": []}, "at least 1 item"),
    ("text-embedding", {"embedding": [float("nan")]}, "embedding"),
    ("token-classification", {"entities": [{"text": "Ann", "start": 0, "end": 3, "score": 0.9}]}, "label"),
    ("question-answering", {"answers": [{"text": "Ann", "start": -1, "end": 3, "score": 0.9}]}, "start"),
    ("text-generation", {"text": "a", "finish_reason": "tired"}, "finish_reason"),
    ("image-classification", {"predictions": []}, "at least 1 item"),
    ("image-classification", "not JSON", "got 'not JSON'"),
    ("image-classification", {"predictions": [{"label": "a", "probability": 1.5, "index": 0}]}, "probability"),
    (
        "image-classification",
        {"predictions": [{"label": "a", "probability": 0.5, "index": 1}]},
        "index 1 is not the label 'a'",
    ),
    (
        "image-classification",
        {"predictions": [{"label": "c", "probability": 0.5, "index": 2}]},
        "index 2 is not the label 'c'",
    ),
    ("image-classification", {"tasks": {}}, "tasks"),
    (
        "image-classification",
        {"tasks": {"one": [{"label": "a", "probability": 1.0, "index": 0}]}},
        "1 classes; the model card has 2 labels",
    ),
    (
        "image-classification",
        {
            "tasks": {
                "one": [{"label": "a", "probability": 1.0, "index": 0}],
                "two": [{"label": "b", "probability": 1.0, "index": 1}],
            }
        },
        "index 1 is not the label 'b'",
    ),
    (
        "image-classification",
        {
            "tasks": {
                "one": [
                    {"label": "b", "probability": 0.25, "index": 1},
                    {"label": "a", "probability": 0.7, "index": 0},
                ]
            }
        },
        "in descending order of probability",
    ),
    (
        "audio-classification",
        {
            "predictions": [
                {"label": "a", "probability": 0.5, "index": 0},
                {"label": "b", "probability": 0.3, "index": 1},
            ]
        },
        "sum to 0.8000, not to 1",
    ),
    (
        "audio-classification",
        {
            "predictions": [
                {"label": "a", "probability": 0.25, "index": 0},
                {"label": "b", "probability": 0.75, "index": 1},
            ]
        },
        "order",
    ),
    ("object-detection", {"detections": [{"box": [0, 1, 2], "label": "b", "score": 0.5, "index": 1}]}, "box"),
    (
        "object-detection",
        {"detections": [{"box": [0, 1, 2, float("nan")], "label": "b", "score": 0.5, "index": 1}]},
        "box",
    ),
    ("semantic-segmentation", {"size": [2], "segments": []}, "size"),
    ("instance-segmentation", {"size": [2, 3], "segments": [{"label": "b", "index": 1, "rle": RLE, "area": 6}]}, "box"),
    ("audio-embedding", {"embedding": []}, "at least 1 item"),
    ("audio-embedding", {"embedding": [float("nan")]}, "embedding"),
    ("voice-activity", {"segments": [{"start": -1.0, "end": 1.25}], "speech_seconds": 0.75, "seconds": 2.0}, "start"),
    ("voice-activity", {"segments": []}, "seconds"),
    ("speech-recognition", {"seconds": 1.0}, "text"),
    ("speech-recognition", {"text": "a", "seconds": 1.0, "words": [{"text": "a", "start": 0.5}]}, "end"),
    ("speech-recognition", {"text": "a", "seconds": float("nan")}, "seconds"),
    ("policy", {"action": 1, "probabilities": [0.5, 0.4], "value": 0.0}, "sum to 0.9"),
    ("policy", {"action": 0.5, "value": 0.0}, "action"),
    (
        "policy",
        {"action": 2, "probabilities": [0.5, 0.5], "value": 0.0},
        "an action below 2, the number of prob",
    ),
    ("policy", {"action": 0, "values": [0.25, 3.5], "value": 0.25}, "the highest of the values"),
    ("policy", {"action": [0.5, 0.5], "mean": [0.5], "std": [0.5, 1.0], "value": 0.0}, "of the same length"),
    ("policy", {"predictions": []}, "at least 1 item"),
    ("policy", {"predictions": [{"action": 1, "probabilities": [0.5, 0.4], "value": 0.0}]}, "sum to 0.9"),
]


@pytest.mark.parametrize(("task", "body"), GOOD)
def test_answers_in_their_form(task: str, body: dict[str, Any]) -> None:
    assert check(task, body, LABELS, "sample") == []


@pytest.mark.parametrize(("task", "body", "message"), BAD)
def test_answers_out_of_form(task: str, body: Any, message: str) -> None:
    assert message in " ".join(str(problem) for problem in check(task, body, LABELS, "sample"))


def test_error_bodies() -> None:
    body = {"code": 400, "type": "MalformedInput", "message": "empty"}
    assert check_error(400, body, "x") == []
    assert check_error(422, body, "x") != []
    assert check_error(200, body, "x") != []
    assert check_error(500, {**body, "code": 500}, "x") != []
    assert check_error(400, {**body, "more": 1}, "x") != []
    assert check_error(400, "not JSON", "x") != []
