"""A model's answer."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from client.errors import ClientError, error_for
from client.payload import sniff

VERSION_HEADER = "model-version"
REQUEST_ID = "x-request-id"
ERROR_KEYS = {"code", "type", "message"}


@dataclass(frozen=True)
class Answer:
    """content_type: media type of the body, without parameters; "" if the server sent none.

    version: the model's version if an edge chose it; "" otherwise. request_id: identifies the call in the server's log
    and for `deploy feedback`; "" if the server sent none.
    """

    content_type: str
    body: bytes
    version: str = ""
    request_id: str = field(default="", compare=False)

    def json(self) -> Any:
        """The body parsed as JSON. Raises ValueError if it is not JSON."""
        return json.loads(self.body)


def answer_in(body: bytes, version: str = "", request_id: str = "") -> Answer:
    """The answer in a gRPC payload. TorchServe sends no content type, so it is detected from the bytes."""
    media_type = sniff(body) or ("application/json" if body[:1] in (b"{", b"[") else "")
    return Answer(media_type, body, version, request_id)


def error_in(body: bytes) -> ClientError | None:
    """The error in a gRPC payload sent with status OK: a JSON object of exactly code (≥ 400), type and message."""
    if not body.startswith(b"{"):
        return None
    try:
        value = json.loads(body)
    except ValueError:
        return None
    if set(value) != ERROR_KEYS or not isinstance(value["code"], int) or value["code"] < 400:
        return None
    return error_for(value["code"], str(value["type"]), str(value["message"]))
