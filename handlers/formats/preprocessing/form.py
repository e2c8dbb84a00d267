"""The form of `preprocessing` by task: one statement of it, for the build and for the worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from handlers.formats.preprocessing import detection, images, policy
from handlers.formats.preprocessing.fields import MISSING, Check, Fault, keys, list_of, number, one_of, whole

WHERE = "preprocessing"
MAX_FAULTS = 20
MIN_RATE, MAX_RATE = 1_000, 384_000  # Hz
MIN_SECONDS, MAX_SECONDS = 0.01, 3600  # of a window
MAX_FRAME = 10_000_000  # samples
MAX_LENGTH = 100_000_000  # tokens
STEPS = ("denoise", "trim", "normalise")

RATE: dict[str, Check] = {"sample_rate": whole(MIN_RATE, MAX_RATE)}
FRONT_END: dict[str, Check] = {"front_end": list_of(one_of(*STEPS), 0, len(STEPS))}
WINDOWED = keys({**RATE, "seconds": number(MIN_SECONDS, MAX_SECONDS)}, FRONT_END)
TEXTS = keys({"max_length": whole(1, MAX_LENGTH)})

FORMS: dict[str, Check] = {
    "image-embedding": images.embedding,
    "zero-shot-image-classification": images.transform,
    "depth-estimation": images.depth,
    "instance-segmentation": detection.torchvision,
    "keypoint-detection": detection.keypoints,
    "audio-classification": WINDOWED,
    "audio-embedding": WINDOWED,
    "speech-recognition": WINDOWED,
    "voice-activity": keys({**RATE, "frame": whole(1, MAX_FRAME)}, FRONT_END),
    "text-classification": TEXTS,
    "text-embedding": TEXTS,
    "token-classification": TEXTS,
    "question-answering": TEXTS,
    "text-generation": TEXTS,
}


def form_of(task: str, weights_format: str, preprocessing: Any, labels: Sequence[str]) -> Check | None:
    """The check of a task's preprocessing; None for a user's own task."""
    own_transform = weights_format != "huggingface"
    given = preprocessing if isinstance(preprocessing, Mapping) else {}
    match task:
        case "image-classification":
            return images.classifier(own_transform, "members" in given)
        case "semantic-segmentation":
            return images.segmenter(own_transform, len(labels))
        case "object-detection":
            needs_output = weights_format in ("onnx", "torch-export")
            return detection.exported if own_transform and (given or needs_output) else detection.torchvision
        case "policy":
            return policy.form(len(labels))
        case _:
            return FORMS.get(task)


def faults_of(task: str, weights_format: str, preprocessing: Any, labels: Sequence[str]) -> list[Fault]:
    """Faults of an artifact's preprocessing, at most MAX_FAULTS; none for a user's own task."""
    check = form_of(task, weights_format, preprocessing, labels)
    if check is None:
        return []
    hint = f"{MISSING}; docs/own-model.md lists what {task} needs"
    found = islice(check(WHERE, preprocessing), MAX_FAULTS)
    return [(where, hint if what == MISSING else what) for where, what in found]
