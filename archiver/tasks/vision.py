"""The tasks on images."""

from __future__ import annotations

from archiver.tasks.limits import ClassificationLimits, DepthLimits, ImageLimits, ZeroShotLimits
from archiver.tasks.options import (
    DetectionOptions,
    ImageClassificationOptions,
    ImageEmbeddingOptions,
    NoOptions,
    SegmentationOptions,
    ZeroShotOptions,
)
from archiver.tasks.task import APPLICABLE, CLASSES, JSON, PNG, THRESHOLD, TOP_K, Task

IMAGES = ("image/jpeg", PNG, "image/webp", "image/gif", "image/bmp", "image/tiff", "image/avif", "image/heic", JSON)
THRESHOLDS = {"score_threshold": "number from 0 to 1", "max_detections": "integer"}
DETECTION = {"box": ["x1", "y1", "x2", "y2"], "label": "string", "score": "number", "index": "integer"}
KEYPOINT = {"name": "string", "x": "number", "y": "number", "score": "number"}
MASK = {"rle": {"size": ["height", "width"], "counts": "string"}, "area": "integer"}
DEPTH = {
    "size": ["height", "width"],
    "kind": "metric, in metres, or relative",
    "nearer": "lower or higher: which numbers are nearer to the camera",
    **dict.fromkeys(("minimum", "maximum", "mean"), "number: of the depths"),
    **dict.fromkeys(("scale", "offset"), "number: depth = offset + scale × a number of the PNG"),
    "png": "where asked for: base64 of a 16-bit grey PNG of the image's size",
}

VISION: dict[str, Task] = {
    "image-classification": Task(
        handler="handlers.vision.image_classification.ImageClassification",
        limits=ClassificationLimits,
        options=ImageClassificationOptions,
        content_types=IMAGES,
        field="image",
        accept=(JSON,),
        parameters={
            **TOP_K,
            **THRESHOLD,
            "embedding": "boolean: the embedding layer's numbers as well",
            "features": "string: some of the layers of options.features, with commas",
        },
        answer={
            **CLASSES,
            **APPLICABLE,
            "tasks": {"<task>": "instead of predictions, of a model with several: a list like it of each"},
            "embedding": "numbers, where asked for",
            "features": {"<layer>": "where asked for: its output, nested lists of numbers"},
        },
        graph=True,
    ),
    "image-embedding": Task(
        handler="handlers.vision.image_embedding.ImageEmbedding",
        limits=ImageLimits,
        options=ImageEmbeddingOptions,
        content_types=IMAGES,
        field="image",
        accept=(JSON,),
        parameters={"normalise": "boolean: to length 1"},
        answer={"embedding": "numbers"},
        graph=True,
        classes=False,
    ),
    "zero-shot-image-classification": Task(
        handler="handlers.vision.zero_shot_classification.ZeroShotClassification",
        limits=ZeroShotLimits,
        options=ZeroShotOptions,
        content_types=IMAGES,
        field="image",
        accept=(JSON,),
        parameters={
            **TOP_K,
            "labels": "list of strings, or one with commas between them: the classes; by default the model's",
            "template": "string with {} where the label goes",
        },
        answer=CLASSES,
        graph=True,
        classes=False,
    ),
    "object-detection": Task(
        handler="handlers.vision.object_detection.ObjectDetection",
        limits=ImageLimits,
        options=DetectionOptions,
        content_types=IMAGES,
        field="image",
        accept=(JSON, PNG),
        parameters=THRESHOLDS,
        answer={"detections": [DETECTION]},
        graph=True,
    ),
    "instance-segmentation": Task(
        handler="handlers.vision.instance_segmentation.InstanceSegmentation",
        limits=ImageLimits,
        options=DetectionOptions,
        content_types=IMAGES,
        field="image",
        accept=(JSON, PNG),
        parameters=THRESHOLDS,
        answer={"size": ["height", "width"], "segments": [{**DETECTION, **MASK}]},
        graph=True,
    ),
    "semantic-segmentation": Task(
        handler="handlers.vision.semantic_segmentation.SemanticSegmentation",
        limits=ImageLimits,
        options=SegmentationOptions,
        content_types=IMAGES,
        field="image",
        accept=(JSON, PNG),
        parameters={"render": "string: overlay or label-map, of a PNG"},
        answer={"size": ["height", "width"], "segments": [{"label": "string", "index": "integer", **MASK}]},
        graph=True,
    ),
    "keypoint-detection": Task(
        handler="handlers.vision.keypoint_detection.KeypointDetection",
        limits=ImageLimits,
        options=DetectionOptions,
        content_types=IMAGES,
        field="image",
        accept=(JSON, PNG),
        parameters=THRESHOLDS,
        answer={"detections": [{**DETECTION, "keypoints": [KEYPOINT]}]},
        graph=True,
    ),
    "depth-estimation": Task(
        handler="handlers.vision.depth_estimation.DepthEstimation",
        limits=DepthLimits,
        options=NoOptions,
        content_types=IMAGES,
        field="image",
        accept=(JSON, PNG),
        parameters={"map": "boolean: the PNG in the JSON answer as well"},
        answer=DEPTH,
        graph=True,
        classes=False,
    ),
}
