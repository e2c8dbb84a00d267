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
APPLY = {"labels": ["string: the classes that apply, of a multi-label model"]}
PIECES = {
    "stream": "boolean: the answer in pieces, one JSON object a line; over gRPC StreamPredictions, the method's name"
}


@dataclass(frozen=True)
class Task:
    """handler: its class in the packed `handlers` folder.

    For readers of the model card: content_types of a raw body; field of a form or JSON object that holds the data;
    accept, the media types an answer can have, the default first; parameters a request can set; answer, its shape.

    graph: whether the handler can write its model as an ONNX graph. classes: whether each output needs a label.
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
