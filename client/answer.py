"""A model's answer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from client.errors import ClientError, error_for
from client.payload import sniff

VERSION_HEADER = "model-version"
ERROR_KEYS = {"code", "type", "message"}


@dataclass(frozen=True)
class Answer:
    """content_type: media type of the body, without parameters; "" where the server gave none.

    version: of the model, as an edge says it where it chose among several; "" otherwise.
    """

    content_type: str
    body: bytes
    version: str = ""

    def json(self) -> Any:
        """The body as JSON; ValueError where it is something else."""
        return json.loads(self.body)


def answer_in(body: bytes, version: str = "") -> Answer:
    """The answer a gRPC payload holds; TorchServe forwards no content type there, so it is read off the bytes."""
    return Answer(sniff(body) or ("application/json" if body[:1] in (b"{", b"[") else ""), body, version)


def error_in(body: bytes) -> ClientError | None:
    """The error a gRPC payload holds: an object of exactly code (≥ 400), type and message, sent with status OK."""
    if not body.startswith(b"{"):
        return None
    try:
        value = json.loads(body)
    except ValueError:
        return None
    if set(value) != ERROR_KEYS or not isinstance(value["code"], int) or value["code"] < 400:
        return None
    return error_for(value["code"], str(value["type"]), str(value["message"]))
