"""A call's body as a request of its task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handlers.errors import MalformedInput, UnsupportedMedia, shown
from handlers.protocol.json_body import load
from handlers.protocol.limits import Limits
from handlers.protocol.media_type import is_json, media_type
from handlers.protocol.openai import embeddings, generation, transcription
from handlers.protocol.openai.call import EMBEDDINGS, TRANSCRIPTIONS
from handlers.protocol.payload import Request

FORM, FILE = "multipart/form-data", "file"


def from_body(path: str, key: str, data: bytes, declared: str, parts: Mapping[str, Any], limits: Limits) -> Request:
    """key: the part that holds the data. declared: the request's Content-Type. parts: the others, as texts."""
    kind = media_type(declared)
    if path == TRANSCRIPTIONS:
        if kind != FORM or key != FILE:
            raise UnsupportedMedia(f"wanted {FORM} with the parts {FILE} and model; got {shown(kind)} with {key}")
        return transcription.from_form(data, parts, path)
    if not is_json(kind) or key != "body":
        raise UnsupportedMedia(f"/v1/{path} takes application/json; got {shown(kind)}")
    value = load(data, declared, limits)
    if not isinstance(value, dict):
        raise MalformedInput(f"the body is {shown(value)}; wanted an object")
    return (embeddings if path == EMBEDDINGS else generation).from_object(value, path, limits)
