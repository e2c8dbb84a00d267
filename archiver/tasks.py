"""What each task is served by, what it may be limited by, and which options a spec can set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

TaskName = Literal[
    "image-classification",
    "object-detection",
    "instance-segmentation",
    "semantic-segmentation",
    "audio-classification",
    "text-classification",
    "policy",
]

MEBIBYTE = 1 << 20

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of a spec: fixed once read, types as written (no `"8"` for 8), unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ImageLimits(Section):
    max_bytes: Count = Field(default=16 * MEBIBYTE, description="of the encoded picture or the JSON body")
    max_pixels: Count = Field(default=40_000_000, description="width × height, read before anything is decompressed")


class AudioLimits(Section):
    max_bytes: Count = Field(default=16 * MEBIBYTE, description="of the encoded recording or the JSON body")
    max_seconds: Positive = Field(default=60.0, description="of the decoded recording")


class TextLimits(Section):
    max_bytes: Count = Field(default=MEBIBYTE, description="of the text or the JSON body")
    max_characters: Count = Field(default=100_000, description="of one text")


class TensorLimits(Section):
    """The number of elements needs no limit of its own: the observation's shape fixes it."""

    max_bytes: Count = Field(default=MEBIBYTE, description="of the JSON body")


class ClassificationOptions(Section):
    top_k: Count = Field(default=5, description="classes in an answer, best first")


class ImageClassificationOptions(ClassificationOptions):
    embedding: str | None = Field(
        default=None, min_length=1, description="the layer whose output `embedding=true` returns; the artifact's own"
    )


class DetectionOptions(Section):
    score_threshold: Fraction = Field(default=0.5, description="detections below it are left out")
    max_detections: Count = Field(default=100, description="in one answer, best first")


class SegmentationOptions(Section):
    min_area: Count = Field(default=1, description="pixels; smaller segments are left out")


class PolicyOptions(Section):
    deterministic: bool = Field(default=True, description="the most probable action, not a drawn one")


@dataclass(frozen=True)
class Task:
    """handler: its class in the packed `handlers` folder.

    For readers of the model card: content_types of a raw body; field of a form or JSON object that holds the data;
    accept, the media types an answer can have, the default first; parameters a request can set; answer, its shape.
    """

    handler: str
    limits: type[Section]
    options: type[Section]
    content_types: tuple[str, ...]
    field: str
    accept: tuple[str, ...]
    parameters: dict[str, str]
    answer: dict[str, Any]


JSON = "application/json"
PNG = "image/png"
IMAGES = ("image/jpeg", PNG, "image/webp", JSON)
RECORDINGS = ("audio/wav", "audio/flac", "audio/ogg", "audio/mpeg", JSON)

TOP_K = {"top_k": "integer: classes in the answer"}
THRESHOLDS = {"score_threshold": "number from 0 to 1", "max_detections": "integer"}

CLASSES = {"predictions": [{"label": "string", "probability": "number", "index": "integer"}]}
DETECTION = {"box": ["x1", "y1", "x2", "y2"], "label": "string", "score": "number", "index": "integer"}
MASK = {"rle": {"size": ["height", "width"], "counts": "string"}, "area": "integer"}
ACTION = {"action": "integer or numbers", "probabilities": "numbers, for discrete actions", "value": "number"}

TASKS: dict[TaskName, Task] = {
    "image-classification": Task(
        handler="handlers.image_classification.ImageClassification",
        limits=ImageLimits,
        options=ImageClassificationOptions,
        content_types=IMAGES,
        field="image",
        accept=(JSON,),
        parameters={**TOP_K, "embedding": "boolean: the embedding layer's numbers as well"},
        answer={
            **CLASSES,
            "tasks": {"<task>": "instead of predictions, of a model with several: a list like it of each"},
            "embedding": "numbers, where asked for",
        },
    ),
    "object-detection": Task(
        handler="handlers.object_detection.ObjectDetection",
        limits=ImageLimits,
        options=DetectionOptions,
        content_types=IMAGES,
        field="image",
        accept=(JSON, PNG),
        parameters=THRESHOLDS,
        answer={"detections": [DETECTION]},
    ),
    "instance-segmentation": Task(
        handler="handlers.instance_segmentation.InstanceSegmentation",
        limits=ImageLimits,
        options=DetectionOptions,
        content_types=IMAGES,
        field="image",
        accept=(JSON, PNG),
        parameters=THRESHOLDS,
        answer={"size": ["height", "width"], "segments": [{**DETECTION, **MASK}]},
    ),
    "semantic-segmentation": Task(
        handler="handlers.semantic_segmentation.SemanticSegmentation",
        limits=ImageLimits,
        options=SegmentationOptions,
        content_types=IMAGES,
        field="image",
        accept=(JSON, PNG),
        parameters={"render": "string: overlay or label-map, of a PNG"},
        answer={"size": ["height", "width"], "segments": [{"label": "string", "index": "integer", **MASK}]},
    ),
    "audio-classification": Task(
        handler="handlers.audio_classification.AudioClassification",
        limits=AudioLimits,
        options=ClassificationOptions,
        content_types=RECORDINGS,
        field="audio",
        accept=(JSON,),
        parameters={**TOP_K, "sample_rate": "integer: Hz, of a JSON list of samples"},
        answer=CLASSES,
    ),
    "text-classification": Task(
        handler="handlers.text_classification.TextClassification",
        limits=TextLimits,
        options=ClassificationOptions,
        content_types=("text/plain", JSON),
        field="text",
        accept=(JSON,),
        parameters=TOP_K,
        answer=CLASSES,
    ),
    "policy": Task(
        handler="handlers.policy.Policy",
        limits=TensorLimits,
        options=PolicyOptions,
        content_types=(JSON,),
        field="data",
        accept=(JSON,),
        parameters={"deterministic": "boolean", "seed": "integer, of a drawn action"},
        answer=ACTION,
    ),
}
