"""A task as the archiver sees it: its handler, options, limits and responses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from archiver.config import StrictModel

JSON = "application/json"
PNG = "image/png"
TOP_K = {"top_k": "integer: classes in the answer"}
THRESHOLD = {"threshold": "number from 0 to 1, for multi-label models"}
CLASSES = {"predictions": [{"label": "string", "probability": "number", "index": "integer"}]}
APPLICABLE = {"labels": ["string: the classes that apply, of a multi-label model"]}
STREAM = {
    "stream": "boolean: the answer in pieces, one JSON object a line; over gRPC StreamPredictions, the method's name"
}


@dataclass(frozen=True)
class Task:
    """The project's facts about one task.

    handler: its class in the packed `handlers` folder; "" for a user's own task.
    limits, options: the sections of a spec with these names.
    graph: whether the handler can export its model as an ONNX graph. classes: whether each model output needs a label.

    For the model card: content_types of a raw body; field, the key of the data in a form or JSON object; accept, the
    media types of answers, the default first; parameters of a request; answer, the structure of an answer.
    """

    handler: str
    limits: type[StrictModel]
    options: type[StrictModel]
    content_types: tuple[str, ...]
    field: str
    accept: tuple[str, ...]
    parameters: dict[str, str]
    answer: dict[str, Any]
    graph: bool = False
    classes: bool = True
