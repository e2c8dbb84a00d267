"""The tasks that have an explainer, and its request parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from archiver.tasks.audio import FEATURES, RECORDING
from archiver.tasks.task import JSON, PNG
from archiver.tasks.text import TRUNCATION


@dataclass(frozen=True)
class Explanation:
    """explainer: its class in the packed `handlers` folder.

    For the model card: methods, the default first; accept, the media types of answers; parameters of requests; answer,
    the structure of answers.
    """

    explainer: str
    methods: tuple[str, ...]
    accept: tuple[str, ...]
    parameters: dict[str, str]
    answer: dict[str, Any]


ATTRIBUTED = {
    "method": "string",
    "target": {"label": "string", "index": "integer", "score": "number: before softmax or sigmoid"},
    "evaluations": "integer: runs of the model",
    "n_steps": "integer, of integrated gradients",
    "completeness": {
        **dict.fromkeys(("score", "baseline", "sum", "delta"), "number, of integrated gradients"),
        "holds": "boolean: whether sum is score - baseline, within 5% or 0.001",
    },
}
COMMON = {
    "method": "string",
    "target": "string or integer: a label, or its index; by default what is predicted",
    "n_steps": "integer, of integrated-gradients",
}
WINDOW = {
    "window": "of occlusion: what is covered at a time",
    "stride": "of occlusion: from one window to the next",
}
ON_IMAGES = {
    **COMMON,
    **WINDOW,
    "baseline": "string: black, grey, white or blur, of integrated-gradients and occlusion",
    "grid": "integer: cells along the longer side",
}
ON_TEXTS = {**COMMON, "baseline": "string: pad, mask or unknown, the token that says nothing"}
SPAN = {"start": "integer: character", "end": "integer: character"}
PLACE = {"index": "integer: as asked for, where it was", **SPAN}
ON_TOKENS = {"attributions": [{"text": "string", **SPAN, "weight": "number"}], **TRUNCATION}
BOX = ["x1", "y1", "x2", "y2"]
ON_GRID = [["numbers by row, over the box in the image's pixels"]]
IMAGE_METHODS = ("integrated-gradients", "occlusion", "grad-cam", "saliency")

EXPLANATIONS: dict[str, Explanation] = {
    "image-classification": Explanation(
        explainer="handlers.explanation.image_classification.ImageClassificationExplainer",
        methods=IMAGE_METHODS,
        accept=(JSON, PNG),
        parameters=ON_IMAGES,
        answer={**ATTRIBUTED, "box": BOX, "attributions": ON_GRID},
    ),
    "object-detection": Explanation(
        explainer="handlers.explanation.object_detection.ObjectDetectionExplainer",
        methods=IMAGE_METHODS,
        accept=(JSON, PNG),
        parameters={
            **ON_IMAGES,
            "detection": "integer: which one of a prediction's answer, from 0",
            "score_threshold": "number from 0 to 1",
        },
        answer={**ATTRIBUTED, "detection": "integer", "box": BOX, "attributions": ON_GRID},
    ),
    "semantic-segmentation": Explanation(
        explainer="handlers.explanation.semantic_segmentation.SemanticSegmentationExplainer",
        methods=IMAGE_METHODS,
        accept=(JSON, PNG),
        parameters=ON_IMAGES,
        answer={**ATTRIBUTED, "box": BOX, "attributions": ON_GRID},
    ),
    "audio-classification": Explanation(
        explainer="handlers.explanation.audio_classification.AudioClassificationExplainer",
        methods=("integrated-gradients", "occlusion", "saliency"),
        accept=(JSON, PNG),
        parameters={
            **COMMON,
            **WINDOW,
            **RECORDING,
            "part": "integer: which window of a long recording; by default the one that shows the class most",
        },
        answer={
            **ATTRIBUTED,
            "part": {"index": "integer", "start": "number: seconds", "end": "number: seconds"},
            "seconds": ["number, of each frame"],
            "hertz": ["number, of each band; null where only the network knows"],
            "attributions": [["numbers by band, the lowest first"]],
            "curve": ["number, of each frame: the sum over the bands"],
            **FEATURES,
        },
    ),
    "token-classification": Explanation(
        explainer="handlers.explanation.token_classification.TokenClassificationExplainer",
        methods=("integrated-gradients", "occlusion"),
        accept=(JSON,),
        parameters={
            **ON_TEXTS,
            "entity": "integer: which one of a prediction's answer, from 0",
            "token": "integer: which one of the attributions, from 0",
        },
        answer={**ATTRIBUTED, "entity": PLACE, "token": PLACE, **ON_TOKENS},
    ),
    "text-classification": Explanation(
        explainer="handlers.explanation.text_classification.TextClassificationExplainer",
        methods=("integrated-gradients", "occlusion"),
        accept=(JSON,),
        parameters=ON_TEXTS,
        answer={**ATTRIBUTED, **ON_TOKENS},
    ),
}


def explanation_of(task: str, own_handler: bool) -> Explanation | None:
    """The explanation of a task, or None. own_handler: the spec has its own handler, whose inputs are unknown."""
    return None if own_handler else EXPLANATIONS.get(task)
