"""Answers: bytes with a content type and a status, never dicts (TorchServe would print those with an indent)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson

from handlers.errors import RequestError

JSON = "application/json"
PNG = "image/png"
OCTETS = "application/octet-stream"


@dataclass(frozen=True)
class Response:
    """classes: labels of what the model found, counted for the monitoring of its predictions.

    location: of a redirect, the path that answers instead. json_length: bytes of JSON with binary tensors behind it, 0
    where there are none. confidence: the probability of the first class.
    """

    body: bytes
    content_type: str = JSON
    status: int = 200
    classes: Sequence[str] = ()
    location: str = ""
    json_length: int = 0
    confidence: float | None = None

    @property
    def phrase(self) -> str:
        """The standard phrase: free text here could hold a line break, and that kills a worker."""
        return HTTPStatus(self.status).phrase


def to_json(value: Any) -> bytes:
    """Compact JSON; numpy arrays and scalars are understood."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def error_response(error: RequestError, kserve: bool = False) -> Response:
    """kserve: in the form of KServe's protocols, which have the message alone."""
    if kserve:
        return Response(to_json({"error": error.message}), JSON, error.code)
    return Response(to_json({"code": error.code, "type": error.type, "message": error.message}), JSON, error.code)
