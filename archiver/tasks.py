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
    max_bytes: Count = Field(16 * MEBIBYTE, description="of the encoded picture or the JSON body")
    max_pixels: Count = Field(40_000_000, description="width × height, read before anything is decompressed")


class AudioLimits(Section):
    max_bytes: Count = Field(16 * MEBIBYTE, description="of the encoded recording or the JSON body")
    max_seconds: Positive = Field(60.0, description="of the decoded recording")


class TextLimits(Section):
    max_bytes: Count = Field(MEBIBYTE, description="of the text or the JSON body")
    max_characters: Count = Field(100_000, description="of one text")


class TensorLimits(Section):
    """The number of elements needs no limit of its own: the observation's shape fixes it."""

    max_bytes: Count = Field(MEBIBYTE, description="of the JSON body")


class ClassificationOptions(Section):
    top_k: Count = Field(5, description="classes in an answer, best first")


class DetectionOptions(Section):
    score_threshold: Fraction = Field(0.5, description="detections below it are left out")
    max_detections: Count = Field(100, description="in one answer, best first")


class SegmentationOptions(Section):
    min_area: Count = Field(1, description="pixels; smaller segments are left out")


class PolicyOptions(Section):
    deterministic: bool = Field(True, description="the most probable action, not a drawn one")


@dataclass(frozen=True)
class Task:
    """handler: its class in the packed `handlers` folder. content_types: of a raw body. field: of a form or JSON object.

    accept: the media types an answer can have, the default first. answer: its shape, for readers of the model card.
    """

    handler: str
    limits: type[Section]
    options: type[Section]
    content_types: tuple[str, ...]
    field: str
    accept: tuple[str, ...]
    answer: dict[str, Any]


JSON = ("application/json",)
JSON_OR_PNG = ("application/json", "image/png")
IMAGES = ("image/jpeg", "image/png", "image/webp", "application/json")
RECORDINGS = ("audio/wav", "audio/flac", "audio/ogg", "audio/mpeg", "application/json")
CLASSES = {"predictions": [{"label": "string", "probability": "0 to 1", "index": "integer"}]}
RUN_LENGTHS = {"size": ["height", "width"], "counts": "string"}
DETECTION = {"box": ["x1", "y1", "x2", "y2"], "label": "string", "score": "0 to 1", "index": "integer"}
SEGMENT = {"label": "string", "index": "integer", "rle": RUN_LENGTHS, "area": "pixels"}

TASKS: dict[TaskName, Task] = {
    "image-classification": Task(
        "handlers.image_classification.ImageClassification",
        ImageLimits,
        ClassificationOptions,
        IMAGES,
        "image",
        JSON,
        CLASSES,
    ),
    "object-detection": Task(
        "handlers.object_detection.ObjectDetection",
        ImageLimits,
        DetectionOptions,
        IMAGES,
        "image",
        JSON_OR_PNG,
        {"detections": [DETECTION]},
    ),
    "instance-segmentation": Task(
        "handlers.instance_segmentation.InstanceSegmentation",
        ImageLimits,
        DetectionOptions,
        IMAGES,
        "image",
        JSON_OR_PNG,
        {"size": ["height", "width"], "segments": [{**DETECTION, **SEGMENT}]},
    ),
    "semantic-segmentation": Task(
        "handlers.semantic_segmentation.SemanticSegmentation",
        ImageLimits,
        SegmentationOptions,
        IMAGES,
        "image",
        JSON_OR_PNG,
        {"size": ["height", "width"], "segments": [SEGMENT]},
    ),
    "audio-classification": Task(
        "handlers.audio_classification.AudioClassification",
        AudioLimits,
        ClassificationOptions,
        RECORDINGS,
        "audio",
        JSON,
        CLASSES,
    ),
    "text-classification": Task(
        "handlers.text_classification.TextClassification",
        TextLimits,
        ClassificationOptions,
        ("text/plain", "application/json"),
        "text",
        JSON,
        CLASSES,
    ),
    "policy": Task(
        "handlers.policy.Policy",
        TensorLimits,
        PolicyOptions,
        ("application/json",),
        "data",
        JSON,
        {"action": "integer or numbers", "probabilities": "of discrete actions", "value": "number"},
    ),
}
