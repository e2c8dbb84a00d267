"""One row of the table in docs/formats.md, and the parts of answers that such rows show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.inputs import IMAGES, encoded, noise, recording

# Of most models' own size, so that no resize of one library rounds otherwise.
IMAGE = IMAGES[0].resize((64, 64))
SAMPLES = noise(0.9, 0)
# Writes FOLDER, or the file that the command names, and returns what asks the library itself.
Made = Callable[[Path], Callable[[], str]]
Answer = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """parameters: beside the body, as texts."""

    body: bytes
    content_type: str
    parameters: dict[str, str] = field(default_factory=dict)


PNG, WAV = Request(encoded(IMAGE), "image/png"), Request(recording(SAMPLES), "audio/wav")
# A detector with random weights is sure of nothing.
EVERY_BOX = Request(PNG.body, PNG.content_type, {"score_threshold": "0"})


@dataclass(frozen=True)
class Case:
    """weights, task: as the page has them. arguments: of `bundle new NAME --weights`. read: the part that is shown."""

    weights: str
    task: str
    arguments: str
    library: str
    make: Made
    read: Callable[[Answer], str]
    request: Request = PNG

    @property
    def command(self) -> str:
        return f"./bundle new NAME --weights {self.arguments}"

    @property
    def name(self) -> str:
        """Of the model, unlike that of every other row."""
        words = "".join(letter if letter.isalnum() else " " for letter in f"{self.weights} {self.task}")
        return "-".join(words.lower().split())


def best(answer: Answer) -> str:
    return ranked(answer["predictions"], "probability")


def detected(answer: Answer) -> str:
    """Without the box, whose sides transformers' pipeline cuts to whole pixels."""
    return ranked(answer["detections"], "score")


def box(answer: Answer) -> str:
    first = answer["detections"][0]
    return f"{first['label']} {first['score']:.3f} at {corners(first['box'])}"


def corners(sides: Any) -> str:
    return ", ".join(f"{side:.1f}" for side in sides)


def ranked(found: list[dict[str, Any]], score: str = "score") -> str:
    first = max(found, key=lambda each: float(each[score]))
    return f"{first['label']} {first[score]:.3f}"


def top(labels: list[str], probabilities: Any) -> str:
    index = int(np.argmax(probabilities))
    return f"{labels[index]} {float(probabilities[index]):.3f}"


def unit(values: Any) -> str:
    """The first numbers of a vector, brought to the length 1."""
    vector = np.ravel(values)
    return ", ".join(f"{value:.3f}" for value in (vector / np.linalg.norm(vector))[:3])


def embedding(answer: Answer) -> str:
    return unit(answer["embedding"])


def largest(answer: Answer) -> str:
    segment = max(answer["segments"], key=lambda each: int(each["area"]))
    return share(segment["label"], segment["area"] / (answer["size"][0] * answer["size"][1]))


def largest_of(labels: list[str], classes: Any) -> str:
    """classes: the index of each pixel's class."""
    counts = np.bincount(np.ravel(classes), minlength=len(labels))
    return share(labels[int(counts.argmax())], counts.max() / counts.sum())


def share(label: str, part: float) -> str:
    return f"{label} {part:.3f} of the pixels"


def depths(lowest: float, highest: float) -> str:
    return f"{lowest:.3f} to {highest:.3f}"
